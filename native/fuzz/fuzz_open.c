/* fuzz_open.c: any bytes as an index file.
 *
 * Checksums of header and table are mended first: they would stop every mutation
 * at the door, and whoever damages a file on purpose mends them too.  Then the
 * index is opened, checked and used, whatever the checks say. */
#include "fuzz.h"

#include "../tests/small_model.h"

static void mend(uint8_t *bytes, size_t length) {
    esp_file_header head;
    if (length < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    memcpy(head.magic, ESP_MAGIC, sizeof head.magic);
    head.major = ESP_FORMAT_MAJOR;
    head.endian = ESP_ENDIAN_MARK;
    head.file_bytes = length;
    const uint64_t table_bytes = (uint64_t)head.n_sections * sizeof(esp_file_section);
    if (head.table_offset <= length && table_bytes <= length - head.table_offset)
        head.table_crc = esp_crc32c(0, bytes + head.table_offset, (size_t)table_bytes);
    head.header_crc = esp_crc32c(0, (const uint8_t *)&head, offsetof(esp_file_header, header_crc));
    memcpy(bytes, &head, sizeof head);
}

/* Texts that are handed out can be read; a sum of a byte of each is for the sanitizer. */
static float read_texts(const esp_suggestion *out, size_t count) {
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        if (out[i].text.length > 0 && out[i].display.length > 0)
            sum += (float)(out[i].text.data[out[i].text.length - 1] + out[i].display.data[0]);
    return sum;
}

static void use_words(const esp_index *index) {
    static const char *const words[] = {"aab", "de", "aac", "zz", "a"};
    esp_text before[3];
    esp_word likely[64];
    size_t count = 0;
    for (size_t i = 0; i < 5; i++) {
        for (size_t b = 0; b < 3; b++)
            before[b] = (esp_text){(const uint8_t *)words[(i + b) % 5], strlen(words[(i + b) % 5])};
        float chance = 0;
        if (esp_word_chance(index, before, i % 4, before[0].data, (size_t)before[0].length, &chance,
                NULL) == ESP_OK &&
            !(chance > 0 && chance <= 1))
            abort(); /* no probability */
        if (esp_word_likely(index, before, i % 4, (const uint8_t *)"a", i % 2, likely,
                (uint32_t)(i * 16), &count, NULL) != ESP_OK)
            continue;
        for (size_t k = 0; k < count; k++)
            if (!(likely[k].chance > 0 && likely[k].chance <= 1) ||
                (likely[k].text.length > 0 && likely[k].text.data[0] == 0xFF))
                abort(); /* no probability, or no text */
    }
}

/* Products, with and without a list of another engine. */
static void use_products(const esp_index *index, esp_scratch *scratch) {
    static const char *const queries[] = {"", "a", "ab d", "a b c", "d \xC3\xA9", "aab 7 de"};
    static const uint32_t host[] = {0, 2, 1};
    esp_product out[40];
    esp_error err;
    size_t count = 0;
    for (uint32_t q = 0; q < 6; q++) {
        const esp_text text = {(const uint8_t *)queries[q], strlen(queries[q])};
        const esp_text previous[2] = {text, text};
        const uint32_t value = q / 2;
        const esp_filter filter = {.any_of = &value, .n_any = 1};
        const esp_retrieval query = {.struct_size = sizeof query,
            .k = 1 + 13 * (q % 4),
            .beam = q % 3,
            .flags = q % 2 == 0 ? (uint32_t)ESP_RETRIEVAL_FEATURES : ESP_RETRIEVAL_POPULAR,
            .filter = q % 3 == 0 && esp_attribute_count(index) > 0 ? &filter : NULL,
            .previous = previous,
            .n_previous = q % 2,
            .previous_weight = 0.5f,
            .host = host,
            .n_host = q % 4,
            .words = text,
            .text = text};
        if (esp_retrieve(index, scratch, &query, out, 40, &count, &err) != ESP_OK)
            continue;
        const uint32_t *labels = NULL;
        const float *rows = NULL;
        const size_t n = esp_scratch_get_retrieved(scratch, &labels, &rows);
        esp_text id, title;
        for (size_t i = 0; i < count; i++)
            if (esp_label_text(index, out[i].label, &id, &title, NULL) == ESP_E_ARGUMENT)
                abort(); /* a product that does not exist */
        for (size_t i = 0; i < n * esp_retrieval_feature_count(); i++)
            out[0].score += rows[i];
    }
}

static void use(const esp_index *index) {
    static const char *const prefixes[] = {
        NULL, "a", "aab", "ab ", "aab de", "abb d", "\xC3\xA9", "de a", "zzs aab "};
    static const uint32_t sources[] = {
        0, ESP_SOURCE_MODEL, ESP_SOURCE_POPULAR, ESP_SOURCE_TAIL, ESP_SOURCE_CORRECTED};
    esp_scratch *scratch = NULL;
    if (esp_scratch_new(index, NULL, &scratch, NULL) != ESP_OK)
        return;
    const esp_text previous[4] = {{(const uint8_t *)"aab de", 6}, {(const uint8_t *)"aac", 3},
        {NULL, 0}, {(const uint8_t *)"\xC3\xA9 aabaac aab", 13}};
    const uint32_t age[4] = {0, 60, 600, UINT32_MAX};
    esp_suggestion out[20];
    esp_fuzzy_match near[20];
    uint32_t labels[20];
    float scores[20] = {0};
    size_t count = 0;
    esp_text text;
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
        const esp_text prefix = {
            (const uint8_t *)prefixes[p], prefixes[p] == NULL ? 0 : strlen(prefixes[p])};
        for (uint32_t kind = 0; kind < 5; kind++) {
            const esp_query query = {.struct_size = sizeof query,
                .prefix = prefix,
                .previous = previous,
                .previous_age = kind % 2 == 0 ? age : NULL,
                .n_previous = 4 - kind % 3,
                .k = 20,
                .sources = sources[kind],
                .matcher = kind % 3};
            if (esp_complete(index, scratch, &query, out, 20, &count, NULL) == ESP_OK)
                scores[0] += read_texts(out, count);
        }
        (void)esp_popular(index, scratch, prefix.data, prefix.length, labels, 20, &count, NULL);
        uint32_t visited = 0;
        if (esp_fuzzy_ranges(index, prefix.data, prefix.length, 2, 0, near, 20, &count, &visited,
                NULL) == ESP_OK)
            for (size_t i = 0; i < count; i++)
                if (near[i].lo >= near[i].hi ||
                    esp_label_text(index, near[i].hi - 1, &text, &text, NULL) == ESP_E_ARGUMENT)
                    abort(); /* a range of labels that do not exist */
    }
    use_words(index);
    use_products(index, scratch);
    esp_index_info info;
    esp_index_get_info(index, &info);
    const uint64_t row_ptr[2] = {0, 2};
    const uint32_t col[2] = {0, info.n_features / 2};
    const float val[2] = {1, -1};
    const esp_csr x = {row_ptr, col, val, 1, info.n_features};
    (void)esp_predict(index, scratch, &x, 0, 10, 20, labels, scores, &count, NULL);
    uint32_t counts[1];
    (void)esp_predict_batch(index, scratch, &x, 0, 1, 10, 20, labels, scores, counts, NULL);
    esp_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    /* Of the exact size, so that a read behind the file is seen. */
    void *block = NULL;
    if (posix_memalign(&block, ESP_ALIGNMENT, length == 0 ? 1 : length) != 0)
        abort();
    uint8_t *bytes = block;
    if (length > 0)
        memcpy(bytes, data, length);
    mend(bytes, length);
    esp_index *index = NULL;
    esp_error err;
    if (esp_index_open_memory(bytes, length, &index, &err) == ESP_OK) {
        (void)esp_index_verify(index, &err);
        (void)esp_index_validate(index, &err);
        use(index);
        esp_index_close(index);
    }
    free(block);
    return 0;
}

void fuzz_seeds(void) {
    static const uint32_t posts[] = {ESP_POST_NOOP, ESP_POST_SIGMOID, ESP_POST_L3_HINGE};
    for (uint32_t i = 0; i < 3; i++) {
        small_index made = small_make(4 + 60 * i, posts[i], i % 2 == 0 ? 16 : 32);
        fuzz_seed(made.bytes, made.length);
        small_free(&made);
    }
    for (uint32_t i = 0; i < 3; i++) {
        small_index made = small_make_spoken(4 + 20 * i, 3 + 30 * i, i);
        fuzz_seed(made.bytes, made.length);
        small_free(&made);
    }
}
