/* maxima.c: see maxima.h. */
#include "maxima.h"

static bool better(const uint32_t *value, uint32_t a, uint32_t b) {
    return value[a] > value[b] || (value[a] == value[b] && a < b);
}

/* Largest of [lo, hi), not empty, by looking at each. */
static uint32_t scan(const uint32_t *value, uint32_t lo, uint32_t hi) {
    uint32_t best = lo;
    for (uint32_t i = lo + 1; i < hi; i++)
        if (value[i] > value[best])
            best = i;
    return best;
}

static uint32_t floor_log2(uint32_t n) {
    uint32_t bits = 0;
    while (n >>= 1)
        bits++;
    return bits;
}

/* Largest of [lo, hi), not empty, hi <= n_labels.  A table entry outside the
 * blocks it stands for (a damaged file) is replaced by the first label of them,
 * so the result is always inside the range. */
static uint32_t range_top(const esp_popularity *by, uint32_t lo, uint32_t hi) {
    const uint32_t *value = by->value;
    const uint32_t first = (lo + ESP_MAXIMA_BLOCK - 1) / ESP_MAXIMA_BLOCK; /* whole blocks */
    const uint32_t last = hi / ESP_MAXIMA_BLOCK;
    if (first >= last)
        return scan(value, lo, hi);
    const uint32_t *table = (const void *)(by->maxima + 1);
    const uint32_t level = floor_log2(last - first);
    const uint32_t *row = table + (size_t)level * by->maxima->n_blocks;
    const uint32_t begin[2] = {first, last - (1u << level)};
    uint32_t best = lo;
    if (lo < first * ESP_MAXIMA_BLOCK)
        best = scan(value, lo, first * ESP_MAXIMA_BLOCK);
    for (int i = 0; i < 2; i++) {
        const uint32_t from = begin[i] * ESP_MAXIMA_BLOCK;
        uint32_t top = row[begin[i]];
        if (top < from || top - from >= ((uint32_t)ESP_MAXIMA_BLOCK << level))
            top = from;
        if (better(value, top, best))
            best = top;
    }
    if (last * ESP_MAXIMA_BLOCK < hi) {
        const uint32_t top = scan(value, last * ESP_MAXIMA_BLOCK, hi);
        if (better(value, top, best))
            best = top;
    }
    return best;
}

static bool above(const esp_range *a, const esp_range *b) {
    return a->value > b->value || (a->value == b->value && a->top < b->top);
}

