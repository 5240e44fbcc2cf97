/* index.h: an open index, its sections resolved, and bounded access to them.
 *
 * Opening checks the length of every section against the numbers in PARM, so
 * that any index below those numbers is inside the mapping.  Everything read
 * *from* a section (an offset, a child number, a label) is checked where it is
 * read.  That is the whole memory-safety argument. */
#ifndef ESP_INDEX_H
#define ESP_INDEX_H

#include "attributes.h"
#include "blocklist.h"
#include "catalogue.h"
#include "chunk.h"
#include "forest.h"
#include "format.h"
#include "ngrams.h"
#include "relations.h"

typedef struct esp_section {
    const uint8_t *data;
    uint64_t length;
} esp_section;

struct esp_index {
    const uint8_t *data;
    size_t length;
    bool mapped;
    const esp_file_header *head;
    const esp_file_section *table;
    const esp_params *params;
    /* labels; all NULL where the index has none */
    const uint32_t *label_offset; /* n_labels + 1 */
    esp_section label_text;
    const uint32_t *display_label;
    uint32_t n_display;
    const uint32_t *display_offset;
    esp_section display_text;
    const esp_trie_node *trie;
    uint32_t n_trie;
    const uint32_t *users; /* n_labels */
    const esp_maxima_header *maxima;
    /* decayed popularity; both NULL where the index has none */
    const uint32_t *recent; /* n_labels */
    const esp_maxima_header *recent_maxima;
    /* features */
    esp_space space;
    bool has_features;
    /* model */
    const esp_tree_node *tree;
    const uint32_t *label_at;    /* position -> label */
    const uint32_t *position_of; /* label -> position */
    esp_section chunks;
    uint32_t feature_bits;
    /* words; n_words 0 and head NULL where the index has none */
    esp_words words;
    esp_ngrams ngrams;
    esp_relations relations;   /* head NULL where the index has none */
    esp_attributes attributes; /* head NULL where the index has none */
    esp_blocklist blocklist;   /* head NULL where the index has none */
    /* words of products; head NULL where labels are no products */
    esp_catalogue catalogue;
    /* scorer of candidates; its head is NULL where the index has none */
    esp_forest forest;
};

/* Text of a label below n_labels; false if its offsets leave the section. */
static inline bool esp_index_label(
    const esp_index *index, uint32_t label, const uint8_t **text, uint32_t *length) {
    const uint32_t begin = index->label_offset[label];
    const uint32_t end = index->label_offset[label + 1];
    if (ESP_UNLIKELY(begin > end || end > index->label_text.length))
        return false;
    *text = index->label_text.data + begin;
    *length = end - begin;
    return true;
}

/* A file whose content contradicts itself where a query met it. */
static inline esp_status esp_index_damaged(
    uint32_t section, const char *check, uint64_t where, esp_error *err) {
    ESP_FAIL_IN(err, ESP_E_CORRUPT, section, check, where,
        "the index is damaged (check %s); restore it from a copy or train it again", check);
}

#endif
