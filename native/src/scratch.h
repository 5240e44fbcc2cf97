/* scratch.h: what one thread needs for a query, allocated once.
 *
 *   [ terms | features ]           the query as a sparse vector
 *   [ positions ]                  tree positions of the range's labels, sorted
 *   [ beam | next | labels ]       bounded heaps of the search
 *   [ memo -> arena ]              scores of nodes already seen in this query
 *   [ ranking | candidates ]       popular labels, and all that is considered
 *   [ context | typed | tails ]    words of the session, and what they generate
 *   [ ranked | x ]                 candidates that are ranked, with their features
 */
#ifndef ESP_SCRATCH_H
#define ESP_SCRATCH_H

#include "chunk.h"
#include "features.h"
#include "index.h"
#include "fuzzy.h"
#include "maxima.h"
#include "rank.h"
#include "variants.h"

/* A node or label with its score; [first, last) are the places in `positions`
 * that lie below a node. */
typedef struct esp_scored {
    float score;
    uint32_t id;
    uint32_t first;
    uint32_t last;
} esp_scored;

/* The best `limit` items seen; order is score, then smaller id: total. */
typedef struct esp_top {
    esp_scored *item;
    uint32_t n;
    uint32_t limit;
    uint32_t cap;
} esp_top;

typedef struct esp_memo {
    uint32_t stamp; /* of the query that filled it */
    uint32_t node;
    uint32_t at; /* in arena */
} esp_memo;

struct esp_scratch {
    const esp_index *index;
    esp_scratch_options caps;
    esp_terms terms;
    esp_feature *features;
    uint32_t n_features;
    uint32_t *positions;
    uint32_t *positions_spare; /* for sorting */
    uint32_t n_positions;
    bool by_position; /* positions hold the range */
    uint32_t start;   /* node below which the prefix leaves a choice */
    esp_top beam;
    esp_top next;
    esp_top labels;
    esp_memo *memo;
    float *arena;
    uint32_t arena_used;
    float *spill; /* scores of one node that did not fit the arena */
    uint32_t stamp;
    esp_ranking ranking;
    esp_candidates candidates;
    esp_context context;
    esp_typed typed;
    esp_steps steps;
    esp_tails tails;
    uint8_t *tail_text; /* ESP_TAILS generated, max_previous repeated: tail_bytes each */
    uint32_t tail_bytes;
    const esp_candidate **ranked; /* those that are ranked, rows of x */
    float *x;
    float *ranked_score;
    uint32_t *order;
    esp_variant *variants; /* of the suggestions */
    esp_fuzzy fuzzy;
    uint32_t n_ranked;
    uint32_t n_retrieved; /* products that are ranked, their labels in `order` */
    bool by_forest;       /* the ranked scores are the forest's */
    uint32_t max_ranked;
    esp_work work;
};

enum {
    ESP_POSITIONS_CAP = 2048, /* larger ranges are pruned by node bounds only */
    ESP_MEMO_SLOTS = 4096,
    ESP_ARENA_FLOATS = 65536,
    ESP_MOST_RANKED = 160, /* candidates that are ranked, beside k labels */
    ESP_MOST_BESIDE = 256  /* candidates of all sources but the model */
};

/* False if an item of this score is certainly not among the best. */
static inline bool esp_top_wants(const esp_top *top, float score) {
    return top->n < top->limit || (top->limit > 0 && score >= top->item[0].score);
}

/* Keeps `item` if it is among the best `limit`. */
void esp_top_add(esp_top *top, esp_scored item);

/* The same, without a call where it is not. */
static inline void esp_top_offer(esp_top *top, esp_scored item) {
    if (esp_top_wants(top, item.score))
        esp_top_add(top, item);
}

/* Sorts, best first.  The heap is used up. */
void esp_top_sort(esp_top *top);

/* Forgets node scores and candidates of the query before. */
void esp_scratch_begin(esp_scratch *scratch);

#endif
