/* forest.c: see forest.h. */
#include "forest.h"

#include <math.h>

#include "index.h"
#include "lanes.h"
#include "utf8.h"

enum { PLANES = 4, PLANE_LEAVES = 8 };

/* ---- opening ------------------------------------------------------------ */

esp_status esp_forest_resolve(
    const uint8_t *data, uint64_t length, esp_forest *forest, esp_error *err) {
    const esp_forest_header *head = (const void *)data;
    if (length < sizeof *head)
        return esp_index_damaged(ESP_SEC_FRST, "B1", length, err);
    if (head->n_features == 0 || head->n_features > ESP_FOREST_FEATURES ||
        head->n_columns > ESP_FOREST_COLUMNS || head->n_trees > ESP_FOREST_TREES ||
        head->n_thresholds > (uint64_t)head->n_columns * ESP_FOREST_BLOCKS * ESP_FOREST_BLOCK ||
        head->n_leaves < 2 * head->n_trees || head->n_leaves > ESP_FOREST_LEAVES * head->n_trees)
        return esp_index_damaged(ESP_SEC_FRST, "B1", 0, err);
    const uint64_t columns_at = sizeof *head + head->n_features * sizeof *forest->features;
    const uint64_t thresholds_at = columns_at + head->n_columns * sizeof *forest->columns;
    const uint64_t trees_at = thresholds_at + head->n_thresholds * sizeof *forest->thresholds;
    const uint64_t tests_at = trees_at + head->n_trees * sizeof *forest->trees;
    const uint64_t leaves_at = tests_at + (uint64_t)head->n_tests * sizeof *forest->tests;
    const uint64_t expected_at = leaves_at + head->n_leaves * sizeof *forest->leaves;
    const uint64_t names_at =
        expected_at + (head->n_leaves - head->n_trees) * sizeof *forest->expected;
    if (names_at + head->name_bytes != length)
        return esp_index_damaged(ESP_SEC_FRST, "B1", length, err);
    *forest = (esp_forest){
        .head = head,
        .features = (const void *)(data + sizeof *head),
        .columns = (const void *)(data + columns_at),
        .thresholds = (const void *)(data + thresholds_at),
        .trees = (const void *)(data + trees_at),
        .tests = (const void *)(data + tests_at),
        .leaves = (const void *)(data + leaves_at),
        .expected = (const void *)(data + expected_at),
        .names = data + names_at,
    };
    return ESP_OK;
}

/* The trees' parts lie one behind the other: where the next one's begin.  False
 * where they are not inside their arrays. */
typedef struct places {
    uint32_t leaf;
    uint32_t test;
} places;

static uint32_t count_tests(const esp_forest_tree *tree) {
    return (uint32_t)tree->n_tests[0] + tree->n_tests[1] + tree->n_tests[2] + tree->n_tests[3];
}

static bool is_inside(const esp_forest *forest, const esp_forest_tree *tree, places at) {
    return tree->n_leaves >= 2 && tree->n_leaves <= ESP_FOREST_LEAVES &&
           tree->n_leaves <= forest->head->n_leaves - at.leaf &&
           count_tests(tree) <= forest->head->n_tests - at.test;
}

/* The same of a column's thresholds, the first of which is number `at`. */
static bool is_usable(const esp_forest *forest, const esp_forest_column *column, uint32_t at) {
    return column->feature < forest->head->n_features && column->n_blocks > 0 &&
           column->n_blocks <= ESP_FOREST_BLOCKS &&
           (uint32_t)column->n_blocks * ESP_FOREST_BLOCK <= forest->head->n_thresholds - at;
}

/* ---- scoring ------------------------------------------------------------ */

static float known(const esp_forest_feature *feature, float value) {
    return isfinite(value) ? value : feature->fill;
}

static void add_weights(
    const esp_forest *forest, const float *x, uint32_t n, uint32_t stride, float *score) {
    for (uint32_t f = 0; f < forest->head->n_features; f++) {
        const esp_forest_feature *feature = &forest->features[f];
        if (feature->weight == 0)
            continue;
        for (uint32_t i = 0; i < n; i++)
            score[i] += feature->weight * known(feature, x[(size_t)i * stride + f]);
    }
}

