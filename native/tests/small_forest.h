/* small_forest.h: a random scorer, as plain nodes and as the bytes of a section.
 *
 * The nodes are what a textbook would store; the section is laid out from them
 * by the sentences of FORMAT.md, for tests to compare the two. */
#ifndef ESP_SMALL_FOREST_H
#define ESP_SMALL_FOREST_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/format.h"

typedef struct plain_node {
    int32_t left; /* -1: a leaf */
    int32_t right;
    uint32_t feature;
    float threshold;
    float missing; /* a NaN is taken for this */
    float value;   /* of a leaf; of an inner node, what is expected below it */
    uint32_t leaves;
    uint32_t first; /* leaf number where its leaves begin */
} plain_node;

typedef struct plain_tree {
    plain_node node[2 * ESP_FOREST_LEAVES];
    uint32_t n_nodes;
} plain_tree;

typedef struct small_forest {
    uint8_t *section;
    size_t length;
    plain_tree *trees;
    uint32_t n_trees;
    uint32_t n_features;
    float weight[ESP_FOREST_FEATURES];
    float fill[ESP_FOREST_FEATURES];
    float bias;
} small_forest;

static inline uint32_t forest_draw(uint64_t *state, uint32_t n) {
    return (uint32_t)((esp_random_next(state) >> 33) % n);
}

/* Around 0, in steps of 1/16, so that thresholds and values often meet. */
static inline float forest_number(uint64_t *state, uint32_t steps) {
    return ((float)forest_draw(state, steps) - (float)(steps / 2)) / 16;
}

/* Splits a random leaf until there are n_leaves. */
static inline void forest_grow(plain_tree *tree, uint32_t n_leaves, uint32_t n_features,
    uint32_t steps, bool with_missing, uint64_t *state) {
    static const float missing[3] = {-INFINITY, 0, INFINITY};
    int32_t leaf[ESP_FOREST_LEAVES] = {0};
    tree->n_nodes = 1;
    tree->node[0] = (plain_node){.left = -1};
    for (uint32_t n = 1; n < n_leaves; n++) {
        const uint32_t which = forest_draw(state, n);
        plain_node *node = &tree->node[leaf[which]];
        node->left = (int32_t)tree->n_nodes++;
        node->right = (int32_t)tree->n_nodes++;
        node->feature = forest_draw(state, n_features);
        node->threshold = forest_number(state, steps);
        node->missing = with_missing ? missing[forest_draw(state, 3)] : 0;
        tree->node[node->left] = tree->node[node->right] = (plain_node){.left = -1};
        leaf[which] = node->left;
        leaf[n] = node->right;
    }
}

/* Numbers the leaves from left to right and fills values. */
static inline void forest_number_leaves(
    plain_tree *tree, int32_t at, uint32_t *leaves, uint64_t *state) {
    plain_node *node = &tree->node[at];
    node->first = *leaves;
    if (node->left < 0) {
        node->leaves = 1;
        node->value = ((float)forest_draw(state, 2001) - 1000) / 8192;
        (*leaves)++;
        return;
    }
    forest_number_leaves(tree, node->left, leaves, state);
    forest_number_leaves(tree, node->right, leaves, state);
    const plain_node *left = &tree->node[node->left];
    const plain_node *right = &tree->node[node->right];
    node->leaves = left->leaves + right->leaves;
    node->value = (left->value * (float)left->leaves + right->value * (float)right->leaves) /
                  (float)node->leaves;
}

/* The node between leaves `number` and `number` + 1. */
static inline const plain_node *forest_between(const plain_tree *tree, uint32_t number) {
    const plain_node *node = tree->node;
    while (node->left < 0 || node->first + tree->node[node->left].leaves != number + 1)
        node++;
    return node;
}

typedef struct forest_columns {
    esp_forest_column column[ESP_FOREST_COLUMNS];
    float threshold[ESP_FOREST_COLUMNS][ESP_FOREST_BLOCKS * ESP_FOREST_BLOCK];
    uint32_t count[ESP_FOREST_COLUMNS];
    uint32_t n;
} forest_columns;

static inline uint32_t forest_column_of(const forest_columns *all, const plain_node *node) {
    uint32_t c = 0;
    while (c < all->n &&
           (all->column[c].feature != node->feature || all->column[c].missing != node->missing))
        c++;
    return c;
}

static inline void forest_add_threshold(forest_columns *all, const plain_node *node) {
    const uint32_t c = forest_column_of(all, node);
    if (c == all->n) {
        all->column[all->n] =
            (esp_forest_column){.missing = node->missing, .feature = (uint8_t)node->feature};
        all->count[all->n++] = 0;
    }
    uint32_t at = 0;
    while (at < all->count[c] && all->threshold[c][at] < node->threshold)
        at++;
    if (at < all->count[c] && all->threshold[c][at] == node->threshold)
        return;
    memmove(
        &all->threshold[c][at + 1], &all->threshold[c][at], (all->count[c] - at) * sizeof(float));
    all->threshold[c][at] = node->threshold;
    all->count[c]++;
}

static inline void forest_put(small_forest *made, const void *data, size_t bytes) {
    if (bytes > 0)
        memcpy(made->section + made->length, data, bytes);
    made->length += bytes;
}

