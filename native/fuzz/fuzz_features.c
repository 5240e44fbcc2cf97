/* fuzz_features.c: any bytes as texts, hashed and vectorised both ways.
 *
 *   kind | cut | text 0x00 text ...
 *
 * Beyond memory: keys ascend, weights are finite, vectors have unit length. */
#include "fuzz.h"

#include "../src/utf8.h"
#include "../tests/small_index.h"

#include <math.h>

enum {
    KINDS = ESP_FEATURE_WORD_CHARS_5 + 1,
    HEAD = 2,
    MOST_TEXTS = 16,
    MOST_BYTES = 4096,
    ROOM = 3 * MOST_BYTES + 64
};

static void demand(int condition) {
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    static uint32_t keys[ROOM];
    static uint32_t cols[ROOM];
    static float weights[ROOM];
    static float idf[ROOM];
    if (length < HEAD || length > MOST_BYTES)
        return 0;
    const uint8_t *blob = data + HEAD;
    uint64_t offsets[MOST_TEXTS] = {0};
    uint32_t lengths[MOST_TEXTS] = {0};
    uint32_t n = 0;
    for (size_t at = 0; n < MOST_TEXTS && at <= length - HEAD; n++) {
        const uint8_t *zero = at < length - HEAD ? memchr(blob + at, 0, length - HEAD - at) : NULL;
        const size_t stop = zero == NULL ? length - HEAD : (size_t)(zero - blob);
        offsets[n] = at;
        lengths[n] = (uint32_t)(stop - at);
        at = stop + 1;
    }
    uint64_t ptr[MOST_TEXTS + 1];
    const esp_status status = esp_features_hash(
        blob, offsets, lengths, n, data[0] % (KINDS + 1), keys, weights, ptr, ROOM, NULL);
    bool all_utf8 = true;
    for (uint32_t i = 0; i < n; i++)
        all_utf8 = all_utf8 && esp_utf8_check(blob + offsets[i], lengths[i]) == lengths[i];
    if (data[0] % (KINDS + 1) == KINDS) {
        demand(status != ESP_OK);
        return 0;
    }
    demand(status == (all_utf8 ? ESP_OK : ESP_E_UTF8));
    if (!all_utf8)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint64_t e = ptr[i]; e < ptr[i + 1]; e++)
            demand(
                (e == ptr[i] || keys[e - 1] < keys[e]) && isfinite(weights[e]) && weights[e] > 0);
    /* The first text's features are the known ones. */
    for (size_t i = 0; i < ptr[1]; i++)
        idf[i] = 1;
    const esp_space space = {.keys = keys,
        .idf = idf,
        .n_features = (uint32_t)ptr[1],
        .prefix_features = data[0] % 3,
        .context_decay = 0.5f,
        .max_context = data[0] / 16};
    const uint64_t context_ptr[2] = {0, n - 1};
    uint32_t context[MOST_TEXTS];
    for (uint32_t i = 0; i < n; i++)
        context[i] = n - 1 - i;
    const uint32_t prefix_text[1] = {0};
    const uint32_t prefix_bytes[1] = {lengths[0] == 0 ? 0 : data[1] % (lengths[0] + 1)};
    const esp_rows rows = {.blob = blob,
        .offsets = offsets,
        .lengths = lengths,
        .n_texts = n,
        .n_rows = 1,
        .context_ptr = context_ptr,
        .context = context,
        .prefix_text = prefix_text,
        .prefix_bytes = prefix_bytes};
    uint64_t out_ptr[2];
    if (esp_features_vectorise(&space, &rows, out_ptr, cols, weights, ROOM, NULL) != ESP_OK)
        return 0;
    double squares = 0;
    for (uint64_t e = 0; e < out_ptr[1]; e++) {
        demand(cols[e] < space.n_features && (e == 0 || cols[e - 1] < cols[e]));
        squares += (double)weights[e] * (double)weights[e];
    }
    demand(out_ptr[1] == 0 || fabs(squares - 1) < 1e-4);
    return 0;
}

void fuzz_seeds(void) {
    static const char *const texts[] = {"\x10\x02red shoes\0blue shoes",
        "\x21\x03\xE5\xAD\x97\xE5\xAD\x97\0a b", "\x42\x05nike\0nike air"};
    static const size_t lengths[] = {22, 12, 16};
    for (size_t i = 0; i < 3; i++)
        fuzz_seed((const uint8_t *)texts[i], lengths[i]);
}