/* Number of thresholds below each value, less 128.  First the blocks whose last
 * threshold is below, all rows together; inside a block three halvings, eight
 * rows interleaved.  `n` is a multiple of 8. */
static void count_below(
    const float *threshold, uint32_t n_blocks, const float *value, uint32_t n, int8_t *bin) {
    int32_t block[ESP_FOREST_ROWS] = {0};
    for (uint32_t b = 0; b + 1 < n_blocks; b++) {
        const float last = threshold[b * ESP_FOREST_BLOCK + ESP_FOREST_BLOCK - 1];
        for (uint32_t i = 0; i < n; i++)
            block[i] += last < value[i];
    }
    for (uint32_t i = 0; i < n; i += 8) {
        uint32_t at[8];
        for (uint32_t j = 0; j < 8; j++)
            at[j] = (uint32_t)block[i + j] * ESP_FOREST_BLOCK;
        for (uint32_t half = ESP_FOREST_BLOCK / 2; half > 0; half /= 2)
            for (uint32_t j = 0; j < 8; j++) /* no branch: it would be a coin toss */
                at[j] += half & (0 - (uint32_t)(threshold[at[j] + half - 1] < value[i + j]));
        for (uint32_t j = 0; j < 8; j++)
            bin[i + j] = (int8_t)((int32_t)at[j] - 128);
    }
}

/* Takes a feature's values out of n rows and repeats the first up to `padded`.
 * A NaN becomes `missing`.  Says whether all are the same.  In integers: gcc does
 * not vectorise comparisons of floats that might trap. */
static bool take_values(
    const float *x, uint32_t n, uint32_t padded, uint32_t stride, float missing, float *value) {
    uint32_t bits[ESP_FOREST_ROWS];
    uint32_t instead;
    memcpy(&instead, &missing, sizeof instead);
    for (uint32_t i = 0; i < n; i++)
        memcpy(&bits[i], &x[(size_t)i * stride], sizeof bits[i]);
    for (uint32_t i = n; i < padded; i++)
        bits[i] = bits[0];
    const uint32_t first = bits[0];
    uint32_t differing = 0;
    for (uint32_t i = 0; i < padded; i++) {
        const int32_t size = (int32_t)(bits[i] & 0x7FFFFFFF);
        const uint32_t is_nan = 0 - (uint32_t)(size > 0x7F800000);
        differing |= bits[i] ^ first;
        bits[i] ^= (bits[i] ^ instead) & is_nan;
    }
    memcpy(value, bits, padded * sizeof *value);
    return differing == 0;
}

/* Fills `bins` for n rows and, behind them, up to a multiple of sixteen. */
static void fill_bins(
    const esp_forest *forest, const float *x, uint32_t n, uint32_t stride, esp_bins *bins) {
    const uint32_t padded = (n + ESP_LANES - 1) / ESP_LANES * ESP_LANES;
    const uint32_t n_columns = forest->head->n_columns;
    /* A damaged test may name a column there is not. */
    memset((int8_t *)bins->of + n_columns * sizeof bins->of[0], 0,
        (ESP_FOREST_COLUMNS - n_columns) * sizeof bins->of[0]);
    uint32_t at = 0;
    for (uint32_t c = 0; c < n_columns; c++) {
        const esp_forest_column *column = &forest->columns[c];
        int8_t *bin = bins->of[c];
        if (ESP_UNLIKELY(!is_usable(forest, column, at))) {
            memset(bin, 0, ESP_FOREST_ROWS);
            continue;
        }
        const float *threshold = forest->thresholds + at;
        float value[ESP_FOREST_ROWS];
        if (take_values(x + column->feature, n, padded, stride, column->missing, value)) {
            /* What says something about the query has one value in all rows. */
            count_below(threshold, column->n_blocks, value, 8, bin);
            memset(bin, bin[0], padded);
        } else {
            count_below(threshold, column->n_blocks, value, padded, bin);
        }
        at += column->n_blocks * (uint32_t)ESP_FOREST_BLOCK;
    }
}

