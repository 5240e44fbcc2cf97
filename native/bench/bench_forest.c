/* bench_forest.c: how long a query's candidates take to score.
 *
 *      bench_forest [rows [trees [leaves [features]]]]      60 200 31 40
 *
 * Random trees, a third of the features one value per query, others with few or
 * many values.  A walk from root to leaf over the same trees stands beside it,
 * in turn with it, and a calibration loop. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <time.h>

#include "../src/forest.h"
#include "../tests/small_forest.h"

enum { QUERIES = 64, ROUNDS = 40, MOST_ROWS = 256 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, double *us, size_t n) {
    qsort(us, n, sizeof *us, compare);
    printf("%-14s fastest %8.2f us   median %8.2f us\n", name, us[0], us[n / 2]);
}

static void walk(const small_forest *made, const float *x, uint32_t n, float *score) {
    for (uint32_t i = 0; i < n; i++) {
        const float *row = x + (size_t)i * made->n_features;
        score[i] = made->bias;
        for (uint32_t t = 0; t < made->n_trees; t++) {
            const plain_node *node = made->trees[t].node;
            while (node->left >= 0)
                node = &made->trees[t]
                            .node[row[node->feature] <= node->threshold ? node->left : node->right];
            score[i] += node->value;
        }
    }
}

static double calibrate(void) {
    const double start = now();
    volatile double sink = 0;
    double x = 0;
    for (uint32_t i = 0; i < 1000000; i++)
        x = x * 0.5 + i;
    sink = x;
    (void)sink;
    return now() - start;
}

static uint32_t number(int argc, char **argv, int i, uint32_t otherwise) {
    return i < argc ? (uint32_t)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    const uint32_t n = number(argc, argv, 1, 60);
    const uint32_t n_trees = number(argc, argv, 2, 200);
    const uint32_t n_leaves = number(argc, argv, 3, 31);
    const uint32_t n_features = number(argc, argv, 4, 40);
    if (n == 0 || n > MOST_ROWS || n_trees > ESP_FOREST_TREES || n_leaves < 2 ||
        n_leaves > ESP_FOREST_LEAVES || n_features == 0 || n_features > ESP_FOREST_FEATURES) {
        fprintf(stderr, "usage: bench_forest [rows [trees [leaves [features]]]]\n");
        return 2;
    }
    small_forest made = forest_make(n_features, n_trees, n_leaves, true, false, 120, 1);
    /* Weights cost nothing where there are none, as in a trained forest. */
    esp_forest_feature none[ESP_FOREST_FEATURES] = {{0}};
    memcpy(made.section + sizeof(esp_forest_header), none, n_features * sizeof *none);
    esp_forest forest;
    if (esp_forest_resolve(made.section, made.length, &forest, NULL) != ESP_OK)
        return 1;
    printf("%u rows, %u trees of %u leaves, %u features, %u tests, %zu bytes\n", n, n_trees,
        n_leaves, n_features, forest.head->n_tests, made.length);
    uint64_t state = 2;
    static float x[QUERIES][MOST_ROWS * ESP_FOREST_FEATURES];
    for (uint32_t q = 0; q < QUERIES; q++)
        for (uint32_t f = 0; f < n_features; f++) {
            const float of_query = forest_number(&state, 120);
            for (uint32_t i = 0; i < n; i++)
                x[q][i * n_features + f] =
                    f % 3 == 0 ? of_query : forest_number(&state, f % 3 == 1 ? 9 : 1000);
        }
    static double struck[QUERIES * ROUNDS];
    static double walked[QUERIES * ROUNDS];
    static double explained[QUERIES * ROUNDS];
    static double loops[ROUNDS];
    float a[MOST_ROWS];
    float b[MOST_ROWS];
    float contribution[ESP_FOREST_FEATURES + 1];
    size_t runs = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        loops[round] = calibrate();
        for (uint32_t q = 0; q < QUERIES; q++) {
            const double start = now();
            esp_forest_score_rows(&forest, x[q], n, n_features, a);
            const double middle = now();
            walk(&made, x[q], n, b);
            const double end = now();
            esp_forest_explain_row(&forest, x[q], contribution);
            struck[runs] = middle - start;
            walked[runs] = end - middle;
            explained[runs++] = now() - end;
            if (memcmp(a, b, n * sizeof *a) != 0) {
                fprintf(stderr, "bench_forest: scores differ\n");
                return 1;
            }
        }
    }
    print("score", struck, runs);
    print("walk", walked, runs);
    print("explain a row", explained, runs);
    print("calibration", loops, ROUNDS);
    forest_free(&made);
    return 0;
}
