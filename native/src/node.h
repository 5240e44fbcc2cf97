/* node.h: the children of one tree node and their scores, which searches for one
 * query (tree.c) and for many (batch.c) build on. */
#ifndef ESP_NODE_H
#define ESP_NODE_H

#include "chunk.h"
#include "index.h"

/* Children of a node: child nodes, or labels by position. */
typedef struct esp_children {
    uint32_t begin;
    uint32_t n;
    bool are_labels;
} esp_children;

/* Fails with ESP_E_CORRUPT where they leave the tree or would not end: a child
 * has a higher number than its parent. */
esp_status esp_children_of(
    const esp_index *index, uint32_t node, esp_children *out, esp_error *err);

/* Turns n margins into scores, in place: the logarithm of the published
 * transform, except for NOOP. */
void esp_scores_transform(uint32_t post_processor, float *value, uint32_t n);

/* Score of a path from its parent's and the node's own. */
static inline float esp_score_combine(uint32_t post_processor, float parent, float own) {
    return post_processor == ESP_POST_NOOP ? own : parent + own;
}

/* The value a caller sees for an internal score: products are kept as sums of
 * logarithms inside. */
float esp_score_output(uint32_t post_processor, float score);

/* Chunks to be scored together. */
typedef struct esp_jobs {
    esp_chunk_job job[ESP_CHUNK_JOBS];
    uint32_t n;
} esp_jobs;

/* Asks for the cache lines a node's chunk begins with. */
static inline void esp_jobs_prefetch(const esp_index *index, uint32_t node) {
    const uint64_t at = index->tree[node].chunk;
    if (at < index->chunks.length) {
        const uint8_t *data = index->chunks.data + at;
        ESP_PREFETCH(data);
        ESP_PREFETCH(data + 64);
        ESP_PREFETCH(data + 128);
    }
}

/* Adds the chunks of a node with n children for one query; their margins go to
 * out[0, n), behind which ESP_CHUNK_COLUMNS more must be writable.  Runs what is
 * due when there is no room.  Fails with ESP_E_CORRUPT. */
esp_status esp_jobs_add(const esp_index *index, esp_jobs *due, uint32_t node, uint32_t n,
    const esp_feature *features, uint32_t n_features, float *out, esp_error *err);

/* Scores what is due.  Fails with ESP_E_CORRUPT. */
esp_status esp_jobs_run(const esp_index *index, esp_jobs *due, esp_error *err);

#endif