/* Number of the lowest bit, which there is. */
static uint32_t lowest_bit(const uint8_t *planes) {
#if defined(__GNUC__)
    uint32_t bits; /* little-endian, as every index */
    memcpy(&bits, planes, sizeof bits);
    return (uint32_t)__builtin_ctz(bits);
#else
    uint32_t at = 0;
    while ((planes[at / PLANE_LEAVES] >> at % PLANE_LEAVES & 1u) == 0)
        at++;
    return at;
#endif
}

static void add_trees(const esp_forest *forest, const esp_bins *bins, uint32_t n, float *score) {
    const uint32_t n_groups = (n + ESP_LANES - 1) / ESP_LANES;
    const uint32_t n_lanes = n_groups * ESP_LANES;
    const esp_forest_tree *const end = forest->trees + forest->head->n_trees;
    places at = {0};
    for (const esp_forest_tree *tree = forest->trees; tree < end; tree++) {
        if (ESP_UNLIKELY(!is_inside(forest, tree, at)))
            return;
        uint8_t alive[PLANES][ESP_FOREST_ROWS];
        for (uint32_t p = 0; p < PLANES; p++) {
            esp_strike(forest->tests + at.test, tree->n_tests[p], bins, n_groups, alive[p]);
            at.test += tree->n_tests[p];
        }
        /* Nothing strikes the last leaf; and whatever the tests say, the lowest
         * bit is now of a leaf that the tree has. */
        const uint32_t last = tree->n_leaves - 1u;
        uint8_t bits[ESP_FOREST_ROWS][PLANES];
        for (uint32_t i = 0; i < n_lanes; i++)
            alive[last / PLANE_LEAVES][i] |= (uint8_t)(1u << last % PLANE_LEAVES);
        for (uint32_t i = 0; i < n_lanes; i++)
            for (uint32_t p = 0; p < PLANES; p++)
                bits[i][p] = alive[p][i];
        const float *leaf = forest->leaves + at.leaf;
        for (uint32_t i = 0; i < n; i++)
            score[i] += leaf[lowest_bit(bits[i])];
        at.leaf += tree->n_leaves;
    }
}

void esp_forest_score_rows(
    const esp_forest *forest, const float *x, uint32_t n, uint32_t stride, float *score) {
    esp_bins bins;
    for (uint32_t done = 0; done < n; done += ESP_FOREST_ROWS) {
        const uint32_t some = esp_min_u32(n - done, ESP_FOREST_ROWS);
        const float *rows = x + (size_t)done * stride;
        float *out = score + done;
        for (uint32_t i = 0; i < some; i++)
            out[i] = forest->head->bias;
        add_weights(forest, rows, some, stride, out);
        if (forest->head->n_trees > 0) {
            fill_bins(forest, rows, some, stride, &bins);
            add_trees(forest, &bins, some, out);
        }
        /* Scores are sorted, and nothing sorts NaN. */
        for (uint32_t i = 0; i < some; i++)
            out[i] = out[i] == out[i] ? out[i] : 0;
    }
}

/* ---- explaining --------------------------------------------------------- */

/* The test of inner node `node`, which stands between leaves `node` and
 * `node` + 1: a plane lists first the nodes that stand behind one of its leaves. */
static const esp_forest_test *test_of(
    const esp_forest *forest, const esp_forest_tree *tree, uint32_t at, uint32_t node) {
    for (uint32_t p = 0; p < node / PLANE_LEAVES; p++)
        at += tree->n_tests[p];
    at += node % PLANE_LEAVES;
    return at < forest->head->n_tests ? &forest->tests[at] : NULL;
}

/* The topmost node of leaves lo to hi: the last whose left side begins at lo. */
static uint32_t top_of(
    const esp_forest *forest, const esp_forest_tree *tree, uint32_t at, uint32_t lo, uint32_t hi) {
    uint32_t node = hi - 1;
    for (; node > lo; node--) {
        const esp_forest_test *test = test_of(forest, tree, at, node);
        if (test != NULL && test->first == lo)
            break;
    }
    return node;
}

