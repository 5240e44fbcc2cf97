/* test_forest.c: the scorer against a walk from root to leaf. */
#include "test.h"

#include "small_forest.h"
#include "small_index.h"

#include "../src/index.h"
#include "../src/lanes.h"

enum { MOST_ROWS = 200 };

/* ---- the twin ----------------------------------------------------------- */

static const plain_node *walk(const plain_tree *tree, int32_t at, const float *row) {
    const plain_node *node = &tree->node[at];
    if (node->left < 0)
        return node;
    const float value = isnan(row[node->feature]) ? node->missing : row[node->feature];
    return walk(tree, value <= node->threshold ? node->left : node->right, row);
}

static float twin_score(const small_forest *made, const float *row) {
    float score = made->bias;
    for (uint32_t f = 0; f < made->n_features; f++)
        if (made->weight[f] != 0)
            score += made->weight[f] * (isfinite(row[f]) ? row[f] : made->fill[f]);
    for (uint32_t t = 0; t < made->n_trees; t++)
        score += walk(&made->trees[t], 0, row)->value;
    return score;
}

static void twin_explain_tree(
    const plain_tree *tree, int32_t at, const float *row, uint32_t n_features, double *sum) {
    const plain_node *node = &tree->node[at];
    if (at == 0)
        sum[n_features] += (double)node->value;
    if (node->left < 0)
        return;
    const float value = isnan(row[node->feature]) ? node->missing : row[node->feature];
    const int32_t next = value <= node->threshold ? node->left : node->right;
    sum[node->feature] += (double)tree->node[next].value - (double)node->value;
    twin_explain_tree(tree, next, row, n_features, sum);
}

/* ---- shapes ------------------------------------------------------------- */

typedef struct shape {
    uint32_t n_features;
    uint32_t n_trees;
    uint32_t most_leaves;
    bool full;
    uint32_t steps;
} shape;

static const shape shapes[] = {{1, 1, 2, true, 3}, {1, 0, 2, true, 3}, {2, 3, 9, false, 8},
    {5, 40, 32, false, 40}, {7, 20, 32, true, 255}, {40, 200, 31, true, 200}, {42, 64, 17, true, 7},
    {63, 33, 8, true, 100}, {64, 5, 16, false, 255}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static small_forest make(uint32_t i) {
    const shape *s = &shapes[i];
    return forest_make(
        s->n_features, s->n_trees, s->most_leaves, s->full, s->n_features <= 42, s->steps, 11 + i);
}

/* Values on thresholds and around them, constant columns, NaN, infinities. */
static void fill_rows(const small_forest *made, float *x, uint32_t n, uint32_t stride, bool odd) {
    uint64_t state = n;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t f = 0; f < stride; f++) {
            float *value = &x[i * stride + f];
            *value = f % 4 == 1 ? 0.25f : forest_number(&state, 300);
            if (f % 3 == 0)
                *value = nextafterf(*value, forest_draw(&state, 2) == 0 ? -INFINITY : INFINITY);
            if (f >= made->n_features)
                *value = NAN; /* behind the row: not to be read */
            else if (odd && forest_draw(&state, 10) == 0)
                *value = (const float[]){NAN, INFINITY, -INFINITY, -0.0f}[forest_draw(&state, 4)];
            else if (odd && f % 8 == 5)
                *value = NAN;
        }
}

static small_index wrap(const uint8_t *section, size_t length) {
    const esp_params params = {.post_processor = ESP_POST_NOOP,
        .default_matcher = ESP_MATCH_CONSTRAINED,
        .context_decay = 1};
    const small_part parts[2] = {
        {ESP_SEC_PARM, &params, sizeof params}, {ESP_SEC_FRST, section, length}};
    small_index made_index = small_assemble(parts, 2);
    esp_index_open_memory(made_index.bytes, made_index.length, &made_index.index, NULL);
    return made_index;
}

/* ---- facts -------------------------------------------------------------- */

