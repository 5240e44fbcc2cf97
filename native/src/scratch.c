/* scratch.c: see scratch.h. */
#include "scratch.h"

enum {
    DEFAULT_K = 100,
    DEFAULT_BEAM = 100,
    DEFAULT_POOL = 2048,
    DEFAULT_PREFIX_BYTES = 1024,
    DEFAULT_CONTEXT_BYTES = 8192,
    DEFAULT_PREVIOUS = 32,
    LARGEST_CAP = 1 << 20
};

static bool worse(const esp_scored *a, const esp_scored *b) {
    return a->score < b->score || (a->score == b->score && a->id > b->id);
}

/* The heap's root is the worst item kept, the one to beat. */
static void sift_down(esp_scored *item, uint32_t n, uint32_t i) {
    const esp_scored moved = item[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && worse(&item[child + 1], &item[child]))
            child++;
        if (!worse(&item[child], &moved))
            break;
        item[i] = item[child];
        i = child;
    }
    item[i] = moved;
}

void esp_top_add(esp_top *top, esp_scored item) {
    if (top->n < top->limit) {
        uint32_t i = top->n++;
        while (i > 0 && worse(&item, &top->item[(i - 1) / 2])) {
            top->item[i] = top->item[(i - 1) / 2];
            i = (i - 1) / 2;
        }
        top->item[i] = item;
    } else if (top->limit > 0 && worse(&top->item[0], &item)) {
        top->item[0] = item;
        sift_down(top->item, top->n, 0);
    }
}

void esp_top_sort(esp_top *top) {
    for (uint32_t end = top->n; end > 1;) {
        end--;
        const esp_scored worst = top->item[0];
        top->item[0] = top->item[end];
        top->item[end] = worst;
        sift_down(top->item, end, 0);
    }
}

void esp_scratch_begin(esp_scratch *scratch) {
    if (++scratch->stamp == 0) { /* after 2^32 queries old stamps would match again */
        memset(scratch->memo, 0, ESP_MEMO_SLOTS * sizeof *scratch->memo);
        scratch->stamp = 1;
    }
    scratch->arena_used = 0;
    scratch->n_ranked = 0;
    scratch->n_retrieved = 0;
    scratch->by_forest = false;
    esp_candidates_clear(&scratch->candidates);
    scratch->n_features = 0;
    scratch->labels.n = 0;
    scratch->work = (esp_work){0};
}

static uint32_t cap_or(uint32_t given, uint32_t fallback) {
    return given != 0 ? given : fallback;
}

static bool top_alloc(esp_top *top, uint32_t cap) {
    top->cap = cap;
    top->item = esp_alloc(cap, sizeof *top->item);
    return top->item != NULL;
}

static bool scratch_alloc(esp_scratch *s) {
    const esp_scratch_options *caps = &s->caps;
    /* Without a model nothing bounds the number in the file, and nothing uses it. */
    const uint32_t widest = s->index->tree == NULL ? 0 : s->index->params->max_children;
    const size_t terms = esp_terms_for((size_t)caps->max_prefix_bytes + caps->max_context_bytes);
    /* A query raises its pool to k; twice k popular labels may come on top. */
    const uint32_t n_labels = esp_max_u32(caps->max_pool, caps->max_k);
    const uint32_t n_candidates = n_labels + ESP_MOST_BESIDE + 2 * caps->max_k;
    s->max_ranked = caps->max_k + ESP_MOST_RANKED;
    s->tail_bytes = caps->max_prefix_bytes + ESP_TAIL_BYTES;
    s->terms.cap = terms;
    s->terms.item = esp_alloc(terms, sizeof *s->terms.item);
    s->features = esp_alloc(terms, sizeof *s->features);
    s->positions = esp_alloc(ESP_POSITIONS_CAP, sizeof *s->positions);
    s->positions_spare = esp_alloc(ESP_POSITIONS_CAP, sizeof *s->positions_spare);
    s->memo = calloc(ESP_MEMO_SLOTS, sizeof *s->memo);
    s->arena = esp_alloc(ESP_ARENA_FLOATS, sizeof *s->arena);
    /* A chunk writes up to 256 margins whatever the node needs. */
    s->spill = esp_alloc((size_t)widest + ESP_CHUNK_COLUMNS, sizeof *s->spill);
    s->ranking.cap = (size_t)caps->max_pool + caps->max_k + 2;
    s->ranking.heap = esp_alloc(s->ranking.cap, sizeof *s->ranking.heap);
    s->tail_text = esp_alloc((size_t)ESP_TAILS + caps->max_previous, s->tail_bytes);
    s->ranked = esp_alloc(s->max_ranked, sizeof *s->ranked);
    s->ranked_score = esp_alloc(s->max_ranked, sizeof *s->ranked_score);
    s->order = esp_alloc(s->max_ranked, sizeof *s->order);
    s->variants = esp_alloc((size_t)caps->max_k + 1, sizeof *s->variants);
    s->x = esp_alloc(s->max_ranked, ESP_RANK_COUNT * sizeof *s->x);
    return top_alloc(&s->beam, caps->max_beam) && top_alloc(&s->next, caps->max_beam) &&
           top_alloc(&s->labels, n_labels) && s->terms.item != NULL && s->features != NULL &&
           s->positions != NULL && s->positions_spare != NULL && s->memo != NULL &&
           s->arena != NULL && s->spill != NULL && s->ranking.heap != NULL &&
           s->tail_text != NULL && s->ranked != NULL && s->ranked_score != NULL &&
           s->order != NULL && s->variants != NULL && s->x != NULL &&
           esp_candidates_alloc(&s->candidates, n_candidates);
}

