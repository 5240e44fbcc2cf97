/* test_retrieve.c: products for a query, whatever finds them. */
#include "test.h"

#include <math.h>

#include "small_index.h"

enum { PAIRS = 40, LABELS = 2 * PAIRS, WORDS = 3, POOL = 30 };

/* The small index with a title of three features for each label. */
static small_index small_with_products(void) {
    small_index plain = small_make(PAIRS, ESP_POST_NOOP, 16);
    esp_index_info about;
    esp_index_get_info(plain.index, &about);
    small_part parts[SMALL_SECTIONS + 1];
    for (uint32_t i = 0; i < SMALL_SECTIONS; i++) {
        esp_section_info info;
        CHECK(esp_index_get_section(plain.index, i, &info, NULL) == ESP_OK);
        parts[i] = (small_part){info.id, plain.bytes + info.offset, info.length};
    }
    struct {
        esp_catalogue_header head;
        uint32_t begin[LABELS + 1];
        uint32_t word[LABELS * WORDS];
    } made = {.head = {.n_labels = LABELS,
                  .n_words = LABELS * WORDS,
                  .word_kinds = 1,
                  .text_kinds = 1u << ESP_FEATURE_CHARS, /* what the small index knows */
                  .k1 = 0.5f,
                  .b = 0.5f,
                  .average = WORDS,
                  .pool = POOL,
                  .stemmer = "none",
                  .word_bytes = 4}};
    for (uint32_t i = 0; i <= LABELS; i++)
        made.begin[i] = i * WORDS;
    for (uint32_t i = 0; i < LABELS * WORDS; i++)
        made.word[i] = i * 7 % about.n_features;
    parts[SMALL_SECTIONS] = (small_part){ESP_SEC_CATA, &made, sizeof made};
    small_index out = small_assemble(parts, SMALL_SECTIONS + 1);
    CHECK(esp_index_open_memory(out.bytes, out.length, &out.index, NULL) == ESP_OK);
    small_free(&plain);
    return out;
}

static esp_retrieval ask_for(const char *query, uint32_t k) {
    const esp_text text = {(const uint8_t *)query, strlen(query)};
    return (esp_retrieval){.struct_size = sizeof(esp_retrieval),
        .k = k,
        .beam = 100,
        .flags = ESP_RETRIEVAL_FEATURES,
        .words = text,
        .text = text};
}

static void fewer_products_are_the_first_of_more(void) {
    small_index made = small_with_products();
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    esp_product all[POOL], few[POOL];
    size_t n_all = 0, n_few = 0;
    esp_retrieval query = ask_for("aab de", POOL);
    CHECK(esp_retrieve(made.index, scratch, &query, all, POOL, &n_all, NULL) == ESP_OK);
    CHECK(n_all > 10);
    for (size_t i = 1; i < n_all; i++)
        CHECK(all[i - 1].score > all[i].score ||
              (all[i - 1].score == all[i].score && all[i - 1].label < all[i].label));
    query.k = 7;
    CHECK(esp_retrieve(made.index, scratch, &query, few, POOL, &n_few, NULL) == ESP_OK);
    CHECK(n_few == 7 && memcmp(all, few, 7 * sizeof *all) == 0);
    esp_scratch_free(scratch);
    small_free(&made);
}

static void a_query_allocates_nothing(void) {
    small_index made = small_with_products();
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    esp_product out[POOL];
    size_t n = 0;
    const esp_retrieval query = ask_for("aab de 7", POOL);
    test_allocations_left = 0;
    CHECK(esp_retrieve(made.index, scratch, &query, out, POOL, &n, NULL) == ESP_OK && n > 0);
    test_allocations_left = -1;
    esp_scratch_free(scratch);
    small_free(&made);
}

