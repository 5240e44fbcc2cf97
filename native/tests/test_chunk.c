/* test_chunk.c: encoded weights against a dense matrix. */
#include "test.h"

#include "../src/chunk.h"

#include <math.h>

enum { MOST_FEATURES = 400, MOST_CHILDREN = 600 };

static float dense[MOST_CHILDREN][MOST_FEATURES];
static float bias[MOST_CHILDREN];
static uint64_t col_ptr[MOST_CHILDREN + 1];
static uint32_t row[MOST_CHILDREN * MOST_FEATURES];
static float val[MOST_CHILDREN * MOST_FEATURES];

/* One weight in `rarity`; `rarity` 1: all. */
static void random_weights(
    uint32_t n_children, uint32_t n_features, uint32_t rarity, uint64_t seed) {
    uint64_t n = 0;
    memset(dense, 0, sizeof dense);
    for (uint32_t c = 0; c < n_children; c++) {
        bias[c] = (float)((double)(esp_random_next(&seed) >> 40) / (1 << 23) - 1);
        for (uint32_t f = 0; f < n_features; f++) {
            if ((esp_random_next(&seed) >> 40) % rarity != 0)
                continue;
            dense[c][f] = (float)((double)(esp_random_next(&seed) >> 40) / (1 << 23) - 1);
            row[n] = f;
            val[n++] = dense[c][f];
        }
        col_ptr[c + 1] = n;
    }
}

static void check_margins(
    uint32_t n_children, uint32_t n_features, uint32_t rarity, uint32_t weight_bits) {
    const uint32_t bits = esp_feature_bits(n_features);
    uint8_t *data = NULL;
    size_t bytes = 0;
    random_weights(n_children, n_features, rarity, n_children * 31 + n_features);
    CHECK(esp_chunk_encode(n_children, n_features, col_ptr, row, val, bias, weight_bits, &data,
              &bytes, NULL) == ESP_OK);
    esp_feature query[MOST_FEATURES];
    for (uint32_t f = 0; f < n_features; f++)
        query[f] = (esp_feature){.mixed = esp_feature_mix(f, bits), .value = (float)(f % 5) - 2};
    size_t at = 0;
    for (uint32_t first = 0; first < n_children; first += ESP_CHUNK_COLUMNS) {
        esp_chunk chunk;
        float margin[ESP_CHUNK_COLUMNS];
        CHECK(esp_chunk_open(data + at, bytes - at, bits, &chunk));
        CHECK(esp_chunk_validate(&chunk, bits) == NULL);
        CHECK(chunk.head->n_cols == esp_min_u32(n_children - first, ESP_CHUNK_COLUMNS));
        const esp_chunk_job job = {chunk, query, n_features, margin};
        CHECK(esp_chunk_score(&job, 1, bits));
        for (uint32_t c = 0; c < chunk.head->n_cols; c++) {
            double expected = bias[first + c];
            for (uint32_t f = 0; f < n_features; f++)
                expected += (double)query[f].value * (double)dense[first + c][f];
            const double step = weight_bits == 32 ? 0 : (double)chunk.head->scale;
            CHECK(fabs(expected - (double)margin[c]) <= 1e-4 + step * n_features);
        }
        at += chunk.head->bytes;
    }
    CHECK(at == bytes);
    esp_buffer_free(data);
}

static void margins_are_those_of_a_dense_matrix(void) {
    check_margins(1, 1, 1, 32);
    check_margins(2, 2, 1, 16);
    check_margins(7, 33, 3, 32);
    check_margins(256, 300, 9, 16);
    check_margins(257, 300, 9, 32);
    check_margins(600, 100, 5, 16);
    check_margins(256, 400, 1, 32); /* more than 65,535 weights */
    check_margins(256, 400, 1, 16);
    check_margins(5, 64, 100000, 16); /* none */
}

/* Jobs over the same and over other chunks, with few, many and no features: what
 * is scored together is what each gives alone, to the bit. */
static void chunks_scored_together_give_what_each_gives_alone(void) {
    static const uint32_t columns[4] = {1, 9, 64, 256};
    const uint32_t bits = esp_feature_bits(300);
    uint8_t *data[4];
    esp_chunk chunk[4];
    esp_feature query[300];
    uint64_t random = 5;
    for (uint32_t i = 0; i < 4; i++) {
        size_t bytes = 0;
        random_weights(columns[i], 300, i + 1, i);
        CHECK(esp_chunk_encode(columns[i], 300, col_ptr, row, val, bias, i % 2 == 0 ? 16 : 32,
                  &data[i], &bytes, NULL) == ESP_OK);
        CHECK(esp_chunk_open(data[i], bytes, bits, &chunk[i]));
    }
    for (uint32_t f = 0; f < 300; f++)
        query[f] = (esp_feature){.mixed = esp_feature_mix(f, bits), .value = (float)(f % 7) - 3};
    for (uint32_t round = 0; round < 200; round++) {
        static float together[ESP_CHUNK_JOBS][ESP_CHUNK_COLUMNS];
        esp_chunk_job jobs[ESP_CHUNK_JOBS];
        const uint32_t n = 1 + (uint32_t)(esp_random_next(&random) % ESP_CHUNK_JOBS);
        for (uint32_t j = 0; j < n; j++) {
            const uint32_t first = (uint32_t)(esp_random_next(&random) % 300);
            const uint32_t most = round % 2 == 0 ? 4 : 300 - first;
            jobs[j] = (esp_chunk_job){.chunk = chunk[esp_random_next(&random) % 4],
                .features = query + first,
                .n_features = (uint32_t)(esp_random_next(&random) % (most + 1)),
                .out = together[j]};
            if (first + jobs[j].n_features > 300)
                jobs[j].n_features = 300 - first;
        }
        CHECK(esp_chunk_score(jobs, n, bits));
        for (uint32_t j = 0; j < n; j++) {
            float alone[ESP_CHUNK_COLUMNS];
            esp_chunk_job job = jobs[j];
            job.out = alone;
            CHECK(esp_chunk_score(&job, 1, bits));
            CHECK(memcmp(alone, together[j], job.chunk.head->n_cols * sizeof *alone) == 0);
        }
    }
    for (uint32_t i = 0; i < 4; i++)
        esp_buffer_free(data[i]);
}

