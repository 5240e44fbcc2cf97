/* chunk.c: see chunk.h. */
#include "chunk.h"

#include <float.h>
#include <math.h>

/* Where the arrays of a chunk lie, from its header alone. */
typedef struct layout {
    uint64_t bias;
    uint64_t value_f32;
    uint64_t directory;
    uint64_t pointer;
    uint64_t key;
    uint64_t value_i16;
    uint64_t col;
    uint64_t end; /* a multiple of 8 */
} layout;

static layout layout_of(const esp_chunk_header *head) {
    const uint64_t index_bytes = (head->flags & ESP_CHUNK_WIDE) != 0 ? 4 : 2;
    const bool f32 = (head->flags & ESP_CHUNK_F32) != 0;
    layout at = {.bias = sizeof *head};
    at.value_f32 = at.bias + 4 * (uint64_t)head->n_cols;
    at.directory = at.value_f32 + (f32 ? 4 * (uint64_t)head->nnz : 0);
    at.pointer = at.directory + index_bytes * (((uint64_t)1 << head->dir_bits) + 1);
    at.key = at.pointer + index_bytes * ((uint64_t)head->n_rows + 1);
    at.value_i16 = at.key + 2 * (uint64_t)head->n_rows;
    at.col = at.value_i16 + (f32 ? 0 : 2 * (uint64_t)head->nnz);
    at.end = (at.col + head->nnz + 7) & ~(uint64_t)7;
    return at;
}

bool esp_chunk_open(const uint8_t *data, uint64_t room, uint32_t bits, esp_chunk *chunk) {
    if (room < sizeof(esp_chunk_header))
        return false;
    const esp_chunk_header *head = (const void *)data;
    if (head->n_cols == 0 || head->n_cols > ESP_CHUNK_COLUMNS || head->dir_bits > bits ||
        bits - head->dir_bits > 16 || bits > ESP_MAX_FEATURE_BITS)
        return false;
    const layout at = layout_of(head);
    if (at.end != head->bytes || at.end > room)
        return false;
    const bool f32 = (head->flags & ESP_CHUNK_F32) != 0;
    *chunk = (esp_chunk){
        .head = head,
        .bias = (const void *)(data + at.bias),
        .value_f32 = f32 ? (const void *)(data + at.value_f32) : NULL,
        .value_i16 = f32 ? NULL : (const void *)(data + at.value_i16),
        .directory = data + at.directory,
        .pointer = data + at.pointer,
        .key = (const void *)(data + at.key),
        .col = data + at.col,
    };
    return true;
}

static inline uint32_t read_index(const void *array, bool wide, uint32_t i) {
    return wide ? ((const uint32_t *)array)[i] : ((const uint16_t *)array)[i];
}

/* Number of the row with this mixed feature; false in *found if there is none.
 * Returns false where the directory leaves the rows. */
static inline bool find_row(const esp_chunk *chunk, bool wide, uint32_t rest_bits, uint32_t mixed,
    uint32_t *row, bool *found) {
    const uint32_t bucket = mixed >> rest_bits;
    const uint16_t rest = (uint16_t)(mixed & (0xFFFFu >> (16 - rest_bits)));
    const uint32_t begin = read_index(chunk->directory, wide, bucket);
    const uint32_t end = read_index(chunk->directory, wide, bucket + 1);
    *found = false;
    if (ESP_UNLIKELY(end > chunk->head->n_rows))
        return false;
    for (uint32_t r = begin; r < end; r++) {
        if (chunk->key[r] == rest) {
            *row = r;
            *found = true;
            return true;
        }
    }
    return true;
}

/* `wide` and `f32` are constants at every call, so each of the four bodies is
 * compiled without the test. */
