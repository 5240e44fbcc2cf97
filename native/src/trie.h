/* trie.h: from a prefix to the range of labels that start with it.
 *
 *   labels, sorted        nodes: [lo, hi) sharing `depth` bytes
 *   0 nike                       [0,5) depth 2 "ni"
 *   1 nike air                   /              \
 *   2 nike shoes       [0,3) depth 4 "nike"    [3,5) depth 5 "nikon"
 *   3 nikon                 'k','e' skipped        'k','o','n' skipped
 *   4 nikon lens
 *
 * Chains without a choice are skipped (the bytes stand in the labels), and a
 * range of at most ESP_TRIE_BUCKET labels is not split further: bisection over
 * one or two cache lines of offsets beats more nodes.  So there are about a
 * tenth as many nodes as labels. */
#ifndef ESP_TRIE_H
#define ESP_TRIE_H

#include "index.h"

/* [*lo, *hi): the labels that start with prefix[0..length).  Needs an index
 * with labels.  Fails with ESP_E_CORRUPT only. */
esp_status esp_trie_range(const esp_index *index, const uint8_t *prefix, size_t length,
    uint32_t *lo, uint32_t *hi, esp_error *err);

/* Checks every node (FORMAT.md, T1 to T5). */
esp_status esp_trie_validate(const esp_index *index, esp_error *err);

#endif
