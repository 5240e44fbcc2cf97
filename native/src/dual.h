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
    esp_dual_row *row;    /* n_rows */
    float *w;             /* n_ids: weights of the features */
    double constant;      /* weight of the constant feature, ... */
    float bias;           /* ... which has this value in every row */
    float epsilon;
    uint32_t max_iterations;
    uint64_t random;      /* state of the generator */
    uint32_t *active;     /* n_rows, spare */
} esp_dual;

/* Descends from the given alpha, with w and constant belonging to it, until no
 * projected gradient is larger than epsilon or max_iterations passes are done.
 * Returns the passes. */
uint32_t esp_dual_descend(esp_dual *dual);

/* The same over the Gram matrix of the rows, for nodes of few rows and many
 * children.  w and constant are not read, and written at the end. */

#endif