esp_status esp_scratch_new(const esp_index *index, const esp_scratch_options *options,
    esp_scratch **scratch, esp_error *err) {
    const esp_scratch_options none = {.struct_size = sizeof none};
    if (options == NULL)
        options = &none;
    if (options->struct_size != sizeof *options)
        ESP_FAIL(err, ESP_E_ARGUMENT, "struct_size", options->struct_size,
            "esp_scratch_options of %u bytes, not %zu", options->struct_size, sizeof *options);
    esp_scratch *made = calloc(1, sizeof *made);
    if (made == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "scratch", 0, "no memory for a scratch object");
    made->index = index;
    made->context.blocked = index->blocklist.head == NULL ? NULL : &index->blocklist;
    made->caps = (esp_scratch_options){
        .struct_size = sizeof made->caps,
        .max_k = cap_or(options->max_k, DEFAULT_K),
        .max_beam = cap_or(options->max_beam, DEFAULT_BEAM),
        .max_pool = cap_or(options->max_pool, DEFAULT_POOL),
        .max_prefix_bytes = cap_or(options->max_prefix_bytes, DEFAULT_PREFIX_BYTES),
        .max_context_bytes = cap_or(options->max_context_bytes, DEFAULT_CONTEXT_BYTES),
        .max_previous = cap_or(options->max_previous, DEFAULT_PREVIOUS),
    };
    const esp_scratch_options *caps = &made->caps;
    if (caps->max_k > LARGEST_CAP || caps->max_beam > LARGEST_CAP || caps->max_pool > LARGEST_CAP ||
        caps->max_prefix_bytes > LARGEST_CAP || caps->max_context_bytes > LARGEST_CAP ||
        caps->max_previous > LARGEST_CAP) {
        free(made);
        ESP_FAIL(err, ESP_E_ARGUMENT, "caps", LARGEST_CAP, "a cap is above %d", LARGEST_CAP);
    }
    if (!scratch_alloc(made)) {
        esp_scratch_free(made);
        ESP_FAIL(err, ESP_E_MEMORY, "scratch", 0, "no memory for a scratch object");
    }
    *scratch = made;
    return ESP_OK;
}

void esp_scratch_free(esp_scratch *scratch) {
    if (scratch == NULL)
        return;
    free(scratch->terms.item);
    free(scratch->features);
    free(scratch->positions);
    free(scratch->positions_spare);
    free(scratch->memo);
    free(scratch->arena);
    free(scratch->spill);
    free(scratch->ranking.heap);
    free(scratch->tail_text);
    free(scratch->ranked);
    free(scratch->ranked_score);
    free(scratch->order);
    free(scratch->variants);
    free(scratch->x);
    esp_candidates_free(&scratch->candidates);
    free(scratch->beam.item);
    free(scratch->next.item);
    free(scratch->labels.item);
    free(scratch);
}

void esp_scratch_get_work(const esp_scratch *scratch, esp_work *work) {
    *work = scratch->work;
}

size_t esp_scratch_get_candidates(const esp_scratch *scratch, uint32_t *out, size_t cap) {
    const esp_candidates *set = &scratch->candidates;
    for (size_t i = 0; i < set->n && i < cap; i++)
        out[i] = set->item[i].label;
    return set->n;
}

/* Callers decode what they get; a damaged file must not surprise them there. */
static esp_status text_of(const esp_candidate *c, esp_text *text, esp_error *err) {
    if (esp_utf8_check(c->text, c->length) != c->length)
        return c->label != ESP_NO_LABEL ? esp_index_damaged(ESP_SEC_LTXT, "L3", c->label, err)
                                        : esp_index_damaged(ESP_SEC_VOCA, "V4", 0, err);
    *text = (esp_text){c->text, c->length};
    return ESP_OK;
}

esp_status esp_scratch_get_candidate_text(
    const esp_scratch *scratch, size_t i, esp_text *text, esp_error *err) {
    const esp_candidates *set = &scratch->candidates;
    if (i >= set->n)
        ESP_FAIL(err, ESP_E_ARGUMENT, "candidate", i, "candidate %zu of %u", i, set->n);
    return text_of(&set->item[i], text, err);
}

size_t esp_scratch_get_ranked(const esp_scratch *scratch, const float **features) {
    *features = scratch->x;
    return scratch->n_ranked;
}

esp_status esp_scratch_get_ranked_candidate(
    const esp_scratch *scratch, size_t i, esp_ranked *out, esp_error *err) {
    if (i >= scratch->n_ranked)
        ESP_FAIL(err, ESP_E_ARGUMENT, "ranked", i, "candidate %zu of %u", i, scratch->n_ranked);
    const esp_candidate *c = scratch->ranked[i];
    esp_text text = {NULL, 0};
    ESP_TRY(text_of(c, &text, err));
    *out = (esp_ranked){
        .text = text, .label = c->label, .source = c->source, .score = scratch->ranked_score[i]};
    return ESP_OK;
}

size_t esp_scratch_find_ranked(const esp_scratch *scratch, const uint8_t *text, size_t length) {
    for (uint32_t i = 0; i < scratch->n_ranked; i++)
        if (scratch->ranked[i]->length == length &&
            memcmp(scratch->ranked[i]->text, text, length) == 0)
            return i;
    return SIZE_MAX;
}

uint32_t esp_feature_count(void) {
    return ESP_RANK_COUNT;
}

const char *esp_feature_name(uint32_t feature) {
    return esp_rank_name(feature);
}

uint32_t esp_features_id(void) {
    return esp_rank_features_id();
}

uint32_t esp_feature_group(uint32_t feature) {
    return esp_rank_group(feature);
}
