/* batch.c: many rows ranked together, level by level.
 *
 * One row after the other fetches every chunk anew.  Here a block of rows goes
 * down the tree together: on each level all pairs (row, node of its beam) are
 * sorted by node, so that a chunk is in the cache for every row that needs it.
 * (PECOS sorts the pairs of a batch the same way; Etter et al., WWW 2022,
 * section 4.)  A row's beam is the best nodes under a total order, so it does
 * not matter in which order they are found: answers are those of esp_predict(). */
#include "node.h"
#include "predict.h"

enum {
    /* Rows a block: enough that a chunk near the leaves serves several, few
     * enough that their beams stay in the second cache. */
    BLOCK_ROWS = 1024,
    BLOCK_FEATURES = 1 << 18, /* of all rows of a block */
    BLOCK_ITEMS = 1 << 20     /* nodes and labels their beams may hold */
};

/* A node of a row's beam; sorted by node. */
typedef struct pair {
    uint32_t node;
    uint32_t row;
    float score;
} pair;

/* A pair whose children are being scored. */
typedef struct expansion {
    uint32_t row;
    float score;
    esp_children below;
    const float *scores;
} expansion;

typedef struct block {
    uint32_t n_rows;
    uint32_t beam_limit;
    uint32_t k;
    esp_feature *features;
    uint32_t *feature_begin; /* n_rows + 1 */
    esp_top *beam;           /* per row: nodes of the next level */
    esp_top *labels;         /* per row */
    esp_scored *items;       /* their room */
    pair *pairs;
    pair *spare;
    uint32_t n_pairs;
    float *margins;
    uint32_t margins_room;
    uint32_t margins_used;
    expansion due[ESP_CHUNK_JOBS];
    uint32_t n_due;
    esp_jobs jobs;
} block;

/* ---- memory ------------------------------------------------------------- */

static void block_free(block *b) {
    if (b == NULL)
        return;
    free(b->features);
    free(b->feature_begin);
    free(b->beam);
    free(b->labels);
    free(b->items);
    free(b->pairs);
    free(b->spare);
    free(b->margins);
    free(b);
}

static block *block_new(
    const esp_index *index, size_t n_features, uint32_t n_rows, uint32_t beam, uint32_t k) {
    block *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    const size_t n_pairs = (size_t)n_rows * beam;
    b->beam_limit = beam;
    b->k = k;
    /* A chunk writes up to 256 margins whatever the node needs. */
    b->margins_room =
        esp_max_u32(ESP_CHUNK_JOBS * 128, index->params->max_children) + ESP_CHUNK_COLUMNS;
    b->features = esp_alloc(n_features, sizeof *b->features);
    b->feature_begin = esp_alloc((size_t)n_rows + 1, sizeof *b->feature_begin);
    b->beam = esp_alloc(n_rows, sizeof *b->beam);
    b->labels = esp_alloc(n_rows, sizeof *b->labels);
    b->items = esp_alloc((size_t)n_rows * ((size_t)beam + k), sizeof *b->items);
    b->pairs = esp_alloc(n_pairs, sizeof *b->pairs);
    b->spare = esp_alloc(n_pairs, sizeof *b->spare);
    b->margins = esp_alloc(b->margins_room, sizeof *b->margins);
    if (b->features == NULL || b->feature_begin == NULL || b->beam == NULL || b->labels == NULL ||
        b->items == NULL || b->pairs == NULL || b->spare == NULL || b->margins == NULL) {
        block_free(b);
        return NULL;
    }
    return b;
}

/* ---- rows --------------------------------------------------------------- */

static esp_status load_rows(const esp_index *index, block *b, const esp_csr *x, uint32_t first,
    uint32_t n_rows, esp_error *err) {
    uint32_t n = 0;
    b->n_rows = n_rows;
    for (uint32_t r = 0; r < n_rows; r++) {
        b->feature_begin[r] = n;
        for (uint64_t i = x->row_ptr[first + r]; i < x->row_ptr[first + r + 1]; i++) {
            if (x->col[i] >= x->n_cols)
                ESP_FAIL(err, ESP_E_ARGUMENT, "col", i, "column %u of %u", x->col[i], x->n_cols);
            b->features[n++] = (esp_feature){
                .mixed = esp_feature_mix(x->col[i], index->feature_bits), .value = x->val[i]};
        }
        esp_scored *items = b->items + (size_t)r * ((size_t)b->beam_limit + b->k);
        b->beam[r] = (esp_top){.item = items, .limit = b->beam_limit, .cap = b->beam_limit};
        b->labels[r] = (esp_top){.item = items + b->beam_limit, .limit = b->k, .cap = b->k};
        b->pairs[r] = (pair){.node = 0, .row = r, .score = 0};
    }
    b->feature_begin[n_rows] = n;
    b->n_pairs = n_rows;
    return ESP_OK;
}

