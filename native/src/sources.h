/* sources.h: where candidates come from. */
#ifndef ESP_SOURCES_H
#define ESP_SOURCES_H

#include "scratch.h"
#include "sieve.h"

enum {
    ESP_ALL_SOURCES = ESP_SOURCE_MODEL | ESP_SOURCE_POPULAR | ESP_SOURCE_TAIL | ESP_SOURCE_CORRECTED
};

/* A query with its defaults filled in. */
typedef struct esp_plan {
    const esp_query *query;
    const esp_sieve *sieve; /* NULL where the query has no filter */
    uint32_t k;
    uint32_t beam;
    uint32_t pool;
    uint32_t sources;
    uint32_t matcher;
    uint32_t lo; /* labels that begin with the prefix */
    uint32_t hi;
    uint32_t prefix_bytes;
    uint32_t n_popular;  /* labels POPULAR found if there are no others; else UINT32_MAX */
    uint32_t n_previous; /* that count: none where the index was trained to do without */
    bool features;       /* candidates get their features, forest or not */
    bool by_popularity;  /* nothing but popularity counts */
    bool has_model;      /* the tree is asked */
    bool outdone;        /* many more people typed what is almost as typed */
    uint32_t most_tails; /* generated texts that may be suggested */
    uint32_t most_exact; /* suggestions that begin as typed; the others are corrections */
    float most;          /* popularity of the prefix's most popular label, in the file's unit */
    float log_most;      /* logarithm of its users; 0 without any */
    float first_users;   /* users of the previous query, at least 1 */
} esp_plan;

/* Fills scratch->candidates, each with its popularity and, where the tree is
 * asked, its score there.  Completes the plan. */
esp_status esp_find_candidates(
    const esp_index *index, esp_scratch *scratch, esp_plan *plan, esp_error *err);

/* The label with this text, ESP_NO_LABEL if there is none. */
esp_status esp_find_label(
    const esp_index *index, const uint8_t *text, uint32_t length, uint32_t *label, esp_error *err);

/* Whether a text may be suggested: not blocked, and not the query just submitted. */
bool esp_eligible(const esp_plan *plan, const uint8_t *text, uint32_t length);

#endif
