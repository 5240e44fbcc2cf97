/* dual.c: dual coordinate descent for the L2-loss SVM (Hsieh, Chang, Lin,
 * Keerthi, Sundararajan 2008, algorithm 3, as LIBLINEAR has it): random order,
 * and shrinking: a row whose variable is 0 and whose gradient says "stay" more
 * clearly than any row objected in the pass before is left out, until the rest
 * has converged; then all rows are looked at once more.
 */
#include "dual.h"

#include <math.h>

/* Rows ahead of the current one to ask the memory for: a random order defeats
 * the processor's own guess. */
enum { AHEAD = 6 };

static void shuffle(uint32_t *numbers, uint32_t n, uint64_t *state) {
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = esp_random_below(state, i);
        const uint32_t swap = numbers[i - 1];
        numbers[i - 1] = numbers[j];
        numbers[j] = swap;
    }
}

uint32_t esp_dual_descend(esp_dual *dual) {
    const size_t *ptr = dual->local->ptr;
    const esp_entry *entry = dual->local->entry;
    float *w = dual->w;
    uint32_t *active = dual->active;
    const uint32_t n_rows = dual->local->n_rows;
    const double bias = (double)dual->bias;
    /* Smaller steps than this change nothing that epsilon could notice. */
    const float negligible = dual->epsilon * 1e-3f;
    double constant = dual->constant;
    uint32_t n_active = n_rows;
    float limit = INFINITY; /* largest gradient of the pass before */
    uint32_t pass = 0;
    for (uint32_t i = 0; i < n_rows; i++)
        active[i] = i;
    while (pass < dual->max_iterations && n_active > 0) {
        pass++;
        shuffle(active, n_active, &dual->random);
        float highest = 0, lowest = 0;
        for (uint32_t s = 0; s < n_active; s++) {
            if (s + AHEAD < n_active) {
                const uint32_t next = active[s + AHEAD];
                ESP_PREFETCH(&dual->row[next]);
                ESP_PREFETCH(&entry[ptr[next]]);
            }
            const uint32_t i = active[s];
            esp_dual_row *row = &dual->row[i];
            const esp_entry *begin = entry + ptr[i], *end = entry + ptr[i + 1];
            const float margin = esp_row_dot(begin, end, w) + (float)(constant * bias);
            const float gradient = row->sign * margin - 1 + row->alpha * row->diagonal;
            if (row->alpha == 0 && gradient >= 0) {
                if (gradient > limit) { /* goes behind the active ones */
                    active[s--] = active[--n_active];
                    active[n_active] = i;
                }
                continue;
            }
            highest = gradient > highest ? gradient : highest;
            lowest = gradient < lowest ? gradient : lowest;
            if (fabsf(gradient) <= negligible)
                continue;
            const float next = row->alpha - gradient * row->inverse;
            const float alpha = next > 0 ? next : 0;
            const float step = (alpha - row->alpha) * row->sign;
            row->alpha = alpha;
            esp_row_add(begin, end, step, w);
            constant += (double)step * bias;
        }
        if (highest - lowest <= dual->epsilon) {
            if (n_active == n_rows)
                break;
            n_active = n_rows; /* look at the rows left out, without a limit */
            limit = INFINITY;
            continue;
        }
        limit = highest > 0 ? highest : INFINITY;
    }
    dual->constant = constant;
    return pass;
}
