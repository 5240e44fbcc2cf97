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
        .by_eight = at.end - at.key - 2 * (uint64_t)head->n_rows >= 16,
    };
    return true;
}

static inline uint32_t read_index(const void *array, bool wide, uint32_t i) {
    return wide ? ((const uint32_t *)array)[i] : ((const uint16_t *)array)[i];
}

/* One query feature in one chunk, on its way from bucket to entries. */
typedef struct lookup {
    uint32_t begin; /* of rows, then of entries */
    uint32_t end;
    uint32_t rest;
    float value;
} lookup;

/* So many look-ups are under way at once.  What matters is that their cache
 * misses overlap; beyond some fifty the processor has no more to give. */
enum { LOOKUPS = 256 };

/* A run of look-ups in one chunk. */
typedef struct run {
    const esp_chunk_job *job;
    const esp_feature *features;
    uint32_t n;
} run;

static inline __attribute__((always_inline)) void fetch_directory(const run *at, uint32_t bits) {
    const esp_chunk *chunk = &at->job->chunk;
    const uint32_t rest_bits = bits - chunk->head->dir_bits;
    const uint32_t width = (chunk->head->flags & ESP_CHUNK_WIDE) != 0 ? 4 : 2;
    for (uint32_t f = 0; f < at->n; f++)
        ESP_PREFETCH((const uint8_t *)chunk->directory +
                     (size_t)(at->features[f].mixed >> rest_bits) * width);
}

/* Buckets of the run's features; false where the directory leaves the rows. */
static inline __attribute__((always_inline)) bool read_buckets(
    const run *at, bool wide, uint32_t bits, lookup *out) {
    const esp_chunk *chunk = &at->job->chunk;
    const uint32_t rest_bits = bits - chunk->head->dir_bits;
    const uint32_t rest_mask = 0xFFFFu >> (16 - rest_bits);
    const uint32_t n_rows = chunk->head->n_rows;
    for (uint32_t f = 0; f < at->n; f++) {
        const uint32_t mixed = at->features[f].mixed;
        const uint32_t begin = read_index(chunk->directory, wide, mixed >> rest_bits);
        const uint32_t end = read_index(chunk->directory, wide, (mixed >> rest_bits) + 1);
        if (ESP_UNLIKELY(begin > end || end > n_rows))
            return false;
        ESP_PREFETCH(chunk->key + begin);
        ESP_PREFETCH((const uint8_t *)chunk->pointer + (size_t)begin * (wide ? 4 : 2));
        out[f] = (lookup){
            .begin = begin, .end = end, .rest = mixed & rest_mask, .value = at->features[f].value};
    }
    return true;
}

/* Drops the look-ups whose feature has no row; the others get their entries.
 * Returns how many are left; UINT32_MAX where pointers leave the entries. */
static inline __attribute__((always_inline)) uint32_t read_rows(
    const run *at, bool wide, bool f32, const lookup *in, lookup *out) {
    const esp_chunk *chunk = &at->job->chunk;
    const uint32_t nnz = chunk->head->nnz;
    const bool by_eight = chunk->by_eight;
    uint32_t n = 0;
    for (uint32_t f = 0; f < at->n; f++) {
        const lookup look = in[f];
        uint32_t row = look.begin;
        const uint32_t rows = look.end - look.begin;
        if (ESP_LIKELY(by_eight && rows <= 8)) {
            /* The stop bit makes "not found" the bucket's end. */
            const uint32_t stop = 1u << rows;
            const uint32_t mask = esp_match_eight(chunk->key + row, (uint16_t)look.rest);
            row += (uint32_t)__builtin_ctz(mask | stop);
        } else {
            while (row < look.end && chunk->key[row] != look.rest)
                row++;
        }
        if (row >= look.end)
            continue;
        const uint32_t begin = read_index(chunk->pointer, wide, row);
        const uint32_t end = read_index(chunk->pointer, wide, row + 1);
        if (ESP_UNLIKELY(begin > end || end > nnz))
            return UINT32_MAX;
        if (f32)
            ESP_PREFETCH(chunk->value_f32 + begin);
        else
            ESP_PREFETCH(chunk->value_i16 + begin);
        ESP_PREFETCH(chunk->col + begin);
        out[n++] = (lookup){.begin = begin, .end = end, .value = look.value};
    }
    return n;
}

