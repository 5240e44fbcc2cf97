/* maxima.h: the most popular labels of a range, in order, without reading it.
 *
 * Popularity is a number per label: its users, or its users decayed by the age
 * of their last use.  Labels lie in blocks of 64.  For every block and every power of two the
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

/* A popularity: a number per label, and the section with their maxima. */
typedef struct esp_popularity {
    const uint32_t *value;
    const esp_maxima_header *maxima;
} esp_popularity;

static inline esp_popularity esp_popularity_users(const esp_index *index) {
    return (esp_popularity){index->users, index->maxima};
}

/* What is popular now: decayed where the index has that, else the users. */
static inline esp_popularity esp_popularity_now(const esp_index *index) {
    return index->recent == NULL ? esp_popularity_users(index)
                                 : (esp_popularity){index->recent, index->recent_maxima};
}

/* Pieces of the range not handed out yet; room for `cap`. */
typedef struct esp_ranking {
    esp_range *heap;
    size_t n;
    size_t cap;
    size_t limit; /* of what is kept */
    bool lost;    /* there was no room for a piece */
    esp_popularity by;
} esp_ranking;

/* Starts over [lo, hi), which must lie below n_labels. */
void esp_ranking_start(esp_ranking *ranking, esp_popularity by, uint32_t lo, uint32_t hi);

/* The next label: most popular first, ties by label id.  False when none is left.
 * After `cap` - 1 labels some may be passed over; then `lost` says so. */
bool esp_ranking_next(esp_ranking *ranking, uint32_t *label);

/* Another way to fill it: clear it, offer labels, each once, keep those it says it wants,
 * and say that these were all.  The `limit` most popular stay, fewer if `cap` is below it;
 * `lost` says that there were others. */
void esp_ranking_clear(esp_ranking *ranking, size_t limit);
bool esp_ranking_wants(esp_ranking *ranking, uint32_t label);
void esp_ranking_keep(esp_ranking *ranking, uint32_t label);
void esp_ranking_kept(esp_ranking *ranking);

/* Checks the content of the sections (FORMAT.md, P2 and R2). */
esp_status esp_maxima_validate(const esp_index *index, esp_error *err);

#endif