static void what_the_host_found_joins_once(void) {
    small_index made = small_with_products();
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    esp_product out[100];
    size_t n = 0, n_tree = 0;
    esp_retrieval query = ask_for("aab", 100);
    query.pool = 5;
    query.k = 5;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 100, &n_tree, NULL) == ESP_OK);
    const uint32_t found = out[0].label;
    const uint32_t host[] = {79, found, 78};
    query.host = host;
    query.n_host = 3;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 100, &n, NULL) == ESP_OK);
    const uint32_t *labels = NULL;
    const float *rows = NULL;
    const size_t described = esp_scratch_get_retrieved(scratch, &labels, &rows);
    uint32_t seen = 0;
    for (size_t i = 0; i < described; i++)
        seen += labels[i] == found;
    CHECK(seen == 1 && described >= n_tree + 1 && described <= n_tree + 2);
    for (size_t i = 0; i < described * esp_retrieval_feature_count(); i++)
        CHECK(isfinite(rows[i]));
    query.words = query.text = (esp_text){NULL, 0};
    CHECK(esp_retrieve(made.index, scratch, &query, out, 100, &n, NULL) == ESP_OK && n == 3);
    CHECK(out[0].label == 79 && out[0].host_rank == 1 && out[0].model == 0);
    CHECK(out[1].label == found && out[1].host_rank == 2);
    CHECK(out[2].label == 78 && out[2].host_rank == 3);
    esp_scratch_free(scratch);
    small_free(&made);
}

static void limits_and_bad_arguments_are_refused(void) {
    small_index made = small_with_products();
    small_index plain = small_make(PAIRS, ESP_POST_NOOP, 16);
    esp_scratch *scratch = NULL, *other = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    CHECK(esp_scratch_new(plain.index, NULL, &other, NULL) == ESP_OK);
    esp_product out[8];
    size_t n = 77;
    esp_error err;
    const uint32_t host[] = {LABELS};
    esp_retrieval query = ask_for("aab", 5);
    CHECK(esp_retrieve(plain.index, other, &query, out, 8, &n, &err) == ESP_E_UNSUPPORTED);
    query.k = 9;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_LIMIT);
    query.k = 0;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_LIMIT);
    query = ask_for("aab", 5);
    query.beam = 101;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_LIMIT);
    query = ask_for("aab", 5);
    query.host = host;
    query.n_host = 1;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_ARGUMENT);
    query = ask_for("a\xFF", 5);
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_UTF8);
    query = ask_for("aab", 5);
    query.struct_size = 1;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_ARGUMENT);
    const esp_filter filter = {.n_all = 0};
    query = ask_for("aab", 5);
    query.filter = &filter;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_UNSUPPORTED);
    const esp_text previous[2] = {{(const uint8_t *)"aab", 3}, {(const uint8_t *)"a\xFF", 2}};
    query = ask_for("aab", 5);
    query.previous = previous;
    query.n_previous = 1;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_UTF8);
    query.previous_weight = NAN;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_ARGUMENT);
    query.n_previous = UINT32_MAX;
    CHECK(esp_retrieve(made.index, scratch, &query, out, 8, &n, &err) == ESP_E_LIMIT);
    CHECK(n == 77); /* outputs are written only on success */
    esp_scratch_free(scratch);
    esp_scratch_free(other);
    small_free(&made);
    small_free(&plain);
}

static void nothing_known_is_popular_where_that_is_wanted(void) {
    small_index made = small_with_products();
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    esp_product out[POOL];
    size_t n = 0;
    esp_retrieval query = ask_for("", 9);
    CHECK(esp_retrieve(made.index, scratch, &query, out, POOL, &n, NULL) == ESP_OK && n == 0);
    query.flags |= ESP_RETRIEVAL_POPULAR;
    CHECK(esp_retrieve(made.index, scratch, &query, out, POOL, &n, NULL) == ESP_OK && n == 9);
    for (size_t i = 0; i < n; i++) {
        CHECK(out[i].score == (float)esp_label_users(made.index, out[i].label));
        CHECK(i == 0 || out[i - 1].score >= out[i].score);
    }
    esp_scratch_free(scratch);
    small_free(&made);
}

static void every_feature_has_a_name(void) {
    for (uint32_t i = 0; i < esp_retrieval_feature_count(); i++)
        CHECK(esp_retrieval_feature_name(i)[0] != '\0');
    CHECK(esp_retrieval_feature_name(esp_retrieval_feature_count()) == NULL);
    CHECK(esp_retrieval_features_id() != esp_features_id());
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(fewer_products_are_the_first_of_more);
    TEST(a_query_allocates_nothing);
    TEST(what_the_host_found_joins_once);
    TEST(limits_and_bad_arguments_are_refused);
    TEST(nothing_known_is_popular_where_that_is_wanted);
    TEST(every_feature_has_a_name);
    return TEST_END();
}
