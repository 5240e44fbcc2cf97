/* sieve.h: which labels a query's filter lets through, and the most popular of them.
 *
 * A rare value leads to its labels: they are read and the most popular kept.  A common
 * one is not worth reading: the range is walked by popularity, and what does not pass is
 * left out, until the walk has become longer than reading would have been. */
#ifndef ESP_SIEVE_H
#define ESP_SIEVE_H

#include "maxima.h"

/* A filter, its values looked up. */
typedef struct esp_sieve {
    const esp_attributes *attributes;
    bool nothing;   /* no label passes */
    bool generated; /* what is no label does */
    uint32_t n_all;
    uint32_t n_any;
    uint32_t n_none;
    uint16_t all[ESP_FILTER_VALUES];
    uint16_t any[ESP_FILTER_VALUES];
    uint16_t none[ESP_FILTER_VALUES];
} esp_sieve;

/* Fails with ESP_E_UNSUPPORTED, ESP_E_LIMIT, ESP_E_ARGUMENT. */
esp_status esp_sieve_make(
    const esp_index *index, const esp_filter *filter, esp_sieve *sieve, esp_error *err);

/* Whether a label below n_labels passes.  O(values of the filter). */
bool esp_sieve_passes(const esp_sieve *sieve, uint32_t label);

/* Writes the labels that pass, each once, where the values asked for lead to at most `cap`
 * of them; false where they do not, and *n_read is how many they lead to. */
bool esp_sieve_list(
    const esp_sieve *sieve, uint32_t n_labels, uint32_t *out, uint32_t cap, uint32_t *n_read);

/* Whether a label passes, where there may be no filter; what is no label counts as generated. */
static inline bool esp_sieve_lets(const esp_sieve *sieve, uint32_t label) {
    return sieve == NULL ||
           (label == ESP_NO_LABEL ? sieve->generated : esp_sieve_passes(sieve, label));
}

/* Labels of a range that pass, most popular first. */
typedef struct esp_sift {
    esp_ranking *ranking;
    const esp_sieve *sieve; /* NULL: all pass */
    uint32_t lo;
    uint32_t hi;
    uint32_t wanted;
    uint32_t steps; /* left of the walk */
    uint32_t last;  /* label the walk came to; all before it in the order are done */
    bool walking;
} esp_sift;

/* Starts over [lo, hi), which must lie below n_labels.  `wanted`: how many labels will
 * probably be taken. */
void esp_sift_start(esp_sift *sift, esp_ranking *ranking, const esp_sieve *sieve, esp_popularity by,
    uint32_t lo, uint32_t hi, uint32_t wanted);

/* The next label that passes, ties by label id; false when none is left.  Where the
 * ranking is `lost`, as esp_ranking_next() says. */
bool esp_sift_next(esp_sift *sift, uint32_t *label);

#endif