static bool goes_left(const esp_forest *forest, const esp_forest_test *test,
    const uint32_t *column_at, const float *row) {
    if (test->column >= forest->head->n_columns || test->limit == 0)
        return false;
    const esp_forest_column *column = &forest->columns[test->column];
    const uint32_t at = column_at[test->column] + test->limit - 1;
    if (column->feature >= forest->head->n_features || at >= forest->head->n_thresholds)
        return false;
    const float value = row[column->feature];
    return (isnan(value) ? column->missing : value) <= forest->thresholds[at];
}

static void explain_tree(const esp_forest *forest, const esp_forest_tree *tree, places at,
    const float *expected, const uint32_t *column_at, const float *row, double *contribution) {
    uint32_t lo = 0;
    uint32_t hi = tree->n_leaves - 1u;
    uint32_t node = top_of(forest, tree, at.test, lo, hi);
    contribution[forest->head->n_features] += (double)expected[node];
    while (lo < hi) {
        const float before = expected[node];
        const esp_forest_test *test = test_of(forest, tree, at.test, node);
        if (test != NULL && goes_left(forest, test, column_at, row))
            hi = node;
        else
            lo = node + 1;
        if (lo < hi)
            node = top_of(forest, tree, at.test, lo, hi);
        const float after = lo < hi ? expected[node] : forest->leaves[at.leaf + lo];
        if (test != NULL && test->column < forest->head->n_columns) {
            const uint32_t feature = forest->columns[test->column].feature;
            if (feature < forest->head->n_features)
                contribution[feature] += (double)after - (double)before;
        }
    }
}

void esp_forest_explain_row(const esp_forest *forest, const float *row, float *contribution) {
    const esp_forest_header *head = forest->head;
    double sum[ESP_FOREST_FEATURES + 1] = {0};
    uint32_t column_at[ESP_FOREST_COLUMNS];
    uint32_t threshold_at = 0;
    for (uint32_t c = 0; c < head->n_columns; c++) {
        column_at[c] = threshold_at;
        threshold_at += (uint32_t)forest->columns[c].n_blocks * ESP_FOREST_BLOCK;
    }
    sum[head->n_features] = (double)head->bias;
    for (uint32_t f = 0; f < head->n_features; f++) {
        const esp_forest_feature *feature = &forest->features[f];
        if (feature->weight == 0)
            continue;
        sum[head->n_features] += (double)feature->weight * (double)feature->fill;
        sum[f] = (double)feature->weight * ((double)known(feature, row[f]) - (double)feature->fill);
    }
    places at = {0};
    for (uint32_t t = 0; t < head->n_trees; t++) {
        const esp_forest_tree *tree = &forest->trees[t];
        if (!is_inside(forest, tree, at))
            break;
        /* A tree has one inner node less than leaves. */
        const float *expected = forest->expected + at.leaf - t;
        explain_tree(forest, tree, at, expected, column_at, row, sum);
        at.leaf += tree->n_leaves;
        at.test += count_tests(tree);
    }
    for (uint32_t f = 0; f <= head->n_features; f++)
        contribution[f] = (float)sum[f];
}

/* ---- of an index -------------------------------------------------------- */

bool esp_forest_present(const esp_index *index) {
    return index->forest.head != NULL;
}

uint32_t esp_forest_features(const esp_index *index) {
    return index->forest.head->n_features;
}

uint32_t esp_forest_features_id(const esp_index *index) {
    return index->forest.head->features_id;
}

void esp_forest_score(
    const esp_index *index, const float *x, uint32_t n, uint32_t stride, float *score) {
    esp_forest_score_rows(&index->forest, x, n, stride, score);
}

void esp_forest_explain(const esp_index *index, const float *row, float *contribution) {
    esp_forest_explain_row(&index->forest, row, contribution);
}

