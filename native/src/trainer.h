/* trainer.h: buffers and small tools of the training kernels.
 *
 * A kernel works on one node of the tree at a time: some rows of a big sparse
 * matrix.  It copies them once into a local matrix whose columns are numbered
 * from 0 in the order they are met, and then passes over that many times:
 *
 *      x (460,000 rows, a million features)          local (150 rows)
 *      row 17    | 5: 0.3   907001: 0.9 |            0 | 0: 0.3   1: 0.9 |
 *      row 4711  | 5: 0.8   313373: 0.6 |   ---->    1 | 0: 0.8   2: 0.6 |
 *                                                    feature[] = 5, 907001, 313373
 *
 * The vectors over features that all siblings share then have a few thousand
 * entries and stay in the first cache, and the rows lie one behind the other.
 * Common features are met first, so even at the root the busy part of such a
 * vector is small.
 */
#ifndef ESP_TRAINER_H
#define ESP_TRAINER_H

#include "base.h"

/* One entry of a local row. */
typedef struct esp_entry {
    uint32_t id; /* of the feature, local */
    float value;
} esp_entry;

/* The rows of one node.  Row i is entry[ptr[i], ptr[i + 1]); entries that are
 * zero in x are left out.  Borrowed from the trainer until the next gather. */
typedef struct esp_local {
    const size_t *ptr; /* n_rows + 1 */
    const esp_entry *entry;
    const uint32_t *feature; /* n_ids: number in x of a local feature */
    uint32_t n_rows;
    uint32_t n_ids;
    bool has_negative; /* some value is below zero */
} esp_local;

/* What a trainer's blocks of memory are for.  A block serves one purpose, so
 * nobody has to know who else is using it. */
typedef enum esp_room {
    ESP_ROOM_PTR,
    ESP_ROOM_ENTRY,
    ESP_ROOM_FEATURE,
    ESP_ROOM_SORT_KEY,
    ESP_ROOM_SORT_VALUE,
    ESP_ROOM_CANDIDATE,
    /* cluster.c */
    ESP_ROOM_MEMBER,
    ESP_ROOM_PLACE,
    ESP_ROOM_WEIGHT,
    ESP_ROOM_SCORE,
    ESP_ROOM_SIDE,
    ESP_ROOM_TOTAL,
    ESP_ROOM_RIGHT,
    ESP_ROOM_AXIS,
    /* solver.c, dual.c */
    ESP_ROOM_BASE,
    ESP_ROOM_BASE_W,
    ESP_ROOM_ROW,
    ESP_ROOM_W,
    ESP_ROOM_ACTIVE,
    ESP_ROOM_POSITIVE,
    ESP_ROOM_ASCENDING,
    ESP_ROOM_ASCENDING_KEY,
    ESP_ROOM_USER,
    ESP_ROOM_USER_ORDER,
    ESP_ROOM_POST_PTR,
    ESP_ROOM_POST,
    ESP_ROOM_KEPT,
    ESP_ROOM_GRAM,
    ESP_ROOM_MARGIN,
    ESP_ROOM_COLUMN_PTR,
    ESP_ROOM_COLUMN_BIAS,
    ESP_ROOM_OUT_FEATURE,
    ESP_ROOM_OUT_WEIGHT,
    ESP_ROOMS
} esp_room;

typedef struct esp_block {
    void *data;
    size_t bytes;
} esp_block;

struct esp_trainer {
    uint32_t n_features;
    uint32_t *local_of; /* n_features: local id + 1; all 0 between gathers */
    esp_local local;
    esp_block block[ESP_ROOMS];
};

/* Room for `count` elements of `size` bytes.  What the block held is lost.
 * NULL where memory ran out; the block then is empty. */
void *esp_trainer_room(esp_trainer *trainer, esp_room room, size_t count, size_t size);

/* The same, but what the block held stays, also on failure. */
void *esp_trainer_extend(esp_trainer *trainer, esp_room room, size_t count, size_t size);

/* Copies `rows` of x into trainer->local.  O(entries).
 * Fails with ESP_E_ARGUMENT where x is not a matrix over the trainer's features
 * (offset: the row), ESP_E_MEMORY. */
esp_status esp_gather(
    esp_trainer *trainer, const esp_csr *x, const uint32_t *rows, uint32_t n_rows, esp_error *err);

/* Sorts keys ascending and moves the values along; equal keys keep their
 * order.  O(n): least significant digit first. */
esp_status esp_sort_pairs(
    esp_trainer *trainer, uint32_t *key, uint32_t *value, size_t n, esp_error *err);

/* Among n distinct keys in ascending order, finds the first one where the
 * weights of all keys up to and including it exceed `target`, and writes it and
 * the weights before it.  The weight of a key is weight[low half of the key],
 * or 1 each where `weight` is NULL; then *key is the key with `target` smaller
 * ones.  All weights together must exceed target.
 * O(n) in the worst case: most significant digit first, no pivots to choose. */
esp_status esp_select(esp_trainer *trainer, const uint64_t *keys, size_t n, const uint32_t *weight,
    uint64_t target, uint64_t *key, uint64_t *before, esp_error *err);

/* Bits of a number that is not NaN, such that they order like the number. */
static inline uint32_t esp_float_order(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/* A number below n, n > 0, from the stream at *state (Lemire 2019 without its
 * rejection: the bias is below n / 2^32 and nothing here can see it). */
static inline uint32_t esp_random_below(uint64_t *state, uint32_t n) {
    return (uint32_t)(((esp_random_next(state) >> 32) * n) >> 32);
}

/* Inner product of a local row and a dense vector.  Four sums, because one
 * would wait for the adder; their order is part of the result. */
static inline float esp_row_dot(const esp_entry *e, const esp_entry *end, const float *w) {
    float a = 0, b = 0, c = 0, d = 0;
    for (; end - e >= 4; e += 4) {
        a += e[0].value * w[e[0].id];
        b += e[1].value * w[e[1].id];
        c += e[2].value * w[e[2].id];
        d += e[3].value * w[e[3].id];
    }
    for (; e < end; e++)
        a += e->value * w[e->id];
    return (a + b) + (c + d);
}

/* w += factor * row. */
static inline void esp_row_add(const esp_entry *e, const esp_entry *end, float factor, float *w) {
    for (; e < end; e++)
        w[e->id] += factor * e->value;
}

#endif
