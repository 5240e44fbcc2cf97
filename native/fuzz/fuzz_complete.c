/* fuzz_complete.c: any bytes as a query on a good index.
 *
 *   k | beam | pool | sources, matcher, flags | prefix 0x00 previous 0x00 previous ...
 *
 * Beyond memory: what comes back keeps the contract. */
#include "fuzz.h"

#include "../tests/small_index.h"

enum { HEAD = 4, MOST_PREVIOUS = 40, K = 100 };

static small_index made;
static esp_scratch *scratch;

static void demand(int condition) {
    if (!condition)
        abort();
}

/* Labels of the range that may come back: all but the query submitted last. */
static uint32_t eligible(const esp_query *query, uint32_t lo, uint32_t hi) {
    uint32_t n = hi - lo;
    for (uint32_t label = lo; label < hi && query->n_previous > 0; label++) {
        esp_text text;
        esp_text display;
        demand(esp_label_text(made.index, label, &text, &display, NULL) == ESP_OK);
        n -= text.length == query->previous[0].length &&
             memcmp(text.data, query->previous[0].data, text.length) == 0;
    }
    return n;
}

static void check(const esp_query *query, const esp_suggestion *out, size_t count) {
    uint32_t lo = 0;
    uint32_t hi = 0;
    demand(esp_prefix_range(made.index, query->prefix.data, query->prefix.length, &lo, &hi, NULL) ==
           ESP_OK);
    const uint32_t k = query->k == 0 ? 10 : query->k;
    const uint32_t sources = query->sources == 0 ? ESP_SOURCE_POPULAR : query->sources;
    size_t exact = 0;
    while (exact < count && out[exact].source != ESP_SOURCE_CORRECTED)
        exact++;
    demand(count <= k && exact <= eligible(query, lo, hi));
    if ((sources & ESP_SOURCE_POPULAR) != 0 && (query->flags & ESP_QUERY_KEEP_VARIANTS) != 0)
        demand(exact == esp_min_u32(k, eligible(query, lo, hi)));
    for (size_t i = exact; i < count; i++)
        demand(out[i].source == ESP_SOURCE_CORRECTED && (out[i].label < lo || out[i].label >= hi));
    for (size_t i = 0; i < exact; i++) {
        const esp_suggestion *one = &out[i];
        demand(one->label >= lo && one->label < hi);
        demand(one->text.length >= query->prefix.length);
        demand(query->prefix.length == 0 ||
               memcmp(one->text.data, query->prefix.data, query->prefix.length) == 0);
        demand(i == 0 || out[i - 1].score > one->score ||
               (out[i - 1].score == one->score && out[i - 1].label < one->label));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    if (made.index == NULL) {
        made = small_make(SMALL_PAIRS, ESP_POST_L3_HINGE, 16);
        demand(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    }
    if (length < HEAD)
        return 0;
    esp_text texts[MOST_PREVIOUS + 1] = {{0}};
    uint32_t n = 0;
    const uint8_t *at = data + HEAD;
    const uint8_t *end = data + length;
    while (n <= MOST_PREVIOUS) {
        const uint8_t *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        const uint8_t *stop = zero == NULL ? end : zero;
        texts[n++] = (esp_text){at, (uint64_t)(stop - at)};
        if (zero == NULL)
            break;
        at = zero + 1;
    }
    const esp_query query = {.struct_size = sizeof query,
        .prefix = texts[0],
        .previous = texts + 1,
        .n_previous = n - 1,
        .k = data[0],
        .beam = data[1],
        .pool = (uint32_t)data[2] * 16,
        .sources = data[3] & 15u,
        .matcher = data[3] >> 4 & 3u,
        .flags = data[3] >> 6 & 3u};
    esp_suggestion out[K];
    size_t count = 0;
    if (esp_complete(made.index, scratch, &query, out, K, &count, NULL) == ESP_OK)
        check(&query, out, count);
    return 0;
}

void fuzz_seeds(void) {
    static const char *const texts[] = {"\x05\x01\x01\x01\x61\0aab de\0aac",
        "\x64\x0A\x40\x13\x61\x61\0\xE5\xAD\x97\xE5\xAD\x97\0x y z",
        "\x01\x64\x7F\x22\x61\x61\x62\x20\x64\0\xF0\x9F\x91\x9F"};
    static const size_t lengths[] = {15, 20, 14};
    for (size_t i = 0; i < 3; i++)
        fuzz_seed((const uint8_t *)texts[i], lengths[i]);
}
