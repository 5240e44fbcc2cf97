/* small_index.h: a small index in memory, built with the library's own parts.
 *
 *   2 * n_pairs labels: "aaa", "aaa de", "aab", "aab de", ...
 *
 *               node 0                 label positions run backwards, so that
 *              /  |   \                tree order differs from label order
 *         node 1  2    3
 *        /     \  |    |
 *      node 4  5  labels
 *       |      |
 *      labels  labels
 */
#ifndef ESP_SMALL_INDEX_H
#define ESP_SMALL_INDEX_H

#include <stdlib.h>
#include <string.h>

#include "../src/format.h"

enum { SMALL_NODES = 6, SMALL_PAIRS = 200, SMALL_SECTIONS = 16, SMALL_MOST = 24 };

typedef struct small_index {
    uint8_t *bytes; /* aligned to 64 */
    size_t length;
    esp_index *index;
} small_index;

typedef struct small_part {
    uint32_t id;
    const void *data;
    size_t length;
} small_part;

static inline uint32_t small_draw(uint64_t *state, uint32_t n) {
    return (uint32_t)((esp_random_next(state) >> 33) % n);
}

/* Header, sections, table: FORMAT.md, "Layout". */
static inline small_index small_assemble(const small_part *parts, uint32_t n) {
    size_t length = sizeof(esp_file_header);
    for (uint32_t i = 0; i < n; i++)
        length = (length + 63) / 64 * 64 + parts[i].length;
    const size_t table_at = (length + 7) / 8 * 8;
    length = table_at + n * sizeof(esp_file_section);
    small_index made = {.length = length};
    made.bytes = aligned_alloc(ESP_ALIGNMENT, (length + 63) / 64 * 64);
    memset(made.bytes, 0, (length + 63) / 64 * 64);
    esp_file_section table[SMALL_MOST] = {{0}};
    size_t at = sizeof(esp_file_header);
    for (uint32_t i = 0; i < n; i++) {
        at = (at + 63) / 64 * 64;
        if (parts[i].length > 0)
            memcpy(made.bytes + at, parts[i].data, parts[i].length);
        table[i] = (esp_file_section){.id = parts[i].id,
            .crc = esp_crc32c(0, made.bytes + at, parts[i].length),
            .offset = at,
            .length = parts[i].length};
        at += parts[i].length;
    }
    memcpy(made.bytes + table_at, table, n * sizeof *table);
    esp_file_header head = {.magic = ESP_MAGIC,
        .major = ESP_FORMAT_MAJOR,
        .endian = ESP_ENDIAN_MARK,
        .file_bytes = length,
        .fingerprint = 42,
        .table_offset = table_at,
        .n_sections = n,
        .table_crc = esp_crc32c(0, made.bytes + table_at, n * sizeof *table)};
    head.header_crc = esp_crc32c(0, (const uint8_t *)&head, offsetof(esp_file_header, header_crc));
    memcpy(made.bytes, &head, sizeof head);
    return made;
}

