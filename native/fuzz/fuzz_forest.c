/* fuzz_forest.c: any bytes as a scorer.
 *
 * Beyond memory: no score is NaN, and a row has the same score alone and among
 * others. */
#include "fuzz.h"

#include <math.h>

#include "../tests/small_forest.h"
#include "../tests/small_index.h"

enum { ROWS = 70 };

static void demand(int condition) {
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    static const float telling[] = {0, 0.25f, -0.25f, 1, -1e9f, 1e-40f, INFINITY, -INFINITY, NAN};
    static float x[ROWS * ESP_FOREST_FEATURES];
    static float score[ROWS];
    float contribution[ESP_FOREST_FEATURES + 1];
    uint64_t state = length;
    for (uint32_t i = 0; i < ROWS * ESP_FOREST_FEATURES; i++)
        x[i] = forest_draw(&state, 4) == 0
                   ? telling[forest_draw(&state, sizeof telling / sizeof *telling)]
                   : forest_number(&state, 200);
    if (esp_forest_predict(data, length, x, ROWS, ESP_FOREST_FEATURES, score, NULL) != ESP_OK)
        return 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        float alone = 0;
        const float *row = x + i * ESP_FOREST_FEATURES;
        demand(!isnan(score[i]));
        demand(
            esp_forest_predict(data, length, row, 1, ESP_FOREST_FEATURES, &alone, NULL) == ESP_OK);
        demand(alone == score[i]);
    }
    esp_forest_header head;
    memcpy(&head, data, sizeof head);
    demand(
        esp_forest_contributions(data, length, x, head.n_features, contribution, NULL) == ESP_OK);
    const esp_params params = {.default_matcher = ESP_MATCH_CONSTRAINED};
    const small_part parts[2] = {
        {ESP_SEC_PARM, &params, sizeof params}, {ESP_SEC_FRST, data, length}};
    small_index made = small_assemble(parts, 2);
    demand(esp_index_open_memory(made.bytes, made.length, &made.index, NULL) == ESP_OK);
    (void)esp_index_validate(made.index, NULL);
    small_free(&made);
    return 0;
}

void fuzz_seeds(void) {
    for (uint32_t i = 0; i < 4; i++) {
        small_forest made = forest_make(1 + 4 * i, 3 * i, 2 + 10 * i, false, true, 20, i);
        fuzz_seed(made.section, made.length);
        forest_free(&made);
    }
}
