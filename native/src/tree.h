/* tree.h: beam search through the ranking tree, under a prefix.
 *
 *   node 0            a node's score is its parent's combined with its own
 *    / \              margin; the beam keeps the best b nodes of a level.  A
 *   1   2             node without child nodes waits in the beam, score
 *  / \   \            unchanged, until the whole beam is such nodes; then their
 * 3   4   5           labels are scored.  (Published trees pad short branches
 * |   |   |           with single children instead; the order is the same.)
 * labels by position
 *
 * A prefix is a label range.  Two tests prune: a node whose smallest and
 * largest label miss the range, at once; and, where the range is small enough
 * to list the tree positions of its labels, sorted, a node without any of them,
 * exactly, whatever the kind of tree.  While only one child survives the level
 * is not scored at all: a factor common to all answers changes no order. */
#ifndef ESP_TREE_H
#define ESP_TREE_H

#include "scratch.h"
#include "sieve.h"

typedef struct esp_search {
    uint32_t lo; /* labels wanted */
    uint32_t hi;
    bool constrained;
    uint32_t beam;
    uint32_t pool;          /* labels kept */
    const esp_sieve *sieve; /* NULL: all labels count */
    /* The labels to look at, at most ESP_POSITIONS_CAP, in scratch->positions_spare; NULL
     * for all.  Only where the search is constrained. */
    const uint32_t *listed;
    uint32_t n_listed;
} esp_search;

/* Fills scratch->labels with the best labels, not sorted.  The features of the
 * query stand in scratch->features.  Fails with ESP_E_CORRUPT only. */
esp_status esp_tree_search(
    const esp_index *index, esp_scratch *scratch, const esp_search *search, esp_error *err);

/* Score of one label of the range of the last constrained search, as that
 * search would have given it with an unbounded beam. */
esp_status esp_tree_score(
    const esp_index *index, esp_scratch *scratch, uint32_t label, float *score, esp_error *err);

/* Takes scratch->terms (feature numbers) over into scratch->features. */
void esp_tree_features(const esp_index *index, esp_scratch *scratch);

/* Checks nodes, positions and chunks (FORMAT.md, N1 to N6, W1 to W8). */
esp_status esp_tree_validate(const esp_index *index, esp_error *err);

#endif
