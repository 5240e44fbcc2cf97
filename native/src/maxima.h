/* maxima.h: the most popular labels of a range, in order, without reading it.
 *
 * Labels lie in blocks of 64.  For every block and every power of two the
 * section holds which label is largest in the 2^l blocks from there, so the
 * maximum of any range is the best of two table entries and two partial blocks.
 * Taking it out splits the range in two; a heap of such pieces yields labels in
 * falling order for as long as the caller wants (Muthukrishnan 2002). */
#ifndef ESP_MAXIMA_H
#define ESP_MAXIMA_H

#include "index.h"

typedef struct esp_range {
    uint32_t value; /* of its maximum */
    uint32_t top;   /* label that has it, the smallest if several do */
    uint32_t lo;
    uint32_t hi;
} esp_range;

/* Pieces of the range not handed out yet; room for `cap`. */
typedef struct esp_ranking {
    esp_range *heap;
    size_t n;
    size_t cap;
} esp_ranking;

/* Starts over [lo, hi), which must lie below n_labels. */
void esp_ranking_start(const esp_index *index, esp_ranking *ranking, uint32_t lo, uint32_t hi);

/* The next label: most users first, ties by label id.  False when none is left
 * (or after `cap` - 1 labels). */
bool esp_ranking_next(const esp_index *index, esp_ranking *ranking, uint32_t *label);

/* Checks the section (FORMAT.md, P1 and P2). */
esp_status esp_maxima_validate(const esp_index *index, esp_error *err);

#endif
