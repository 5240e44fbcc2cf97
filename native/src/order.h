/* order.h: from candidates to an answer. */
#ifndef ESP_ORDER_H
#define ESP_ORDER_H

#include "sources.h"

/* Scores scratch->candidates and writes the k best to `out`: exact ones before
 * corrected ones, no variants of better ones unless the query keeps them, pins where
 * the overlay wants them.  Where labels of the range are left they fill up k. */
esp_status esp_order(const esp_index *index, esp_scratch *scratch, const esp_plan *plan,
    esp_suggestion *out, size_t *count, esp_error *err);

/* Whether a forest orders: the index has one and it knows these features. */
bool esp_forest_usable(const esp_index *index);

#endif
