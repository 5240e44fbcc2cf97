/* test_memory.c: every allocation fails in turn.  The call says so, writes no
 * output, and leaks nothing (AddressSanitizer watches). */
#include "test.h"

#include "small_index.h"

#include <unistd.h>

static small_index made;
static esp_scratch *batch_scratch;

/* Calls `step` with the first allocation failing, then the second, until none
 * does.  Returns how many failed. */
static int fail_each(esp_status (*step)(void)) {
    for (int n = 0; n < 100; n++) {
        test_allocations_left = n;
        const esp_status status = step();
        test_allocations_left = -1;
        if (status == ESP_OK)
            return n;
        CHECK(status == ESP_E_MEMORY);
    }
    CHECK(!"an end");
    return 0;
}

static esp_status open_step(void) {
    esp_index *index = NULL;
    const esp_status status = esp_index_open_memory(made.bytes, made.length, &index, NULL);
    CHECK((status == ESP_OK) == (index != NULL));
    esp_index_close(index);
    return status;
}

static esp_status validate_step(void) {
    return esp_index_validate(made.index, NULL);
}

static esp_status scratch_step(void) {
    esp_scratch *scratch = NULL;
    const esp_status status = esp_scratch_new(made.index, NULL, &scratch, NULL);
    CHECK((status == ESP_OK) == (scratch != NULL));
    esp_scratch_free(scratch);
    return status;
}

static esp_status batch_step(void) {
    esp_index_info info;
    esp_index_get_info(made.index, &info);
    static const uint64_t row_ptr[3] = {0, 2, 3};
    static const uint32_t col[3] = {1, 5, 3};
    static const float val[3] = {0.5f, -1.5f, 1};
    const esp_csr x = {row_ptr, col, val, 2, info.n_features};
    uint32_t labels[10];
    float scores[10];
    uint32_t counts[2];
    return esp_predict_batch(
        made.index, batch_scratch, &x, 0, 2, 3, 5, labels, scores, counts, NULL);
}

static esp_status trie_step(void) {
    uint64_t starts[3001];
    static uint8_t blob[12000];
    for (uint32_t i = 0; i <= 3000; i++) {
        starts[i] = 4 * (uint64_t)i;
        if (i < 3000)
            for (uint32_t d = 0, rest = i; d < 4; d++, rest /= 8)
                blob[4 * i + 3 - d] = (uint8_t)('a' + rest % 8);
    }
    uint8_t *section = NULL;
    size_t bytes = 0;
    const esp_status status = esp_trie_build(blob, starts, 3000, &section, &bytes, NULL);
    CHECK((status == ESP_OK) == (section != NULL));
    esp_buffer_free(section);
    return status;
}

static esp_status empty_trie_step(void) {
    const uint64_t starts[1] = {0};
    uint8_t *section = NULL;
    size_t bytes = 0;
    const esp_status status = esp_trie_build(NULL, starts, 0, &section, &bytes, NULL);
    esp_buffer_free(section);
    return status;
}

static esp_status maxima_step(void) {
    static const uint32_t users[1000];
    uint8_t *section = NULL;
    size_t bytes = 0;
    const esp_status status = esp_maxima_build(users, 1000, &section, &bytes, NULL);
    esp_buffer_free(section);
    return status;
}

static esp_status chunk_step(void) {
    static uint64_t col_ptr[601];
    static const uint32_t row[600] = {0};
    static float val[600];
    static const float bias[600];
    for (uint32_t c = 0; c < 600; c++) {
        col_ptr[c + 1] = c + 1;
        val[c] = 1;
    }
    uint8_t *chunk = NULL;
    size_t bytes = 0;
    const esp_status status =
        esp_chunk_encode(600, 3, col_ptr, row, val, bias, 16, &chunk, &bytes, NULL);
    CHECK((status == ESP_OK) == (chunk != NULL));
    esp_buffer_free(chunk);
    return status;
}

static const uint64_t text_at[1] = {0};
static const uint32_t text_length[1] = {5};
static uint32_t keys[64];
static float values[64];
static uint64_t ptr[2];

static esp_status hash_step(void) {
    return esp_features_hash(
        (const uint8_t *)"a b c", text_at, text_length, 1, 0, keys, values, ptr, 64, NULL);
}

static esp_status vectorise_step(void) {
    const uint64_t context_ptr[2] = {0, 1};
    const uint32_t context[1] = {0};
    const esp_space space = {.max_context = 1};
    const esp_rows rows = {.blob = (const uint8_t *)"a b c",
        .offsets = text_at,
        .lengths = text_length,
        .n_texts = 1,
        .n_rows = 1,
        .context_ptr = context_ptr,
        .context = context,
        .prefix_text = context,
        .prefix_bytes = text_length};
    return esp_features_vectorise(&space, &rows, ptr, keys, values, 64, NULL);
}

static char path[64];

static esp_status writer_step(void) {
    esp_writer *writer = NULL;
    esp_status status = esp_writer_open(path, 1, &writer, NULL);
    if (status != ESP_OK) {
        CHECK(writer == NULL);
        return status;
    }
    status = esp_writer_add(writer, ESP_SEC_META, (const uint8_t *)"{}", 2, NULL);
    CHECK(status == ESP_OK);
    return esp_writer_finish(writer, NULL);
}

static void every_failed_allocation_is_reported(void) {
    made = small_make(80, ESP_POST_L3_HINGE, 16);
    CHECK(fail_each(open_step) == 1);
    CHECK(fail_each(validate_step) == 2);
    CHECK(fail_each(scratch_step) > 10);
    CHECK(esp_scratch_new(made.index, NULL, &batch_scratch, NULL) == ESP_OK);
    CHECK(fail_each(batch_step) == 9);
    esp_scratch_free(batch_scratch);
    CHECK(fail_each(trie_step) >= 2);
    CHECK(fail_each(empty_trie_step) == 1);
    CHECK(fail_each(maxima_step) == 1);
    CHECK(fail_each(chunk_step) == 4); /* the entries, and a chunk thrice */
    CHECK(fail_each(hash_step) == 1);
    CHECK(fail_each(vectorise_step) == 2);
    snprintf(path, sizeof path, "/tmp/espalier-memory-%ld.esp", (long)getpid());
    CHECK(fail_each(writer_step) >= 3);
    CHECK(unlink(path) == 0);
    small_free(&made);
}

/* Between making a scratch and freeing it nothing is allocated. */
static void queries_allocate_nothing(void) {
    made = small_make(200, ESP_POST_L3_HINGE, 16);
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    esp_suggestion out[100];
    const esp_text previous[2] = {{(const uint8_t *)"aab de", 6}, {(const uint8_t *)"abc", 3}};
    for (uint32_t k = 1; k <= 100; k += 33)
        for (uint32_t matcher = 1; matcher <= 2; matcher++) {
            const esp_query query = {.struct_size = sizeof query,
                .prefix = {(const uint8_t *)"a", 1},
                .previous = previous,
                .n_previous = 2,
                .k = k,
                .beam = 100,
                .pool = 2048,
                .matcher = matcher};
            size_t count = 0;
            uint32_t labels[100];
            test_allocations_left = 0;
            CHECK(esp_complete(made.index, scratch, &query, out, 100, &count, NULL) == ESP_OK);
            CHECK(esp_popular(made.index, scratch, query.prefix.data, 1, labels, 100, &count,
                      NULL) == ESP_OK);
            test_allocations_left = -1;
        }
    esp_scratch_free(scratch);
    small_free(&made);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(every_failed_allocation_is_reported);
    TEST(queries_allocate_nothing);
    return TEST_END();
}
