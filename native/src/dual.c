/* dual.c: dual coordinate descent for the L2-loss SVM (Hsieh, Chang, Lin,
 * Keerthi, Sundararajan 2008, algorithm 3, as LIBLINEAR has it): random order,
 * and shrinking: a row whose variable is 0 and whose gradient says "stay" clearly
 * rests until the others have converged; then all rows are looked at once more.
 * Random order matters: in a fixed one the constant feature makes positives and
 * negatives push each other back and forth, a hundred times longer.
 *
 * Two ways to know a gradient.  With w, a look costs a row's entries and a step
 * as many again.  With the Gram matrix of the rows all margins are kept, a look
 * costs nothing and a step one multiply-add per row of the node, in a straight
 * line.  Nodes of few rows have many children, and their matrix is shared.
 */
#include "dual.h"

#include <math.h>

#define RESTING UINT32_MAX

enum {
    AHEAD = 6,    /* rows to ask the memory for in advance */
    MANY = 32768, /* from here rows are shuffled by blocks, ... */
    BLOCK = 16,   /* ... as memory likes neighbours better */
};

/* Steps smaller than this part of epsilon change nothing epsilon could see. */
static const float NEGLIGIBLE = 1e-3f;

/* A row rests once its gradient says "stay" more clearly than this part of the
 * largest objection of the pass before.  LIBLINEAR has 1; resting earlier and
 * being looked at once more costs less. */
static const float CLEAR = 0.1f;

static void shuffle(uint32_t *numbers, uint32_t n, uint64_t *state) {
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = esp_random_below(state, i);
        const uint32_t swap = numbers[i - 1];
        numbers[i - 1] = numbers[j];
        numbers[j] = swap;
    }
}

/* Moves a row's variable to where its gradient vanishes, not below 0; returns by
 * how much the row now counts more in w. */
static inline float take_step(esp_dual_row *row, float gradient) {
    const float next = row->alpha - gradient * row->inverse;
    const float alpha = next > 0 ? next : 0;
    const float step = (alpha - row->alpha) * row->sign;
    row->alpha = alpha;
    return step;
}

uint32_t esp_dual_descend(esp_dual *dual) {
    const size_t *ptr = dual->local->ptr;
    const esp_entry *entry = dual->local->entry;
    float *w = dual->w;
    uint32_t *active = dual->active;
    uint32_t *order = active + dual->local->n_rows;
    const uint32_t n_rows = dual->local->n_rows;
    const double bias = (double)dual->bias;
    /* Smaller steps than this change nothing that epsilon could notice. */
    const float negligible = dual->epsilon * NEGLIGIBLE;
    double constant = dual->constant;
    uint32_t n_active = n_rows;
    float limit = INFINITY; /* largest gradient of the pass before */
    uint32_t pass = 0;
    for (uint32_t i = 0; i < n_rows; i++)
        active[i] = i;
    while (pass < dual->max_iterations && n_active > 0) {
        pass++;
        const uint32_t block = n_active < MANY ? 1 : BLOCK;
        const uint32_t n_blocks = (n_active + block - 1) / block;
        for (uint32_t i = 0; i < n_blocks; i++)
            order[i] = i;
        shuffle(order, n_blocks, &dual->random);
        float highest = 0, lowest = 0;
        uint32_t resting = 0;
        for (uint32_t b = 0; b < n_blocks; b++) {
            if (b + AHEAD < n_blocks) {
                const uint32_t next = active[order[b + AHEAD] * block];
                ESP_PREFETCH(&dual->row[next]);
                ESP_PREFETCH(&entry[ptr[next]]);
            }
            const uint32_t first = order[b] * block;
            const uint32_t last = esp_min_u32(first + block, n_active);
            for (uint32_t s = first; s < last; s++) {
                const uint32_t i = active[s];
                esp_dual_row *row = &dual->row[i];
                const esp_entry *begin = entry + ptr[i], *end = entry + ptr[i + 1];
                const float margin = esp_row_dot(begin, end, w) + (float)(constant * bias);
                const float gradient = row->sign * margin - 1 + row->alpha * row->diagonal;
                if (row->alpha == 0 && gradient >= 0) {
                    if (gradient > limit) {
                        active[s] = RESTING;
                        resting++;
                    }
                    continue;
                }
                highest = gradient > highest ? gradient : highest;
                lowest = gradient < lowest ? gradient : lowest;
                if (fabsf(gradient) <= negligible)
                    continue;
                const float step = take_step(row, gradient);
                esp_row_add(begin, end, step, w);
                constant += (double)step * bias;
            }
        }
        if (resting > 0) {
            uint32_t kept = 0;
            for (uint32_t s = 0; s < n_active; s++) {
                active[kept] = active[s];
                kept += active[s] != RESTING;
            }
            n_active = kept;
        }
        if (highest - lowest <= dual->epsilon) {
            if (n_active == n_rows)
                break;
            n_active = n_rows; /* look at the rows left out, without a limit */
            for (uint32_t i = 0; i < n_rows; i++)
                active[i] = i;
            limit = INFINITY;
            continue;
        }
        limit = highest > 0 ? CLEAR * highest : INFINITY;
    }
    dual->constant = constant;
    return pass;
}

