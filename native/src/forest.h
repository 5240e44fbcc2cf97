/* forest.h: the learned scorer of candidates, a weighted sum and boosted trees.
 *
 *   score(x) = bias + sum over features of weight * value
 *                   + sum over trees of the leaf that x reaches
 *
 * Sixty candidates times two hundred trees are 12,000 walks from a root to a
 * leaf, each some six steps that wait for one another.  So nobody walks.  As in
 * QuickScorer (Lucchese et al., SIGIR 2015) leaves are numbered from left to
 * right, a tree is a list of tests without order, and a test that sends a row to
 * the right strikes the leaves on its left: the first leaf left over is the one.
 * A row's leaves are bits, and sixteen rows go through a test at once:
 *
 *   1. values become u8: the number of the feature's thresholds below them
 *   2. a test compares sixteen u8 and strikes bits of sixteen u8, which stand
 *      for eight of the tree's leaves; a test that concerns more leaves is
 *      listed once for each eight of them (as in RapidScorer, KDD 2018)
 *   3. the lowest bit of a row's 32 names its leaf
 *
 * For 60 rows, 200 trees of 31 leaves and 40 features that is 22 us; the same
 * with bits in 32-bit lanes 55 us.  Rows one by one from root to leaf take 230 to
 * 310 us, eight rows side by side on u8 values no less, for each waits for the
 * deepest; side by side through complete trees of depth five, 42 us. */
#ifndef ESP_FOREST_H
#define ESP_FOREST_H

#include "format.h"

/* A section, its arrays resolved and inside it. */
typedef struct esp_forest {
    const esp_forest_header *head; /* NULL: none */
    const esp_forest_feature *features;
    const esp_forest_column *columns;
    const float *thresholds;
    const esp_forest_tree *trees;
    const esp_forest_test *tests;
    const float *leaves;
    const float *expected;
    const uint8_t *names;
} esp_forest;

/* Resolves `length` bytes aligned to 4.  Constant time.  Fails with
 * ESP_E_CORRUPT, check B1. */
esp_status esp_forest_resolve(
    const uint8_t *data, uint64_t length, esp_forest *forest, esp_error *err);

/* Every invariant of FRST.  Fails with ESP_E_CORRUPT naming it. */
esp_status esp_forest_validate(const esp_forest *forest, esp_error *err);

/* Whether the index has a scorer.  Everything below needs one. */
bool esp_forest_present(const esp_index *index);

/* How many numbers a row has, at most ESP_FOREST_FEATURES, and the fingerprint
 * of what they mean: rows made from another list must not be scored. */
uint32_t esp_forest_features(const esp_index *index);
uint32_t esp_forest_features_id(const esp_index *index);

/* Scores of `n` rows: row i is x[i * stride] and the n_features - 1 after it;
 * stride >= n_features.  A value may be NaN: not known.  A score is never NaN.
 * Safe for any content of the file; allocates nothing. */
void esp_forest_score(
    const esp_index *index, const float *x, uint32_t n, uint32_t stride, float *score);

/* What each feature adds to the score of a row: n_features numbers, then the
 * score of an average row; their sum is the score, to rounding.  A feature is
 * given, along the row's path through each tree, what its tests change in the
 * expected score (Saabas 2014). */
void esp_forest_explain(const esp_index *index, const float *row, float *contribution);

/* The same of a section that is resolved. */
void esp_forest_score_rows(
    const esp_forest *forest, const float *x, uint32_t n, uint32_t stride, float *score);
void esp_forest_explain_row(const esp_forest *forest, const float *row, float *contribution);

#endif
