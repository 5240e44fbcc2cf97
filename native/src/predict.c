/* predict.c: extreme multi-label ranking on features the caller brings. */
#include "predict.h"

#include "node.h"
#include "tree.h"

esp_status esp_predict_check(const esp_index *index, const esp_scratch *scratch, const esp_csr *x,
    uint32_t beam, uint32_t k, esp_error *err) {
    const esp_scratch_options *caps = &scratch->caps;
    if (index->tree == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "model", 0, "the index has no ranking model");
    if (x->n_cols != index->params->n_features)
        ESP_FAIL(err, ESP_E_ARGUMENT, "n_cols", x->n_cols,
            "features have %u columns, the model was trained on %u", x->n_cols,
            index->params->n_features);
    if (beam == 0 || k == 0 || beam > caps->max_beam || k > caps->max_pool)
        ESP_FAIL(err, ESP_E_LIMIT, "beam", beam, "beam 1 to %u and k 1 to %u, not %u and %u",
            caps->max_beam, caps->max_pool, beam, k);
    return ESP_OK;
}

esp_status esp_predict_check_row(
    const esp_scratch *scratch, const esp_csr *x, uint32_t row, esp_error *err) {
    const uint64_t begin = x->row_ptr[row];
    const uint64_t end = x->row_ptr[row + 1];
    if (begin > end || end - begin > scratch->terms.cap)
        ESP_FAIL(err, ESP_E_LIMIT, "row", row, "row %u has more than %zu features", row,
            scratch->terms.cap);
    return ESP_OK;
}

esp_status esp_predict(const esp_index *index, esp_scratch *scratch, const esp_csr *x, uint32_t row,
    uint32_t beam, uint32_t k, uint32_t *labels, float *scores, size_t *count, esp_error *err) {
    ESP_TRY(esp_predict_check(index, scratch, x, beam, k, err));
    if (row >= x->n_rows)
        ESP_FAIL(err, ESP_E_ARGUMENT, "row", row, "row %u of %u", row, x->n_rows);
    ESP_TRY(esp_predict_check_row(scratch, x, row, err));
    esp_scratch_begin(scratch);
    scratch->terms.n = 0;
    for (uint64_t i = x->row_ptr[row]; i < x->row_ptr[row + 1]; i++) {
        if (x->col[i] >= x->n_cols)
            ESP_FAIL(err, ESP_E_ARGUMENT, "col", i, "column %u of %u", x->col[i], x->n_cols);
        scratch->terms.item[scratch->terms.n++] = (esp_term){.key = x->col[i], .weight = x->val[i]};
    }
    esp_tree_features(index, scratch);
    const esp_search search = {.hi = index->params->n_labels, .beam = beam, .pool = k};
    ESP_TRY(esp_tree_search(index, scratch, &search, err));
    esp_top_sort(&scratch->labels);
    for (uint32_t i = 0; i < scratch->labels.n; i++) {
        labels[i] = scratch->labels.item[i].id;
        scores[i] = esp_score_output(index->params->post_processor, scratch->labels.item[i].score);
    }
    *count = scratch->labels.n;
    return ESP_OK;
}
