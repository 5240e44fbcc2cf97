/* predict.h: what predicting one row and many have in common. */
#ifndef ESP_PREDICT_H
#define ESP_PREDICT_H

#include "scratch.h"

/* Checks everything about a call but its rows. */
esp_status esp_predict_check(const esp_index *index, const esp_scratch *scratch, const esp_csr *x,
    uint32_t beam, uint32_t k, esp_error *err);

/* Checks where a row below n_rows begins and ends. */
esp_status esp_predict_check_row(
    const esp_scratch *scratch, const esp_csr *x, uint32_t row, esp_error *err);

#endif
