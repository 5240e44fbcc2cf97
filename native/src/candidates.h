/* candidates.h: what a query considers, each text once. */
#ifndef ESP_CANDIDATES_H
#define ESP_CANDIDATES_H

#include "index.h"

typedef struct esp_candidate {
    const uint8_t *text; /* borrowed from the index or from the scratch */
    uint32_t length;
    uint32_t hash;     /* of the text */
    uint32_t label;    /* or ESP_NO_LABEL */
    uint32_t source;   /* an esp_source: the first that found it */
    uint32_t sources;  /* bits: all that did */
    uint32_t matched;  /* bytes of text the prefix accounts for */
    uint32_t followed; /* users who typed it right after the previous query */
    uint32_t edits;    /* between the prefix and those */
    float model;       /* log score of the tree */
    float popularity;  /* share of the most popular label's users */
    float tail;        /* log probability of the generator */
    uint32_t made;     /* 1 + its number among the completions generated, 0: not among them */
    float score;       /* by which candidates are ordered */
} esp_candidate;

typedef struct esp_candidates {
    esp_candidate *item;
    uint32_t n;
    uint32_t cap;
    uint32_t *slot; /* number by hash, where `seen` has the stamp of this query */
    uint32_t *seen;
    uint32_t mask;
    uint32_t stamp;
} esp_candidates;

bool esp_candidates_alloc(esp_candidates *set, uint32_t cap);
void esp_candidates_free(esp_candidates *set);
void esp_candidates_clear(esp_candidates *set);

/* The candidate with this text, NULL if there is none. */
esp_candidate *esp_candidates_find(const esp_candidates *set, const uint8_t *text, uint32_t length);

/* Adds a candidate, or notes that `source` found it too.  `text` must stay where it
 * is.  NULL if the set is full. */
esp_candidate *esp_candidates_add(
    esp_candidates *set, const uint8_t *text, uint32_t length, uint32_t label, uint32_t source);

#endif