static inline int small_compare(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Chunks of a node with random weights on a quarter of the features. */
static inline void small_weights(uint32_t n_children, uint32_t n_features, uint64_t *random,
    uint32_t weight_bits, uint8_t **chunk, size_t *bytes) {
    uint64_t *col_ptr = calloc((size_t)n_children + 1, sizeof *col_ptr);
    uint32_t *row = malloc(((size_t)n_children * n_features + 1) * sizeof *row);
    float *val = malloc(((size_t)n_children * n_features + 1) * sizeof *val);
    float *bias = malloc(n_children * sizeof *bias);
    uint64_t n = 0;
    for (uint32_t c = 0; c < n_children; c++) {
        bias[c] = (float)small_draw(random, 100) / 100;
        for (uint32_t f = 0; f < n_features; f++)
            if (small_draw(random, 4) == 0) {
                row[n] = f;
                val[n++] = (float)small_draw(random, 2000) / 1000 - 1;
            }
        col_ptr[c + 1] = n;
    }
    esp_chunk_encode(
        n_children, n_features, col_ptr, row, val, bias, weight_bits, chunk, bytes, NULL);
    free(col_ptr);
    free(row);
    free(val);
    free(bias);
}

static inline void small_free(small_index *made) {
    esp_index_close(made->index);
    free(made->bytes);
    *made = (small_index){0};
}

/* `post` is an esp_post_processor. */
static inline small_index small_make(uint32_t n_pairs, uint32_t post, uint32_t weight_bits) {
    const uint32_t n = 2 * n_pairs;
    uint64_t random = 7;
    uint8_t *blob = malloc((size_t)n * 6);
    uint32_t *loff = malloc(((size_t)n + 1) * sizeof *loff);
    uint64_t *starts = malloc(((size_t)n + 1) * sizeof *starts);
    uint32_t *lengths = malloc(n * sizeof *lengths);
    uint32_t *users = malloc(n * sizeof *users);
    uint32_t *lpos = malloc(n * sizeof *lpos);
    uint32_t *posl = malloc(n * sizeof *posl);
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t p = i / 2;
        const uint8_t text[6] = {(uint8_t)('a' + p / 676), (uint8_t)('a' + p / 26 % 26),
            (uint8_t)('a' + p % 26), ' ', 'd', 'e'};
        loff[i] = at;
        starts[i] = at;
        lengths[i] = i % 2 == 0 ? 3 : 6;
        memcpy(blob + at, text, lengths[i]);
        at += lengths[i];
        users[i] = small_draw(&random, 50);
        lpos[i] = posl[i] = n - 1 - i;
    }
    loff[n] = at;
    starts[n] = at;

    uint32_t *keys = malloc(((size_t)at * 3 + 1) * sizeof *keys);
    float *idf = malloc(((size_t)at * 3 + 1) * sizeof *idf);
    uint64_t *ptr = malloc(((size_t)n + 1) * sizeof *ptr);
    esp_features_hash(
        blob, starts, lengths, n, ESP_FEATURE_CHARS, keys, idf, ptr, (size_t)at * 3 + 1, NULL);
    uint32_t n_features = (uint32_t)ptr[n];
    qsort(keys, n_features, sizeof *keys, small_compare);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < n_features; i++)
        if (distinct == 0 || keys[distinct - 1] != keys[i])
            keys[distinct++] = keys[i];
    n_features = distinct;
    for (uint32_t i = 0; i < n_features; i++)
        idf[i] = 0.5f + (float)small_draw(&random, 100) / 100;

    /* Positions are cut at a quarter, a half, and three quarters. */
    const uint32_t q = n / 4;
    const uint32_t cut[SMALL_NODES][2] = {
        {0, n}, {0, 2 * q}, {2 * q, 3 * q}, {3 * q, n}, {0, q}, {q, 2 * q}};
    const uint32_t child[SMALL_NODES][2] = {{1, 4}, {4, 6}, {0, 0}, {0, 0}, {0, 0}, {0, 0}};
    esp_tree_node nodes[SMALL_NODES];
    uint8_t *weights = NULL;
    size_t weights_length = 0;
    uint32_t widest = 0;
    for (uint32_t i = 0; i < SMALL_NODES; i++) {
        const uint32_t below = child[i][1] - child[i][0];
        const uint32_t n_children = below > 0 ? below : cut[i][1] - cut[i][0];
        uint8_t *chunk = NULL;
        size_t bytes = 0;
        widest = esp_max_u32(widest, n_children);
        small_weights(n_children, n_features, &random, weight_bits, &chunk, &bytes);
        nodes[i] = (esp_tree_node){.child_begin = child[i][0],
            .child_end = child[i][1],
            .pos_begin = cut[i][0],
            .pos_end = cut[i][1],
            .label_min = n - cut[i][1],
            .label_max = n - 1 - cut[i][0],
            .chunk = weights_length};
        weights = realloc(weights, weights_length + bytes);
        memcpy(weights + weights_length, chunk, bytes);
        weights_length += bytes;
        esp_buffer_free(chunk);
    }

    const esp_params params = {.n_labels = n,
        .n_nodes = SMALL_NODES,
        .n_features = n_features,
        .tree_depth = 3,
        .max_children = widest,
        .post_processor = post,
        .prefix_features = ESP_PREFIX_POSITION_WEIGHTED,
        .max_context = 2,
        .context_decay = 0.5f,
        .blend_model = 1,
        .blend_popularity = 1,
        .default_beam = 10,
        .default_pool = 40,
        .default_matcher = ESP_MATCH_CONSTRAINED};
    uint8_t *trie = NULL;
    uint8_t *maxima = NULL;
    size_t trie_length = 0;
    size_t maxima_length = 0;
    esp_trie_build(blob, starts, n, &trie, &trie_length, NULL);
    esp_maxima_build(users, n, &maxima, &maxima_length, NULL);
    const uint32_t shown[1] = {1};
    const uint32_t shown_at[2] = {0, 6};
    const small_part parts[SMALL_SECTIONS] = {
        {ESP_SEC_META, "{}", 2},
        {ESP_SEC_PARM, &params, sizeof params},
        {ESP_SEC_LOFF, loff, ((size_t)n + 1) * 4},
        {ESP_SEC_LTXT, blob, at},
        {ESP_SEC_DIDS, shown, sizeof shown},
        {ESP_SEC_DOFF, shown_at, sizeof shown_at},
        {ESP_SEC_DTXT, "AAA De", 6},
        {ESP_SEC_TRIE, trie, trie_length},
        {ESP_SEC_USER, users, (size_t)n * 4},
        {ESP_SEC_PMAX, maxima, maxima_length},
        {ESP_SEC_FKEY, keys, (size_t)n_features * 4},
        {ESP_SEC_FIDF, idf, (size_t)n_features * 4},
        {ESP_SEC_TREE, nodes, sizeof nodes},
        {ESP_SEC_LPOS, lpos, (size_t)n * 4},
        {ESP_SEC_POSL, posl, (size_t)n * 4},
        {ESP_SEC_WGHT, weights, weights_length},
    };
    small_index made = small_assemble(parts, SMALL_SECTIONS);
    esp_index_open_memory(made.bytes, made.length, &made.index, NULL);
    free(blob);
    free(loff);
    free(starts);
    free(lengths);
    free(users);
    free(lpos);
    free(posl);
    free(keys);
    free(idf);
    free(ptr);
    free(weights);
    esp_buffer_free(trie);
    esp_buffer_free(maxima);
    return made;
}

#endif