/* ---- of a section ------------------------------------------------------- */

static esp_status open_section(
    const uint8_t *section, uint64_t length, esp_forest *forest, esp_error *err) {
    if (section == NULL || (uintptr_t)section % sizeof(uint32_t) != 0)
        ESP_FAIL(err, ESP_E_ARGUMENT, "alignment", 0, "section bytes must be aligned to 4");
    return esp_forest_resolve(section, length, forest, err);
}

esp_status esp_forest_predict(const uint8_t *section, uint64_t length, const float *x, uint32_t n,
    uint32_t stride, float *score, esp_error *err) {
    esp_forest forest;
    ESP_TRY(open_section(section, length, &forest, err));
    if (stride < forest.head->n_features)
        ESP_FAIL(err, ESP_E_ARGUMENT, "stride", stride,
            "rows of %u numbers for a scorer of %u features", stride, forest.head->n_features);
    esp_forest_score_rows(&forest, x, n, stride, score);
    return ESP_OK;
}

esp_status esp_forest_contributions(const uint8_t *section, uint64_t length, const float *row,
    uint32_t n_values, float *contribution, esp_error *err) {
    esp_forest forest;
    ESP_TRY(open_section(section, length, &forest, err));
    if (n_values != forest.head->n_features)
        ESP_FAIL(err, ESP_E_ARGUMENT, "row", n_values,
            "a row of %u numbers for a scorer of %u features", n_values, forest.head->n_features);
    esp_forest_explain_row(&forest, row, contribution);
    return ESP_OK;
}

/* ---- validating --------------------------------------------------------- */

static esp_status damaged(const char *check, uint64_t where, esp_error *err) {
    return esp_index_damaged(ESP_SEC_FRST, check, where, err);
}

static bool all_finite(const float *value, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(value[i]))
            return false;
    return true;
}

/* How many thresholds each column has goes to `count`. */
static esp_status validate_columns(const esp_forest *forest, uint32_t *count, esp_error *err) {
    uint32_t at = 0;
    for (uint32_t c = 0; c < forest->head->n_columns; c++) {
        const esp_forest_column *column = &forest->columns[c];
        if (!is_usable(forest, column, at) || isnan(column->missing) ||
            (column->missing != 0 && isfinite(column->missing)))
            return damaged("B4", c, err);
        const float *threshold = forest->thresholds + at;
        const uint32_t room = (uint32_t)column->n_blocks * ESP_FOREST_BLOCK;
        count[c] = 0;
        while (count[c] < room && isfinite(threshold[count[c]])) {
            if (count[c] > 0 && threshold[count[c] - 1] >= threshold[count[c]])
                return damaged("B5", at + count[c], err);
            count[c]++;
        }
        /* The blocks are as few as hold the thresholds and one more number. */
        if (room != count[c] / ESP_FOREST_BLOCK * ESP_FOREST_BLOCK + ESP_FOREST_BLOCK)
            return damaged("B5", at + count[c], err);
        for (uint32_t i = count[c]; i < room; i++)
            if (!(threshold[i] > 0) || isfinite(threshold[i]))
                return damaged("B5", at + i, err);
        at += room;
    }
    return at == forest->head->n_thresholds ? ESP_OK : damaged("B4", at, err);
}

/* The leaves of a plane that a node strikes, if its left side is first to node. */
static uint8_t struck(uint32_t plane, uint32_t first, uint32_t node) {
    const uint32_t leaves = (2u << node) - (1u << first);
    return (uint8_t)(leaves >> (plane * PLANE_LEAVES));
}