static inline void forest_lay_out(small_forest *made) {
    forest_columns *all = calloc(1, sizeof *all);
    uint32_t n_leaves = 0;
    uint32_t n_tests = 0;
    for (uint32_t t = 0; t < made->n_trees; t++) {
        const plain_tree *tree = &made->trees[t];
        for (uint32_t i = 0; i < tree->n_nodes; i++)
            if (tree->node[i].left >= 0)
                forest_add_threshold(all, &tree->node[i]);
        n_leaves += tree->node[0].leaves;
    }
    uint32_t n_thresholds = 0;
    for (uint32_t c = 0; c < all->n; c++) {
        const uint32_t blocks = all->count[c] / ESP_FOREST_BLOCK + 1;
        for (uint32_t i = all->count[c]; i < blocks * ESP_FOREST_BLOCK; i++)
            all->threshold[c][i] = INFINITY;
        all->column[c].n_blocks = (uint8_t)blocks;
        n_thresholds += blocks * ESP_FOREST_BLOCK;
    }
    esp_forest_tree *trees = calloc(made->n_trees + 1u, sizeof *trees);
    esp_forest_test *tests = calloc(made->n_trees * 128u + 1, sizeof *tests);
    float *leaves = calloc(n_leaves + 1u, sizeof *leaves);
    float *expected = calloc(n_leaves + 1u, sizeof *expected);
    uint32_t leaf = 0;
    uint32_t inner = 0;
    for (uint32_t t = 0; t < made->n_trees; t++) {
        const plain_tree *tree = &made->trees[t];
        const uint32_t n = tree->node[0].leaves;
        trees[t].n_leaves = (uint8_t)n;
        for (uint32_t i = 0; i < tree->n_nodes; i++)
            if (tree->node[i].left < 0)
                leaves[leaf + tree->node[i].first] = tree->node[i].value;
        leaf += n;
        for (uint32_t i = 0; i + 1 < n; i++)
            expected[inner++] = forest_between(tree, i)->value;
        for (uint32_t p = 0; p < 4; p++)
            for (uint32_t i = p * 8; i + 1 < n; i++) {
                const plain_node *node = forest_between(tree, i);
                const uint32_t c = forest_column_of(all, node);
                uint32_t limit = 1;
                while (all->threshold[c][limit - 1] < node->threshold)
                    limit++;
                uint32_t keep = 0;
                for (uint32_t j = 0; j < 8; j++)
                    keep |= (uint32_t)(p * 8 + j < node->first || p * 8 + j > i) << j;
                if (keep == 0xFF)
                    continue;
                tests[n_tests++] = (esp_forest_test){
                    (uint8_t)c, (uint8_t)limit, (uint8_t)keep, (uint8_t)node->first};
                trees[t].n_tests[p]++;
            }
    }
    const esp_forest_header head = {.n_features = made->n_features,
        .features_id = 7,
        .n_columns = all->n,
        .n_thresholds = n_thresholds,
        .n_trees = made->n_trees,
        .n_leaves = n_leaves,
        .n_tests = n_tests,
        .name_bytes = 3 * made->n_features,
        .bias = made->bias};
    made->section = calloc(1,
        sizeof head + sizeof(esp_forest_feature) * 64 + sizeof *all + made->n_trees * 1024u + 256);
    forest_put(made, &head, sizeof head);
    for (uint32_t f = 0; f < made->n_features; f++) {
        const esp_forest_feature feature = {made->weight[f], made->fill[f]};
        forest_put(made, &feature, sizeof feature);
    }
    forest_put(made, all->column, all->n * sizeof *all->column);
    for (uint32_t c = 0; c < all->n; c++)
        forest_put(
            made, all->threshold[c], all->column[c].n_blocks * ESP_FOREST_BLOCK * sizeof(float));
    forest_put(made, trees, made->n_trees * sizeof *trees);
    forest_put(made, tests, n_tests * sizeof *tests);
    forest_put(made, leaves, n_leaves * sizeof *leaves);
    forest_put(made, expected, inner * sizeof *expected);
    for (uint32_t f = 0; f < made->n_features; f++) {
        const uint8_t name[3] = {(uint8_t)('a' + f / 26), (uint8_t)('a' + f % 26), '\n'};
        forest_put(made, name, sizeof name);
    }
    free(all);
    free(trees);
    free(tests);
    free(leaves);
    free(expected);
}

/* Trees of 2 to most_leaves leaves (all of most_leaves if `full`), thresholds
 * among `steps` numbers a feature, below 256.  With an odd number of features
 * there are weights too.  `with_missing`: tests differ in where a NaN goes. */
static inline small_forest forest_make(uint32_t n_features, uint32_t n_trees, uint32_t most_leaves,
    bool full, bool with_missing, uint32_t steps, uint64_t seed) {
    uint64_t state = seed;
    small_forest made = {.n_trees = n_trees,
        .n_features = n_features,
        .trees = calloc(n_trees + 1u, sizeof *made.trees),
        .bias = forest_number(&state, 64)};
    const bool weighted = n_features % 2 == 1;
    for (uint32_t f = 0; f < n_features && weighted; f++) {
        made.weight[f] = f % 3 == 0 ? 0 : forest_number(&state, 64);
        made.fill[f] = forest_number(&state, 64);
    }
    for (uint32_t t = 0; t < n_trees; t++) {
        const uint32_t n = full ? most_leaves : 2 + forest_draw(&state, most_leaves - 1);
        forest_grow(&made.trees[t], n, n_features, steps, with_missing, &state);
        uint32_t leaves = 0;
        forest_number_leaves(&made.trees[t], 0, &leaves, &state);
    }
    forest_lay_out(&made);
    return made;
}

static inline void forest_free(small_forest *made) {
    free(made->section);
    free(made->trees);
    *made = (small_forest){0};
}

#endif