static void scores_are_those_of_a_walk(void) {
    static float x[MOST_ROWS * 66];
    float score[MOST_ROWS];
    static const uint32_t counts[] = {1, 7, 16, 17, 60, 64, 65, 130, 200};
    for (uint32_t i = 0; i < N_SHAPES; i++) {
        small_forest made = make(i);
        for (uint32_t odd = 0; odd < 2; odd++)
            for (uint32_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                const uint32_t n = counts[c];
                const uint32_t stride = made.n_features + c % 3;
                fill_rows(&made, x, n, stride, odd == 1);
                CHECK(esp_forest_predict(made.section, made.length, x, n, stride, score, NULL) ==
                      ESP_OK);
                for (uint32_t r = 0; r < n; r++)
                    CHECK(score[r] == twin_score(&made, x + r * stride));
            }
        forest_free(&made);
    }
}

static void contributions_are_those_of_a_walk_and_sum_to_the_score(void) {
    static float x[60 * 64];
    for (uint32_t i = 0; i < N_SHAPES; i++) {
        small_forest made = make(i);
        const uint32_t n = made.n_features;
        fill_rows(&made, x, 60, n, true);
        for (uint32_t r = 0; r < 60; r++) {
            const float *row = x + r * n;
            float contribution[ESP_FOREST_FEATURES + 1];
            CHECK(esp_forest_contributions(made.section, made.length, row, n, contribution, NULL) ==
                  ESP_OK);
            double wanted[ESP_FOREST_FEATURES + 1] = {0};
            wanted[n] = (double)made.bias;
            for (uint32_t f = 0; f < n; f++) {
                const double fill = (double)made.fill[f];
                wanted[n] += (double)made.weight[f] * fill;
                if (isfinite(row[f]))
                    wanted[f] += (double)made.weight[f] * ((double)row[f] - fill);
            }
            for (uint32_t t = 0; t < made.n_trees; t++)
                twin_explain_tree(&made.trees[t], 0, row, n, wanted);
            double sum = 0;
            for (uint32_t f = 0; f <= n; f++) {
                CHECK(fabs((double)contribution[f] - wanted[f]) < 1e-5);
                sum += (double)contribution[f];
            }
            CHECK(fabs(sum - (double)twin_score(&made, row)) < 1e-4);
        }
        forest_free(&made);
    }
}