static esp_status validate_tree(const esp_forest *forest, const esp_forest_tree *tree,
    uint32_t tree_at, const uint32_t *thresholds, esp_error *err) {
    const uint32_t n_nodes = tree->n_leaves - 1u;
    const esp_forest_test *node_test[ESP_FOREST_LEAVES];
    uint32_t at = tree_at;
    for (uint32_t p = 0; p < PLANES; p++) {
        for (uint32_t node = p * PLANE_LEAVES; node < n_nodes && node < (p + 1) * PLANE_LEAVES;
            node++) {
            const uint32_t place = node - p * PLANE_LEAVES;
            if (place >= tree->n_tests[p])
                return damaged("B9", at, err);
            const esp_forest_test *test = &forest->tests[at + place];
            if (test->column >= forest->head->n_columns || test->limit == 0 ||
                test->limit > thresholds[test->column])
                return damaged("B7", at + place, err);
            node_test[node] = test;
        }
        at += tree->n_tests[p];
    }
    /* Leaves where a subtree begins that is not yet the left side of a node. */
    uint32_t starts = 1;
    for (uint32_t node = 0; node < n_nodes; node++) {
        const uint32_t first = node_test[node]->first;
        if (first > node || (starts >> first & 1u) == 0)
            return damaged("B8", node, err);
        starts = (starts & ((2u << first) - 1)) | 2u << node;
    }
    at = tree_at;
    for (uint32_t p = 0; p < PLANES; p++) {
        const uint32_t end = at + tree->n_tests[p];
        for (uint32_t node = p * PLANE_LEAVES; node < n_nodes; node++) {
            const esp_forest_test *wanted = node_test[node];
            const uint8_t strikes = struck(p, wanted->first, node);
            if (strikes == 0)
                continue;
            const esp_forest_test *test = &forest->tests[at];
            if (at == end || test->column != wanted->column || test->limit != wanted->limit ||
                test->first != wanted->first || (test->keep ^ strikes) != 0xFF)
                return damaged("B9", at, err);
            at++;
        }
        if (at != end)
            return damaged("B9", at, err);
    }
    return ESP_OK;
}

static esp_status validate_names(const esp_forest *forest, esp_error *err) {
    const uint32_t n = forest->head->name_bytes;
    uint32_t lines = 0;
    for (uint32_t i = 0; i < n; i++)
        if (forest->names[i] == '\n') {
            if (i == 0 || forest->names[i - 1] == '\n')
                return damaged("B10", i, err);
            lines++;
        }
    if (lines != forest->head->n_features || forest->names[n - 1] != '\n' ||
        esp_utf8_check(forest->names, n) != n)
        return damaged("B10", n, err);
    return ESP_OK;
}

esp_status esp_forest_validate(const esp_forest *forest, esp_error *err) {
    const esp_forest_header *head = forest->head;
    for (uint32_t i = 0; i < sizeof head->reserved / sizeof *head->reserved; i++)
        if (head->reserved[i] != 0)
            return damaged("B2", i, err);
    for (uint32_t c = 0; c < head->n_columns; c++)
        if (forest->columns[c].reserved != 0)
            return damaged("B2", c, err);
    for (uint32_t t = 0; t < head->n_trees; t++)
        for (uint32_t i = 0; i < sizeof forest->trees->reserved; i++)
            if (forest->trees[t].reserved[i] != 0)
                return damaged("B2", t, err);
    for (uint32_t f = 0; f < head->n_features; f++)
        if (!isfinite(forest->features[f].weight) || !isfinite(forest->features[f].fill))
            return damaged("B3", f, err);
    if (!isfinite(head->bias) || !all_finite(forest->leaves, head->n_leaves) ||
        !all_finite(forest->expected, head->n_leaves - head->n_trees))
        return damaged("B3", 0, err);
    uint32_t thresholds[ESP_FOREST_COLUMNS] = {0};
    ESP_TRY(validate_columns(forest, thresholds, err));
    places at = {0};
    for (uint32_t t = 0; t < head->n_trees; t++) {
        const esp_forest_tree *tree = &forest->trees[t];
        if (!is_inside(forest, tree, at))
            return damaged("B6", t, err);
        ESP_TRY(validate_tree(forest, tree, at.test, thresholds, err));
        at.leaf += tree->n_leaves;
        at.test += count_tests(tree);
    }
    if (at.leaf != head->n_leaves || at.test != head->n_tests)
        return damaged("B6", head->n_trees, err);
    return validate_names(forest, err);
}
