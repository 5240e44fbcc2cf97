/* node.c: see node.h. */
#include "node.h"

#include <math.h>

esp_status esp_children_of(
    const esp_index *index, uint32_t node, esp_children *out, esp_error *err) {
    const esp_tree_node *at = &index->tree[node];
    const bool are_labels = at->child_begin == at->child_end;
    const uint32_t begin = are_labels ? at->pos_begin : at->child_begin;
    const uint32_t end = are_labels ? at->pos_end : at->child_end;
    const uint32_t limit = are_labels ? index->params->n_labels : index->params->n_nodes;
    if (ESP_UNLIKELY(begin >= end || end > limit || (!are_labels && begin <= node) ||
                     end - begin > index->params->max_children))
        return esp_index_damaged(ESP_SEC_TREE, "N2", node, err);
    *out = (esp_children){.begin = begin, .n = end - begin, .are_labels = are_labels};
    return ESP_OK;
}

/* -max(0, 1 - v), in a form compilers turn into one instruction. */
static inline float hinge(float margin) {
    return margin < 1.0f ? margin - 1.0f : 0.0f;
}

void esp_scores_transform(uint32_t post_processor, float *value, uint32_t n) {
    /* Huge features overflow to infinities, and their sum to no number at all, which
     * no comparison orders: such a child is as bad as can be. */
    for (uint32_t i = 0; i < n; i++)
        value[i] = isnan(value[i]) ? -INFINITY : value[i];
    switch (post_processor) {
    case ESP_POST_L1_HINGE:
    case ESP_POST_LOG_L1_HINGE:
        for (uint32_t i = 0; i < n; i++)
            value[i] = hinge(value[i]);
        return;
    case ESP_POST_L2_HINGE:
    case ESP_POST_LOG_L2_HINGE:
        for (uint32_t i = 0; i < n; i++) {
            const float loss = hinge(value[i]);
            value[i] = -loss * loss;
        }
        return;
    case ESP_POST_L3_HINGE:
    case ESP_POST_LOG_L3_HINGE:
        for (uint32_t i = 0; i < n; i++) {
            const float loss = hinge(value[i]);
            value[i] = loss * loss * loss;
        }
        return;
    case ESP_POST_SIGMOID:
    case ESP_POST_LOG_SIGMOID:
        for (uint32_t i = 0; i < n; i++)
            value[i] = value[i] >= 0 ? -log1pf(expf(-value[i])) : value[i] - log1pf(expf(value[i]));
        return;
    default: return;
    }
}

float esp_score_output(uint32_t post_processor, float score) {
    switch (post_processor) {
    case ESP_POST_SIGMOID:
    case ESP_POST_L1_HINGE:
    case ESP_POST_L2_HINGE:
    case ESP_POST_L3_HINGE: return expf(score);
    default: return score;
    }
}

esp_status esp_jobs_run(const esp_index *index, esp_jobs *due, esp_error *err) {
    const uint32_t n = due->n;
    due->n = 0;
    if (ESP_UNLIKELY(n > 0 && !esp_chunk_score(due->job, n, index->feature_bits)))
        return esp_index_damaged(ESP_SEC_WGHT, "W4", 0, err);
    return ESP_OK;
}

esp_status esp_jobs_add(const esp_index *index, esp_jobs *due, uint32_t node, uint32_t n,
    const esp_feature *features, uint32_t n_features, float *out, esp_error *err) {
    uint64_t at = index->tree[node].chunk;
    for (uint32_t done = 0; done < n; done += ESP_CHUNK_COLUMNS) {
        if (due->n == ESP_CHUNK_JOBS)
            ESP_TRY(esp_jobs_run(index, due, err));
        esp_chunk_job *job = &due->job[due->n];
        if (ESP_UNLIKELY(at > index->chunks.length || at % 8 != 0 ||
                         !esp_chunk_open(index->chunks.data + at, index->chunks.length - at,
                             index->feature_bits, &job->chunk) ||
                         job->chunk.head->n_cols != esp_min_u32(n - done, ESP_CHUNK_COLUMNS)))
            return esp_index_damaged(ESP_SEC_WGHT, "W1", at, err);
        job->features = features;
        job->n_features = n_features;
        job->out = out + done;
        at += job->chunk.head->bytes;
        due->n++;
    }
    return ESP_OK;
}