static inline __attribute__((always_inline)) bool score_body(const esp_chunk *chunk, bool wide,
    bool f32, uint32_t bits, const esp_feature *features, uint32_t n_features,
    float out[ESP_CHUNK_COLUMNS]) {
    const esp_chunk_header *head = chunk->head;
    const uint32_t rest_bits = bits - head->dir_bits;
    for (uint32_t f = 0; f < n_features; f++) {
        uint32_t row = 0;
        bool found = false;
        if (ESP_UNLIKELY(!find_row(chunk, wide, rest_bits, features[f].mixed, &row, &found)))
            return false;
        if (!found)
            continue;
        const uint32_t begin = read_index(chunk->pointer, wide, row);
        const uint32_t end = read_index(chunk->pointer, wide, row + 1);
        if (ESP_UNLIKELY(end > head->nnz))
            return false;
        const float value = features[f].value;
        for (uint32_t e = begin; e < end; e++) {
            const float weight = f32 ? chunk->value_f32[e] : (float)chunk->value_i16[e];
            out[chunk->col[e]] += value * weight; /* u8: below ESP_CHUNK_COLUMNS */
        }
    }
    return true;
}

bool esp_chunk_score(const esp_chunk *chunk, uint32_t bits, const esp_feature *features,
    uint32_t n_features, float out[ESP_CHUNK_COLUMNS]) {
    const esp_chunk_header *head = chunk->head;
    const bool wide = (head->flags & ESP_CHUNK_WIDE) != 0;
    const bool f32 = (head->flags & ESP_CHUNK_F32) != 0;
    memset(out, 0, head->n_cols * sizeof *out);
    bool ok = true;
    if (f32)
        ok = wide ? score_body(chunk, true, true, bits, features, n_features, out)
                  : score_body(chunk, false, true, bits, features, n_features, out);
    else
        ok = wide ? score_body(chunk, true, false, bits, features, n_features, out)
                  : score_body(chunk, false, false, bits, features, n_features, out);
    const float scale = f32 ? 1.0f : head->scale;
    for (uint32_t c = 0; c < head->n_cols; c++)
        out[c] = chunk->bias[c] + scale * out[c];
    return ok;
}

const char *esp_chunk_validate(const esp_chunk *chunk, uint32_t bits, uint32_t n_features) {
    const esp_chunk_header *head = chunk->head;
    const bool wide = (head->flags & ESP_CHUNK_WIDE) != 0;
    const uint32_t n_buckets = (uint32_t)1 << head->dir_bits;
    const uint32_t rest_bits = bits - head->dir_bits;
    if (head->reserved != 0 || (head->flags & ~(ESP_CHUNK_F32 | ESP_CHUNK_WIDE)) != 0)
        return "W2";
    if (!isfinite(head->scale))
        return "W3";
    for (uint32_t c = 0; c < head->n_cols; c++)
        if (!isfinite(chunk->bias[c]))
            return "W3";
    if (chunk->value_f32 != NULL)
        for (uint32_t e = 0; e < head->nnz; e++)
            if (!isfinite(chunk->value_f32[e]))
                return "W3";
    if (read_index(chunk->directory, wide, 0) != 0 ||
        read_index(chunk->directory, wide, n_buckets) != head->n_rows)
        return "W4";
    for (uint32_t b = 0; b < n_buckets; b++) {
        const uint32_t begin = read_index(chunk->directory, wide, b);
        const uint32_t end = read_index(chunk->directory, wide, b + 1);
        if (begin > end || end > head->n_rows)
            return "W4";
        for (uint32_t r = begin; r < end; r++) {
            if (r > begin && chunk->key[r - 1] >= chunk->key[r])
                return "W5";
            if (chunk->key[r] >> rest_bits != 0)
                return "W5";
        }
    }
    if (read_index(chunk->pointer, wide, 0) != 0 ||
        read_index(chunk->pointer, wide, head->n_rows) != head->nnz)
        return "W6";
    for (uint32_t r = 0; r < head->n_rows; r++) {
        const uint32_t begin = read_index(chunk->pointer, wide, r);
        const uint32_t end = read_index(chunk->pointer, wide, r + 1);
        if (begin >= end || end > head->nnz)
            return "W6";
        for (uint32_t e = begin; e < end; e++)
            if (chunk->col[e] >= head->n_cols || (e > begin && chunk->col[e - 1] >= chunk->col[e]))
                return "W7";
    }
    for (const uint8_t *p = chunk->col + head->nnz; p < (const uint8_t *)head + head->bytes; p++)
        if (*p != 0)
            return "W8";
    (void)n_features;
    return NULL;
}