/* Lets `moved` sink from `i` in a heap whose root is the best, or the worst. */
static void sink(esp_range *heap, size_t n, size_t i, esp_range moved, bool best_first) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && above(&heap[child + 1], &heap[child]) == best_first)
            child++;
        if (above(&heap[child], &moved) != best_first)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static void push(esp_ranking *ranking, uint32_t lo, uint32_t hi) {
    if (lo >= hi)
        return;
    if (ranking->n == ranking->cap) {
        ranking->lost = true;
        return;
    }
    const uint32_t top = range_top(&ranking->by, lo, hi);
    const esp_range added = {.value = ranking->by.value[top], .top = top, .lo = lo, .hi = hi};
    size_t i = ranking->n++;
    while (i > 0 && above(&added, &ranking->heap[(i - 1) / 2])) {
        ranking->heap[i] = ranking->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    ranking->heap[i] = added;
}

static void pop(esp_ranking *ranking) {
    const esp_range moved = ranking->heap[--ranking->n];
    sink(ranking->heap, ranking->n, 0, moved, true);
}

void esp_ranking_start(esp_ranking *ranking, esp_popularity by, uint32_t lo, uint32_t hi) {
    ranking->n = 0;
    ranking->lost = false;
    ranking->by = by;
    push(ranking, lo, hi);
}

bool esp_ranking_next(esp_ranking *ranking, uint32_t *label) {
    if (ranking->n == 0)
        return false;
    const esp_range best = ranking->heap[0];
    pop(ranking);
    push(ranking, best.lo, best.top);
    push(ranking, best.top + 1, best.hi);
    *label = best.top;
    return true;
}

static void arrange(esp_ranking *ranking, bool best_first) {
    for (size_t i = ranking->n / 2; i-- > 0;)
        sink(ranking->heap, ranking->n, i, ranking->heap[i], best_first);
}

void esp_ranking_clear(esp_ranking *ranking, size_t limit) {
    ranking->n = 0;
    ranking->lost = false;
    ranking->limit = limit < ranking->cap ? limit : ranking->cap;
}

static esp_range alone(const esp_ranking *ranking, uint32_t label) {
    return (esp_range){
        .value = ranking->by.value[label], .top = label, .lo = label, .hi = label + 1};
}

/* Once there is no room, the worst label kept stands at the root. */
bool esp_ranking_wants(esp_ranking *ranking, uint32_t label) {
    if (ranking->n < ranking->limit)
        return true;
    const esp_range offered = alone(ranking, label);
    ranking->lost = true;
    return above(&offered, &ranking->heap[0]);
}

void esp_ranking_keep(esp_ranking *ranking, uint32_t label) {
    if (ranking->n == ranking->limit) {
        sink(ranking->heap, ranking->n, 0, alone(ranking, label), false);
        return;
    }
    ranking->heap[ranking->n++] = alone(ranking, label);
    if (ranking->n == ranking->limit)
        arrange(ranking, false);
}

void esp_ranking_kept(esp_ranking *ranking) {
    arrange(ranking, true);
}

static uint32_t levels_for(uint32_t n_blocks) {
    return n_blocks == 0 ? 0 : floor_log2(n_blocks) + 1;
}

esp_status esp_maxima_build(const uint32_t *value, uint32_t n_labels, uint8_t **section,
    size_t *section_bytes, esp_error *err) {
    const uint32_t n_blocks = n_labels / ESP_MAXIMA_BLOCK; /* whole ones; the rest is scanned */
    const uint32_t n_levels = levels_for(n_blocks);
    const size_t entries = (size_t)n_blocks * n_levels;
    uint8_t *data = esp_alloc(sizeof(esp_maxima_header) + entries * sizeof(uint32_t), 1);
    if (data == NULL)
        ESP_FAIL(
            err, ESP_E_MEMORY, "maxima", n_labels, "no memory for maxima of %u labels", n_labels);
    const esp_maxima_header head = {
        .n_labels = n_labels, .n_blocks = n_blocks, .n_levels = n_levels};
    memcpy(data, &head, sizeof head);
    uint32_t *table = (void *)(data + sizeof head);
    for (uint32_t b = 0; b < n_blocks; b++)
        table[b] = scan(value, b * ESP_MAXIMA_BLOCK, (b + 1) * ESP_MAXIMA_BLOCK);
    for (uint32_t level = 1; level < n_levels; level++) {
        const uint32_t *below = table + (size_t)(level - 1) * n_blocks;
        uint32_t *row = table + (size_t)level * n_blocks;
        const uint32_t half = 1u << (level - 1);
        for (uint32_t b = 0; b < n_blocks; b++) {
            const uint32_t right = b + half < n_blocks ? below[b + half] : below[b];
            row[b] = better(value, right, below[b]) ? right : below[b];
        }
    }
    *section = data;
    *section_bytes = sizeof head + entries * sizeof(uint32_t);
    return ESP_OK;
}

/* Whether the section is what building it again gives; its length was checked at open. */
static esp_status same_maxima(
    const esp_popularity *by, uint32_t n_labels, bool *same, esp_error *err) {
    uint8_t *wanted = NULL;
    size_t bytes = 0;
    ESP_TRY(esp_maxima_build(by->value, n_labels, &wanted, &bytes, err));
    *same = memcmp(wanted, by->maxima, bytes) == 0;
    esp_buffer_free(wanted);
    return ESP_OK;
}

esp_status esp_maxima_validate(const esp_index *index, esp_error *err) {
    const uint32_t n = index->params->n_labels;
    const esp_popularity users = esp_popularity_users(index);
    bool same = false;
    ESP_TRY(same_maxima(&users, n, &same, err));
    if (!same)
        return esp_index_damaged(ESP_SEC_PMAX, "P2", 0, err);
    if (index->recent == NULL)
        return ESP_OK;
    const esp_popularity recent = esp_popularity_now(index);
    ESP_TRY(same_maxima(&recent, n, &same, err));
    return same ? ESP_OK : esp_index_damaged(ESP_SEC_RMAX, "R2", 0, err);
}