/* ---- one level ---------------------------------------------------------- */

static esp_status expand(const esp_index *index, block *b, const expansion *at, esp_error *err) {
    const uint32_t post = index->params->post_processor;
    esp_top *top = at->below.are_labels ? &b->labels[at->row] : &b->beam[at->row];
    for (uint32_t c = 0; c < at->below.n; c++) {
        const float score = esp_score_combine(post, at->score, at->scores[c]);
        if (!esp_top_wants(top, score))
            continue;
        uint32_t id = at->below.begin + c;
        if (at->below.are_labels) {
            id = index->label_at[id];
            if (ESP_UNLIKELY(id >= index->params->n_labels))
                return esp_index_damaged(ESP_SEC_LPOS, "N4", at->below.begin + c, err);
        }
        esp_top_add(top, (esp_scored){.score = score, .id = id});
    }
    return ESP_OK;
}

/* Scores what is due and hands the children to their rows. */
static esp_status flush(const esp_index *index, block *b, esp_error *err) {
    ESP_TRY(esp_jobs_run(index, &b->jobs, err));
    esp_scores_transform(index->params->post_processor, b->margins, b->margins_used);
    for (uint32_t i = 0; i < b->n_due; i++)
        ESP_TRY(expand(index, b, &b->due[i], err));
    b->n_due = 0;
    b->margins_used = 0;
    return ESP_OK;
}

static esp_status add_pair(
    const esp_index *index, block *b, const pair *at, const esp_children *below, esp_error *err) {
    if (b->n_due == ESP_CHUNK_JOBS ||
        b->margins_used + (uint64_t)below->n + ESP_CHUNK_COLUMNS > b->margins_room)
        ESP_TRY(flush(index, b, err));
    float *out = b->margins + b->margins_used;
    const uint32_t begin = b->feature_begin[at->row];
    ESP_TRY(esp_jobs_add(index, &b->jobs, at->node, below->n, b->features + begin,
        b->feature_begin[at->row + 1] - begin, out, err));
    b->margins_used += below->n;
    b->due[b->n_due++] =
        (expansion){.row = at->row, .score = at->score, .below = *below, .scores = out};
    return ESP_OK;
}

/* Three counting passes of 11 bits; stable. */
static void sort_pairs(block *b) {
    uint32_t count[2048];
    for (uint32_t shift = 0; shift < 33; shift += 11) {
        memset(count, 0, sizeof count);
        for (uint32_t i = 0; i < b->n_pairs; i++)
            count[(b->pairs[i].node >> shift) & 2047u]++;
        if (count[(b->n_pairs > 0 ? b->pairs[0].node >> shift : 0) & 2047u] == b->n_pairs)
            continue; /* one bucket holds all: as it is */
        uint32_t sum = 0;
        for (uint32_t i = 0; i < 2048; i++) {
            const uint32_t here = count[i];
            count[i] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < b->n_pairs; i++)
            b->spare[count[(b->pairs[i].node >> shift) & 2047u]++] = b->pairs[i];
        pair *swapped = b->pairs;
        b->pairs = b->spare;
        b->spare = swapped;
    }
}

/* Expands the pairs that are inner nodes, or with `labels` all of them; nodes
 * without child nodes stay in the beam until then, as in tree.h.  *inner: some
 * pair was an inner node. */