/* Keys that occur several times, at any alignment. */
static void eight_keys_are_matched_like_one_after_the_other(void) {
    uint16_t keys[64];
    uint64_t random = 9;
    for (uint32_t round = 0; round < 20000; round++) {
        for (uint32_t i = 0; i < 16; i++)
            keys[i] = (uint16_t)((esp_random_next(&random) >> 40) & (round % 2 ? 3 : 0xFFFF));
        const uint32_t first = round % 9;
        const uint16_t wanted =
            round % 3 == 0 ? keys[first + round % 8] : (uint16_t)(esp_random_next(&random) >> 48);
        CHECK(
            esp_match_eight(keys + first, wanted) == esp_match_eight_scalar(keys + first, wanted));
    }
}

static void mixing_is_a_bijection(void) {
    static uint8_t seen[1 << 17];
    for (uint32_t bits = 0; bits <= 17; bits++) {
        memset(seen, 0, sizeof seen);
        for (uint32_t f = 0; f < (uint32_t)1 << bits; f++) {
            const uint32_t mixed = esp_feature_mix(f, bits);
            if (mixed >> bits != 0 || seen[mixed]++)
                CHECK(!"a bijection");
        }
    }
    CHECK(esp_bits_for(0) == 0 && esp_bits_for(1) == 0 && esp_bits_for(2) == 1);
    CHECK(esp_bits_for(65536) == 16 && esp_bits_for(65537) == 17);
    CHECK(esp_bits_for(UINT32_MAX) == 32);
}

static void bad_weights_are_refused(void) {
    const uint64_t two[3] = {0, 2, 4};
    const uint64_t falling[3] = {2, 1, 4};
    const uint32_t rows[4] = {0, 3, 1, 2};
    const uint32_t unsorted[4] = {3, 0, 1, 2};
    const uint32_t outside[4] = {0, 4, 1, 2};
    const float good[4] = {1, 2, 3, 4};
    const float bad[4] = {1, 2, NAN, 4};
    const float biases[2] = {0, 0};
    const float bad_biases[2] = {0, INFINITY};
    uint8_t *data = NULL;
    size_t bytes = 0;
    CHECK(esp_chunk_encode(2, 4, two, unsorted, good, biases, 16, &data, &bytes, NULL) ==
          ESP_E_ARGUMENT);
    CHECK(esp_chunk_encode(2, 4, two, outside, good, biases, 16, &data, &bytes, NULL) ==
          ESP_E_ARGUMENT);
    CHECK(esp_chunk_encode(2, 4, falling, rows, good, biases, 16, &data, &bytes, NULL) ==
          ESP_E_ARGUMENT);
    CHECK(
        esp_chunk_encode(2, 4, two, rows, bad, biases, 16, &data, &bytes, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_chunk_encode(2, 4, two, rows, good, bad_biases, 32, &data, &bytes, NULL) ==
          ESP_E_ARGUMENT);
    CHECK(
        esp_chunk_encode(2, 4, two, rows, good, biases, 8, &data, &bytes, NULL) == ESP_E_ARGUMENT);
    CHECK(
        esp_chunk_encode(0, 4, two, rows, good, biases, 16, &data, &bytes, NULL) == ESP_E_ARGUMENT);
    CHECK(esp_chunk_encode(2, UINT32_MAX, two, rows, good, biases, 16, &data, &bytes, NULL) ==
          ESP_E_LIMIT);
    CHECK(data == NULL);
}

/* Every byte of a chunk changed to every of a few values: opening refuses it,
 * or scoring stays in bounds (the sanitizers watch) and says so. */
static void damaged_chunks_are_safe(void) {
    const uint32_t bits = esp_feature_bits(40);
    uint8_t *data = NULL;
    size_t bytes = 0;
    random_weights(9, 40, 2, 3);
    CHECK(esp_chunk_encode(9, 40, col_ptr, row, val, bias, 16, &data, &bytes, NULL) == ESP_OK);
    esp_feature query[40];
    for (uint32_t f = 0; f < 40; f++)
        query[f] = (esp_feature){.mixed = esp_feature_mix(f, bits), .value = 1};
    const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x10};
    for (size_t i = 0; i < bytes; i++)
        for (size_t j = 0; j < sizeof changes; j++) {
            float margin[ESP_CHUNK_COLUMNS];
            esp_chunk chunk;
            data[i] ^= changes[j];
            if (esp_chunk_open(data, bytes, bits, &chunk)) {
                const esp_chunk_job job = {chunk, query, 40, margin};
                (void)esp_chunk_score(&job, 1, bits);
                (void)esp_chunk_validate(&chunk, bits);
            }
            data[i] ^= changes[j];
        }
    for (size_t room = 0; room < bytes; room++) {
        esp_chunk chunk;
        if (esp_chunk_open(data, room, bits, &chunk))
            CHECK(!"a chunk cut short");
    }
    esp_buffer_free(data);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(margins_are_those_of_a_dense_matrix);
    TEST(chunks_scored_together_give_what_each_gives_alone);
    TEST(eight_keys_are_matched_like_one_after_the_other);
    TEST(mixing_is_a_bijection);
    TEST(bad_weights_are_refused);
    TEST(damaged_chunks_are_safe);
    return TEST_END();
}
