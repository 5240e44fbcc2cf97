/* sources.h: where candidates come from. */
#ifndef ESP_SOURCES_H
#define ESP_SOURCES_H

#include "scratch.h"

/* A query with its defaults filled in. */
typedef struct esp_plan {
    uint32_t k;
    uint32_t beam;
    uint32_t pool;
    uint32_t sources;
    uint32_t matcher;
    uint32_t lo; /* labels that begin with the prefix */
    uint32_t hi;
    uint32_t prefix_bytes;
    bool has_model;    /* the tree is asked */
    float most;        /* popularity of the prefix's most popular label, in the file's unit */
    float first_users; /* of the previous query, at least 1 */
    float log_most;    /* logarithm of its users; 0 without any */
} esp_plan;

/* Fills scratch->candidates, each with its popularity and, where the tree is
 * asked, its score there.  Sets has_model and log_most of the plan. */
esp_status esp_find_candidates(const esp_index *index, esp_scratch *scratch, const esp_query *query,
    esp_plan *plan, esp_error *err);

#endif
