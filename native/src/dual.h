/* dual.h: solves one column of a node, a linear classifier. */
#ifndef ESP_DUAL_H
#define ESP_DUAL_H

#include "trainer.h"

/* What the dual problem knows of one row: its variable alpha >= 0, the diagonal
 * 1 / (2 C) its cost adds, 1 / (|x|^2 + bias^2 + diagonal), and +1 or -1. */
typedef struct esp_dual_row {
    float alpha;
    float diagonal;
    float inverse;
    float sign;
} esp_dual_row;

/* The problem
 *
 *      min over alpha >= 0 of  1/2 |w|^2 + sum (diagonal alpha^2 / 2 - alpha),
 *      w = sum alpha sign x
 *
 * and where its solution stands.  Minimal exactly where w minimises
 * 1/2 |w|^2 + sum C max(0, 1 - sign w.x)^2; the constant feature is one of x. */
typedef struct esp_dual {
    const esp_local *local;
    esp_dual_row *row; /* n_rows */
    float *w;          /* n_ids: weights of the features */
    double constant;   /* weight of the constant feature, ... */
    float bias;        /* ... which has this value in every row */
    float epsilon;
    uint32_t max_iterations;
    uint64_t random;   /* state of the generator */
    uint32_t *active;  /* 2 * n_rows, spare */
    const float *gram; /* n_rows rows of `stride` inner products, or NULL */
    float *margin;     /* with gram: `stride` sums of alpha sign gram */
    size_t stride;
} esp_dual;

/* Descends from the given alpha, with w and constant belonging to it, until no
 * projected gradient is larger than epsilon or max_iterations passes are done.
 * Returns the passes. */
uint32_t esp_dual_descend(esp_dual *dual);

/* Floats in a row of the Gram matrix of n rows: a multiple of eight. */
static inline size_t esp_gram_stride(uint32_t n) {
    return ((size_t)n + 7) & ~(size_t)7;
}

/* margin += factor * row of the Gram matrix. */
static inline void esp_gram_add(
    const float *restrict row, size_t stride, float factor, float *restrict margin) {
    for (size_t j = 0; j < stride; j += 8)
        for (size_t k = 0; k < 8; k++)
            margin[j + k] += factor * row[j + k];
}

/* Fills gram with the inner products of the rows, constant feature included.
 * w is used, and must be and will be all zeros. */
void esp_dual_gram(const esp_local *local, float bias, float *w, float *gram);

/* Descends like esp_dual_descend() from alpha and the margin belonging to it; w
 * and constant are not read, and not written. */
uint32_t esp_dual_descend_gram(esp_dual *dual);

/* Writes the w and constant that belong to alpha. */
void esp_dual_primal(esp_dual *dual);

#endif