static inline __attribute__((always_inline)) void add_entries(
    const esp_chunk_job *job, bool f32, const lookup *look, uint32_t n) {
    const esp_chunk *chunk = &job->chunk;
    float *out = job->out;
    for (uint32_t i = 0; i < n; i++) {
        const float value = look[i].value;
        for (uint32_t e = look[i].begin; e < look[i].end; e++) {
            const float weight = f32 ? chunk->value_f32[e] : (float)chunk->value_i16[e];
            out[chunk->col[e]] += value * weight; /* u8: below ESP_CHUNK_COLUMNS */
        }
    }
}

/* Three rounds over the runs: each asks for the cache lines of the next. */
static bool score_runs(const run *runs, uint32_t n_runs, uint32_t bits) {
    lookup looks[LOOKUPS];
    uint32_t left[ESP_CHUNK_JOBS];
    for (uint32_t r = 0; r < n_runs; r++)
        fetch_directory(&runs[r], bits);
    for (uint32_t r = 0, at = 0; r < n_runs; at += runs[r++].n) {
        const bool wide = (runs[r].job->chunk.head->flags & ESP_CHUNK_WIDE) != 0;
        if (ESP_UNLIKELY(!(wide ? read_buckets(&runs[r], true, bits, looks + at)
                                : read_buckets(&runs[r], false, bits, looks + at))))
            return false;
    }
    for (uint32_t r = 0, at = 0; r < n_runs; at += runs[r++].n) {
        const esp_chunk *chunk = &runs[r].job->chunk;
        const bool wide = (chunk->head->flags & ESP_CHUNK_WIDE) != 0;
        lookup *look = looks + at;
        if (chunk->value_f32 != NULL)
            left[r] = wide ? read_rows(&runs[r], true, true, look, look)
                           : read_rows(&runs[r], false, true, look, look);
        else
            left[r] = wide ? read_rows(&runs[r], true, false, look, look)
                           : read_rows(&runs[r], false, false, look, look);
        if (ESP_UNLIKELY(left[r] == UINT32_MAX))
            return false;
    }
    for (uint32_t r = 0, at = 0; r < n_runs; at += runs[r++].n) {
        if (runs[r].job->chunk.value_f32 != NULL)
            add_entries(runs[r].job, true, looks + at, left[r]);
        else
            add_entries(runs[r].job, false, looks + at, left[r]);
    }
    return true;
}

bool esp_chunk_score(const esp_chunk_job *jobs, uint32_t n_jobs, uint32_t bits) {
    run runs[ESP_CHUNK_JOBS];
    uint32_t n_runs = 0;
    uint32_t room = LOOKUPS;
    for (uint32_t j = 0; j < n_jobs; j++) {
        memset(jobs[j].out, 0, jobs[j].chunk.head->n_cols * sizeof(float));
        for (uint32_t done = 0; done < jobs[j].n_features;) {
            const uint32_t n = esp_min_u32(jobs[j].n_features - done, room);
            runs[n_runs++] = (run){.job = &jobs[j], .features = jobs[j].features + done, .n = n};
            done += n;
            room -= n;
            if (room == 0) {
                if (!score_runs(runs, n_runs, bits))
                    return false;
                n_runs = 0;
                room = LOOKUPS;
            }
        }
    }
    if (n_runs > 0 && !score_runs(runs, n_runs, bits))
        return false;
    for (uint32_t j = 0; j < n_jobs; j++) {
        const esp_chunk *chunk = &jobs[j].chunk;
        const float scale = chunk->value_f32 != NULL ? 1.0f : chunk->head->scale;
        for (uint32_t c = 0; c < chunk->head->n_cols; c++)
            jobs[j].out[c] = chunk->bias[c] + scale * jobs[j].out[c];
    }
    return true;
}

const char *esp_chunk_validate(const esp_chunk *chunk, uint32_t bits) {
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