/* ---- encoding ----------------------------------------------------------- */

typedef struct entry {
    uint32_t mixed;
    uint32_t col;
    float value;
} entry;

static int compare_entries(const void *a, const void *b) {
    const entry *x = a;
    const entry *y = b;
    if (x->mixed != y->mixed)
        return x->mixed < y->mixed ? -1 : 1;
    return (x->col > y->col) - (x->col < y->col);
}

static void write_index(void *array, bool wide, uint32_t i, uint32_t value) {
    if (wide)
        ((uint32_t *)array)[i] = value;
    else
        ((uint16_t *)array)[i] = (uint16_t)value;
}

/* Entries sorted by (mixed, col) become one chunk at `data`, of head->bytes. */
static void fill_chunk(uint8_t *data, const esp_chunk_header *head, uint32_t bits,
    const entry *entries, const float *bias) {
    const layout at = layout_of(head);
    const bool wide = (head->flags & ESP_CHUNK_WIDE) != 0;
    const bool f32 = (head->flags & ESP_CHUNK_F32) != 0;
    const uint32_t rest_bits = bits - head->dir_bits;
    const uint32_t n_buckets = (uint32_t)1 << head->dir_bits;
    float *value_f32 = (void *)(data + at.value_f32);
    int16_t *value_i16 = (void *)(data + at.value_i16);
    uint16_t *key = (void *)(data + at.key);
    memcpy(data, head, sizeof *head);
    memcpy(data + at.bias, bias, head->n_cols * sizeof *bias);
    uint32_t row = 0;
    uint32_t bucket = 0;
    for (uint32_t e = 0; e < head->nnz; e++) {
        if (e == 0 || entries[e].mixed != entries[e - 1].mixed) {
            for (const uint32_t b = entries[e].mixed >> rest_bits; bucket <= b; bucket++)
                write_index(data + at.directory, wide, bucket, row);
            write_index(data + at.pointer, wide, row, e);
            key[row++] = (uint16_t)(entries[e].mixed & (0xFFFFu >> (16 - rest_bits)));
        }
        if (f32)
            value_f32[e] = entries[e].value;
        else
            value_i16[e] = (int16_t)lrintf(entries[e].value / head->scale);
        data[at.col + e] = (uint8_t)entries[e].col;
    }
    for (; bucket <= n_buckets; bucket++)
        write_index(data + at.directory, wide, bucket, row);
    write_index(data + at.pointer, wide, row, head->nnz);
}

/* The header of a chunk over `n` sorted entries. */
static esp_status plan_chunk(const entry *entries, size_t n, uint32_t n_cols, uint32_t bits,
    uint32_t weight_bits, esp_chunk_header *head, esp_error *err) {
    uint32_t n_rows = 0;
    float largest = 0;
    for (size_t e = 0; e < n; e++) {
        n_rows += e == 0 || entries[e].mixed != entries[e - 1].mixed;
        largest = fmaxf(largest, fabsf(entries[e].value));
    }
    /* About four rows a bucket: fewer buckets cost compares, more cost bytes. */
    const uint32_t wanted = esp_bits_for(n_rows / 4);
    const uint32_t least = bits > 16 ? bits - 16 : 0;
    const uint32_t dir_bits = esp_min_u32(bits, esp_max_u32(wanted, least));
    const bool wide = n_rows > UINT16_MAX || n > UINT16_MAX;
    *head = (esp_chunk_header){
        .n_rows = n_rows,
        .nnz = (uint32_t)n,
        .n_cols = (uint16_t)n_cols,
        .dir_bits = (uint8_t)dir_bits,
        .flags = (uint8_t)((weight_bits == 32 ? ESP_CHUNK_F32 : 0) | (wide ? ESP_CHUNK_WIDE : 0)),
        /* Not below the normal numbers: a denormal scale is so coarse that the
         * largest weight divided by it can pass 32,767. */
        .scale = largest > 0 ? fmaxf(largest / 32767.0f, FLT_MIN) : 1.0f,
    };
    const uint64_t bytes = layout_of(head).end;
    if (n > UINT32_MAX || bytes > UINT32_MAX)
        ESP_FAIL(err, ESP_E_LIMIT, "chunk", n, "a node with %zu weights is too large", n);
    head->bytes = (uint32_t)bytes;
    return ESP_OK;
}