static void an_index_scores_as_its_section_does(void) {
    static float x[60 * 40];
    small_forest made = make(5);
    small_index in = wrap(made.section, made.length);
    CHECK(in.index != NULL && esp_forest_present(in.index));
    CHECK(esp_forest_features(in.index) == 40 && esp_forest_features_id(in.index) == 7);
    CHECK(esp_index_validate(in.index, NULL) == ESP_OK);
    fill_rows(&made, x, 60, 40, true);
    float a[60];
    float b[60];
    esp_forest_score(in.index, x, 60, 40, a);
    CHECK(esp_forest_predict(made.section, made.length, x, 60, 40, b, NULL) == ESP_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    float c[41];
    float d[41];
    esp_forest_explain(in.index, x, c);
    CHECK(esp_forest_contributions(made.section, made.length, x, 40, d, NULL) == ESP_OK);
    CHECK(memcmp(c, d, sizeof c) == 0);
    small_free(&in);
    forest_free(&made);
    small_index without = small_make(4, ESP_POST_NOOP, 16);
    CHECK(!esp_forest_present(without.index));
    small_free(&without);
}

static void every_shape_is_valid(void) {
    for (uint32_t i = 0; i < N_SHAPES; i++) {
        small_forest made = make(i);
        small_index in = wrap(made.section, made.length);
        esp_error err = {0};
        CHECK(in.index != NULL && esp_index_validate(in.index, &err) == ESP_OK);
        small_free(&in);
        forest_free(&made);
    }
}

static void both_ways_to_strike_agree(void) {
    static esp_bins bins;
    esp_forest_test tests[40];
    uint64_t state = 3;
    for (uint32_t c = 0; c < ESP_FOREST_COLUMNS; c++)
        for (uint32_t r = 0; r < ESP_FOREST_ROWS; r++)
            bins.of[c][r] = (int8_t)((int32_t)forest_draw(&state, 256) - 128);
    for (uint32_t round = 0; round < 4000; round++) {
        const uint32_t n = round % 41;
        for (uint32_t i = 0; i < n; i++)
            tests[i] = (esp_forest_test){(uint8_t)forest_draw(&state, 256),
                (uint8_t)forest_draw(&state, 256),
                (uint8_t)(forest_draw(&state, 256) | forest_draw(&state, 256)), 0};
        const uint32_t n_groups = 1 + round % 4;
        uint8_t a[ESP_FOREST_ROWS] = {0};
        uint8_t b[ESP_FOREST_ROWS] = {0};
        esp_strike(tests, n, &bins, n_groups, a);
        esp_strike_plain(tests, n, &bins, n_groups, b);
        CHECK(memcmp(a, b, sizeof a) == 0);
    }
}

/* Most damage is found; all of it is survived, and no score is NaN. */
static void damaged_sections_are_survived(void) {
    static float x[70 * 7];
    float score[70];
    float contribution[8];
    uint64_t state = 5;
    small_forest made = make(4);
    fill_rows(&made, x, 70, 7, true);
    uint8_t *section = malloc(made.length);
    uint32_t found = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        memcpy(section, made.section, made.length);
        for (uint32_t i = 0; i <= round % 8; i++)
            section[round % 2 == 0 ? 64 + forest_draw(&state, (uint32_t)made.length - 64)
                                   : forest_draw(&state, 64)] = (uint8_t)forest_draw(&state, 256);
        const esp_status status = esp_forest_predict(section, made.length, x, 70, 7, score, NULL);
        CHECK(status == ESP_OK || status == ESP_E_CORRUPT || status == ESP_E_ARGUMENT);
        for (uint32_t i = 0; i < 70 && status == ESP_OK; i++)
            CHECK(!isnan(score[i]));
        (void)esp_forest_contributions(section, made.length, x, 7, contribution, NULL);
        small_index in = wrap(section, made.length);
        found += in.index == NULL || esp_index_validate(in.index, NULL) != ESP_OK;
        small_free(&in);
    }
    CHECK(found > 1500);
    free(section);
    forest_free(&made);
}

static void what_does_not_fit_is_refused(void) {
    small_forest made = make(2);
    const float x[8] = {0};
    float out[8];
    esp_error err = {0};
    CHECK(esp_forest_predict(made.section, made.length, x, 1, 1, out, &err) == ESP_E_ARGUMENT);
    CHECK(strcmp(err.check, "stride") == 0);
    CHECK(esp_forest_contributions(made.section, made.length, x, 3, out, &err) == ESP_E_ARGUMENT);
    CHECK(strcmp(err.check, "row") == 0);
    CHECK(esp_forest_predict(made.section + 1, 64, x, 1, 2, out, &err) == ESP_E_ARGUMENT);
    CHECK(esp_forest_predict(NULL, 0, x, 1, 2, out, &err) == ESP_E_ARGUMENT);
    for (uint64_t length = 0; length < made.length; length++) {
        CHECK(esp_forest_predict(made.section, length, x, 1, 2, out, &err) == ESP_E_CORRUPT);
        CHECK(strcmp(err.check, "B1") == 0);
    }
    forest_free(&made);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(scores_are_those_of_a_walk);
    TEST(contributions_are_those_of_a_walk_and_sum_to_the_score);
    TEST(an_index_scores_as_its_section_does);
    TEST(every_shape_is_valid);
    TEST(both_ways_to_strike_agree);
    TEST(damaged_sections_are_survived);
    TEST(what_does_not_fit_is_refused);
    return TEST_END();
}
