/* lanes.h: the inner loop of forest.c, for sixteen rows at a time.
 *
 * Twice: in plain C, and with the vectors of GNU C, which are SSE2 on every
 * x86-64 and NEON on every 64-bit ARM.  Both compare and mask small integers, so
 * they agree bit for bit; a test holds them together. */
#ifndef ESP_LANES_H
#define ESP_LANES_H

#include "format.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { ESP_LANES = 16, ESP_FOREST_ROWS = 64 };

/* How many thresholds are below each row's value, less 128: SSE2 compares
 * signed bytes. */
typedef struct esp_bins {
    _Alignas(ESP_LANES) int8_t of[ESP_FOREST_COLUMNS][ESP_FOREST_ROWS];
} esp_bins;

/* Bit i of alive[row]: leaf i of eight is not struck by any of the n tests.
 * The first 16 * n_groups rows. */
static inline void esp_strike_plain(const esp_forest_test *test, uint32_t n, const esp_bins *bins,
    uint32_t n_groups, uint8_t *alive) {
    memset(alive, 0xFF, n_groups * ESP_LANES);
    for (uint32_t i = 0; i < n; i++) {
        const int8_t *bin = bins->of[test[i].column % ESP_FOREST_COLUMNS];
        const int32_t limit = test[i].limit - 128;
        for (uint32_t row = 0; row < n_groups * ESP_LANES; row++)
            alive[row] &= (uint8_t)(bin[row] < limit ? 0xFF : test[i].keep);
    }
}

#if defined(__GNUC__)

typedef int8_t esp_lanes __attribute__((vector_size(ESP_LANES)));

static inline __attribute__((always_inline)) esp_lanes esp_lanes_load(const int8_t *from) {
    esp_lanes lanes;
    memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

static inline __attribute__((always_inline)) esp_lanes esp_lanes_splat(uint32_t byte) {
    const uint64_t eight = byte * 0x0101010101010101u;
    const uint64_t both[2] = {eight, eight};
    esp_lanes lanes;
    memcpy(&lanes, both, sizeof lanes);
    return lanes;
}

/* A test's limit, less 128, and what it keeps, in all lanes. */
static inline __attribute__((always_inline)) void esp_lanes_test(
    const esp_forest_test *test, esp_lanes *limit, esp_lanes *keep) {
#if defined(__SSE2__)
    /* Six instructions instead of ten, of the thirty a test takes. */
    int32_t word;
    memcpy(&word, test, sizeof word);
    const __m128i single = _mm_cvtsi32_si128(word);
    const __m128i twice = _mm_unpacklo_epi8(single, single);
    const __m128i second = _mm_shuffle_epi32(_mm_shufflelo_epi16(twice, 0x55), 0);
    const __m128i third = _mm_shuffle_epi32(_mm_shufflelo_epi16(twice, 0xAA), 0);
    *limit = (esp_lanes)_mm_xor_si128(second, _mm_set1_epi8(-128));
    *keep = (esp_lanes)third;
    static_assert(offsetof(esp_forest_test, limit) == 1, "second");
    static_assert(offsetof(esp_forest_test, keep) == 2, "third");
#else
    *limit = esp_lanes_splat(test->limit ^ 0x80u);
    *keep = esp_lanes_splat(test->keep);
#endif
}

/* `n_groups` is a constant where this is called, so that the groups stay in
 * registers. */
static inline __attribute__((always_inline)) void esp_strike_groups(const esp_forest_test *test,
    uint32_t n, const esp_bins *bins, uint32_t n_groups, uint8_t *alive) {
    esp_lanes left[ESP_FOREST_ROWS / ESP_LANES];
    for (uint32_t g = 0; g < n_groups; g++)
        left[g] = esp_lanes_splat(0xFF);
    for (uint32_t i = 0; i < n; i++) {
        const int8_t *bin = bins->of[test[i].column % ESP_FOREST_COLUMNS];
        esp_lanes limit;
        esp_lanes keep;
        esp_lanes_test(&test[i], &limit, &keep);
        for (uint32_t g = 0; g < n_groups; g++)
            left[g] &= keep | (esp_lanes)(limit > esp_lanes_load(bin + g * ESP_LANES));
    }
    for (uint32_t g = 0; g < n_groups; g++)
        memcpy(alive + g * ESP_LANES, &left[g], sizeof left[g]);
}

#endif

/* The same as esp_strike_plain(). */
static inline void esp_strike(const esp_forest_test *test, uint32_t n, const esp_bins *bins,
    uint32_t n_groups, uint8_t *alive) {
#if defined(__GNUC__)
    switch (n_groups) {
    case 1: esp_strike_groups(test, n, bins, 1, alive); break;
    case 2: esp_strike_groups(test, n, bins, 2, alive); break;
    case 3: esp_strike_groups(test, n, bins, 3, alive); break;
    default: esp_strike_groups(test, n, bins, 4, alive); break;
    }
#else
    esp_strike_plain(test, n, bins, n_groups, alive);
#endif
}

#endif