static esp_status check_columns(uint32_t n_children, uint32_t n_features, const uint64_t *col_ptr,
    const uint32_t *row, const float *val, const float *bias, uint32_t weight_bits,
    esp_error *err) {
    if (n_children == 0 || (weight_bits != 16 && weight_bits != 32))
        ESP_FAIL(err, ESP_E_ARGUMENT, "weight_bits", weight_bits,
            "a chunk needs children and 16 or 32 bits per weight");
    if (esp_feature_bits(n_features) > ESP_MAX_FEATURE_BITS)
        ESP_FAIL(err, ESP_E_LIMIT, "n_features", n_features, "more than 2^%d features",
            ESP_MAX_FEATURE_BITS);
    for (uint32_t c = 0; c < n_children; c++) {
        if (col_ptr[c] > col_ptr[c + 1])
            ESP_FAIL(err, ESP_E_ARGUMENT, "col_ptr", c, "col_ptr decreases at column %u", c);
        if (!isfinite(bias[c]))
            ESP_FAIL(err, ESP_E_ARGUMENT, "bias", c, "the bias of column %u is not finite", c);
        for (uint64_t e = col_ptr[c]; e < col_ptr[c + 1]; e++) {
            if (row[e] >= n_features || (e > col_ptr[c] && row[e - 1] >= row[e]))
                ESP_FAIL(err, ESP_E_ARGUMENT, "row", e,
                    "rows of column %u are not ascending below %u", c, n_features);
            if (!isfinite(val[e]))
                ESP_FAIL(err, ESP_E_ARGUMENT, "val", e, "a weight of column %u is not finite", c);
        }
    }
    return ESP_OK;
}

esp_status esp_chunk_encode(uint32_t n_children, uint32_t n_features, const uint64_t *col_ptr,
    const uint32_t *row, const float *val, const float *bias, uint32_t weight_bits, uint8_t **chunk,
    size_t *chunk_bytes, esp_error *err) {
    ESP_TRY(check_columns(n_children, n_features, col_ptr, row, val, bias, weight_bits, err));
    const uint32_t bits = esp_feature_bits(n_features);
    entry *entries = esp_alloc((size_t)(col_ptr[n_children] - col_ptr[0]), sizeof *entries);
    uint8_t *out = NULL;
    size_t out_bytes = 0;
    esp_status status = ESP_OK;
    if (entries == NULL)
        goto no_memory;
    for (uint32_t first = 0; first < n_children; first += ESP_CHUNK_COLUMNS) {
        const uint32_t n_cols = esp_min_u32(n_children - first, ESP_CHUNK_COLUMNS);
        size_t n = 0;
        for (uint32_t c = 0; c < n_cols; c++)
            for (uint64_t e = col_ptr[first + c]; e < col_ptr[first + c + 1]; e++)
                if (val[e] != 0)
                    entries[n++] =
                        (entry){.mixed = esp_feature_mix(row[e], bits), .col = c, .value = val[e]};
        qsort(entries, n, sizeof *entries, compare_entries);
        esp_chunk_header head;
        status = plan_chunk(entries, n, n_cols, bits, weight_bits, &head, err);
        if (status != ESP_OK)
            goto cleanup;
        uint8_t *grown = realloc(out, out_bytes + head.bytes);
        if (grown == NULL)
            goto no_memory;
        out = grown;
        memset(out + out_bytes, 0, head.bytes);
        fill_chunk(out + out_bytes, &head, bits, entries, bias + first);
        out_bytes += head.bytes;
    }
    *chunk = out;
    *chunk_bytes = out_bytes;
    out = NULL;
    goto cleanup;
no_memory:
    status = esp_error_set(err, ESP_E_MEMORY, 0, n_children, "chunk", "no memory for a chunk");
cleanup:
    free(out);
    free(entries);
    return status;
}