static esp_status expand_level(
    const esp_index *index, block *b, bool labels, bool *inner, esp_error *err) {
    *inner = false;
    sort_pairs(b);
    b->n_due = 0;
    b->margins_used = 0;
    b->jobs.n = 0;
    for (uint32_t r = 0; r < b->n_rows; r++)
        b->beam[r].n = 0;
    for (uint32_t p = 0; p < b->n_pairs; p++) {
        const pair *at = &b->pairs[p];
        esp_children below;
        ESP_TRY(esp_children_of(index, at->node, &below, err));
        if (below.are_labels && !labels) {
            esp_top_offer(&b->beam[at->row], (esp_scored){.score = at->score, .id = at->node});
        } else {
            *inner = *inner || !below.are_labels;
            ESP_TRY(add_pair(index, b, at, &below, err));
        }
    }
    return flush(index, b, err);
}

static void collect_pairs(block *b) {
    b->n_pairs = 0;
    for (uint32_t r = 0; r < b->n_rows; r++)
        for (uint32_t i = 0; i < b->beam[r].n; i++)
            b->pairs[b->n_pairs++] =
                (pair){.node = b->beam[r].item[i].id, .row = r, .score = b->beam[r].item[i].score};
}

/* ---- the call ----------------------------------------------------------- */

static esp_status predict_block(const esp_index *index, block *b, uint32_t *labels, float *scores,
    uint32_t *counts, esp_error *err) {
    for (bool inner = true; inner;) {
        ESP_TRY(expand_level(index, b, false, &inner, err));
        if (inner)
            collect_pairs(b);
    }
    bool inner = false;
    ESP_TRY(expand_level(index, b, true, &inner, err));
    for (uint32_t r = 0; r < b->n_rows; r++) {
        esp_top_sort(&b->labels[r]);
        for (uint32_t i = 0; i < b->labels[r].n; i++) {
            labels[(size_t)r * b->k + i] = b->labels[r].item[i].id;
            scores[(size_t)r * b->k + i] =
                esp_score_output(index->params->post_processor, b->labels[r].item[i].score);
        }
        counts[r] = b->labels[r].n;
    }
    return ESP_OK;
}

/* The largest number of rows from `first` on that make one block. */
static uint32_t rows_of_block(
    const esp_csr *x, uint32_t first, uint32_t end, uint32_t beam, uint32_t k) {
    const uint32_t most = esp_max_u32(1, esp_min_u32(BLOCK_ROWS, BLOCK_ITEMS / (beam + k)));
    uint32_t n = 0;
    while (n < most && first + n < end &&
           (n == 0 || x->row_ptr[first + n + 1] - x->row_ptr[first] <= BLOCK_FEATURES))
        n++;
    return n;
}

esp_status esp_predict_batch(const esp_index *index, esp_scratch *scratch, const esp_csr *x,
    uint32_t begin, uint32_t end, uint32_t beam, uint32_t k, uint32_t *labels, float *scores,
    uint32_t *counts, esp_error *err) {
    ESP_TRY(esp_predict_check(index, scratch, x, beam, k, err));
    if (begin > end || end > x->n_rows)
        ESP_FAIL(err, ESP_E_ARGUMENT, "rows", end, "rows %u to %u of %u", begin, end, x->n_rows);
    size_t most_features = 0;
    uint32_t most_rows = 0;
    for (uint32_t r = begin; r < end; r++)
        ESP_TRY(esp_predict_check_row(scratch, x, r, err));
    for (uint32_t first = begin, n = 0; first < end; first += n) {
        n = rows_of_block(x, first, end, beam, k);
        const size_t features = (size_t)(x->row_ptr[first + n] - x->row_ptr[first]);
        most_features = features > most_features ? features : most_features;
        most_rows = esp_max_u32(most_rows, n);
    }
    if (begin == end)
        return ESP_OK;
    block *b = block_new(index, most_features, most_rows, beam, k);
    if (b == NULL)
        ESP_FAIL(
            err, ESP_E_MEMORY, "batch", most_rows, "no memory for a batch of %u rows", most_rows);
    esp_status status = ESP_OK;
    for (uint32_t first = begin; first < end && status == ESP_OK;) {
        const uint32_t n = rows_of_block(x, first, end, beam, k);
        const size_t out = first - begin;
        status = load_rows(index, b, x, first, n, err);
        if (status == ESP_OK)
            status = predict_block(index, b, labels + out * k, scores + out * k, counts + out, err);
        first += n;
    }
    block_free(b);
    return status;
}