void esp_dual_gram(const esp_local *local, float bias, float *w, float *gram) {
    const size_t stride = esp_gram_stride(local->n_rows);
    memset(gram, 0, local->n_rows * stride * sizeof *gram);
    for (uint32_t i = 0; i < local->n_rows; i++) {
        const esp_entry *begin = local->entry + local->ptr[i];
        const esp_entry *end = local->entry + local->ptr[i + 1];
        for (const esp_entry *e = begin; e < end; e++)
            w[e->id] = e->value;
        for (uint32_t j = 0; j <= i; j++)
            gram[i * stride + j] = gram[j * stride + i] =
                bias * bias +
                esp_row_dot(local->entry + local->ptr[j], local->entry + local->ptr[j + 1], w);
        for (const esp_entry *e = begin; e < end; e++)
            w[e->id] = 0;
    }
}

uint32_t esp_dual_descend_gram(esp_dual *dual) {
    const uint32_t n_rows = dual->local->n_rows;
    const size_t stride = dual->stride;
    float *margin = dual->margin;
    uint32_t *order = dual->active;
    const float negligible = dual->epsilon * NEGLIGIBLE;
    uint32_t pass = 0;
    for (uint32_t i = 0; i < n_rows; i++)
        order[i] = i;
    while (pass < dual->max_iterations) {
        pass++;
        shuffle(order, n_rows, &dual->random);
        float highest = 0, lowest = 0;
        for (uint32_t s = 0; s < n_rows; s++) {
            const uint32_t i = order[s];
            esp_dual_row *row = &dual->row[i];
            const float gradient = row->sign * margin[i] - 1 + row->alpha * row->diagonal;
            if (row->alpha == 0 && gradient >= 0)
                continue;
            highest = gradient > highest ? gradient : highest;
            lowest = gradient < lowest ? gradient : lowest;
            if (fabsf(gradient) <= negligible)
                continue;
            const float step = take_step(row, gradient);
            esp_gram_add(dual->gram + i * stride, stride, step, margin);
        }
        if (highest - lowest <= dual->epsilon)
            break;
    }
    return pass;
}

void esp_dual_primal(esp_dual *dual) {
    const esp_local *local = dual->local;
    double constant = 0;
    memset(dual->w, 0, local->n_ids * sizeof *dual->w);
    for (uint32_t i = 0; i < local->n_rows; i++) {
        const float factor = dual->row[i].alpha * dual->row[i].sign;
        if (factor == 0)
            continue;
        esp_row_add(
            local->entry + local->ptr[i], local->entry + local->ptr[i + 1], factor, dual->w);
        constant += (double)factor * (double)dual->bias;
    }
    dual->constant = constant;
}
