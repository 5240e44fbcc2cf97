/* test_solver.c: facts about esp_rank_node(), and the hammer for threads. */
#include "test.h"

#include "../src/chunk.h"

#include <math.h>
#include <pthread.h>

enum { MAX_ROWS = 700, FEATURES = 120, MAX_ENTRIES = 30 * MAX_ROWS, MAX_CHILDREN = 300 };

/* One node in static memory, and what training made of it. */
typedef struct node {
    esp_csr x;
    uint64_t ptr[MAX_ROWS + 1];
    uint32_t col[MAX_ENTRIES];
    float val[MAX_ENTRIES];
    uint32_t rows[MAX_ROWS];
    uint32_t positive_ptr[MAX_CHILDREN + 1];
    uint32_t positive[4 * MAX_ROWS];
    float cost[MAX_ROWS];
    uint32_t user[MAX_ROWS];
    uint8_t is_context[FEATURES];
    esp_rank_task task;
    esp_rank_options options;
} node;

typedef struct weights {
    float w[MAX_CHILDREN][FEATURES];
    float b[MAX_CHILDREN];
} weights;

static node n1;
static weights got, other;
static uint64_t random_state;

static uint32_t draw(uint32_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static esp_rank_options exact_options(void) {
    return (esp_rank_options){
        .struct_size = sizeof(esp_rank_options),
        .max_iterations = 20000,
        .cp = 1,
        .cn = 1,
        .epsilon = 1e-5f,
        .bias = 1,
        .weight_bits = 32,
        .seed = 3,
    };
}

/* A node of `rows` rows of about `entries` features, each row positive for one
 * child that its features hint at. */
static void make_node(uint32_t rows, uint32_t children, uint32_t entries, uint64_t seed) {
    random_state = seed;
    memset(&n1, 0, sizeof n1);
    uint32_t child[MAX_ROWS];
    uint64_t used = 0;
    for (uint32_t i = 0; i < rows; i++) {
        child[i] = draw(children);
        n1.ptr[i] = used;
        n1.rows[i] = i;
        n1.user[i] = draw(rows / 2 + 1);
        n1.cost[i] = (float)(1 + draw(8)) / 4;
        for (uint32_t f = 0; f < FEATURES && used < MAX_ENTRIES; f++) {
            const uint32_t chance = f % children == child[i] % FEATURES ? 2 * entries : entries;
            if (draw(FEATURES) >= chance)
                continue;
            n1.col[used] = f;
            n1.val[used++] = (float)(1 + draw(100)) / 100 / sqrtf((float)(entries + 1));
        }
    }
    n1.ptr[rows] = used;
    used = 0;
    for (uint32_t c = 0; c < children; c++) {
        for (uint32_t i = 0; i < rows; i++)
            if (child[i] == c)
                n1.positive[used++] = i;
        n1.positive_ptr[c + 1] = (uint32_t)used;
    }
    for (uint32_t f = 0; f < FEATURES; f++)
        n1.is_context[f] = f % 2 == 1;
    n1.x = (esp_csr){n1.ptr, n1.col, n1.val, rows, FEATURES};
    n1.task = (esp_rank_task){.rows = n1.rows,
        .n_rows = rows,
        .n_children = children,
        .positive_ptr = n1.positive_ptr,
        .positive = n1.positive};
    n1.options = exact_options();
}

/* Reads weights back out of chunks: the score of one feature is its weight. */
static void decode(const uint8_t *chunk, size_t bytes, weights *out) {
    const uint32_t bits = esp_feature_bits(FEATURES);
    memset(out, 0, sizeof *out);
    uint32_t first = 0;
    for (size_t at = 0; at < bytes;) {
        esp_chunk open;
        float score[ESP_CHUNK_COLUMNS] = {0};
        CHECK(esp_chunk_open(chunk + at, bytes - at, bits, &open));
        CHECK(esp_chunk_validate(&open, bits) == NULL);
        const uint32_t columns = open.head->n_cols;
        memcpy(out->b + first, open.bias, columns * sizeof *open.bias);
        for (uint32_t f = 0; f < FEATURES; f++) {
            /* A huge input makes the bias vanish beside the weight. */
            const esp_feature one = {.mixed = esp_feature_mix(f, bits), .value = 0x1p60f};
            const esp_chunk_job job = {open, &one, 1, score};
            CHECK(esp_chunk_score(&job, 1, bits));
            for (uint32_t c = 0; c < columns; c++)
                out->w[first + c][f] = fabsf(score[c]) < 0x1p30f ? 0 : score[c] * 0x1p-60f;
        }
        first += columns;
        at += open.head->bytes;
    }
    CHECK(first == n1.task.n_children);
}

static esp_status rank_with(esp_trainer *trainer, weights *out) {
    uint8_t *chunk = NULL;
    size_t bytes = 0;
    esp_error err = {0};
    const esp_status status =
        esp_rank_node(trainer, &n1.x, &n1.task, &n1.options, &chunk, &bytes, &err);
    if (status == ESP_OK)
        decode(chunk, bytes, out);
    esp_buffer_free(chunk);
    return status;
}

static void rank(weights *out) {
    esp_trainer *trainer = NULL;
    CHECK(esp_trainer_new(FEATURES, &trainer, NULL) == ESP_OK);
    CHECK(rank_with(trainer, out) == ESP_OK);
    esp_trainer_free(trainer);
}

static int is_positive(uint32_t c, uint32_t place) {
    for (uint32_t j = n1.positive_ptr[c]; j < n1.positive_ptr[c + 1]; j++)
        if (n1.positive[j] == place)
            return 1;
    return 0;
}

/* Row of place i, dense, its sign and its cost for child c. */
static double expand(uint32_t c, uint32_t i, double *x, double *sign) {
    memset(x, 0, (FEATURES + 1) * sizeof *x);
    const uint32_t row = n1.rows[i];
    for (uint64_t j = n1.ptr[row]; j < n1.ptr[row + 1]; j++)
        x[n1.col[j]] = (double)n1.val[j];
    x[FEATURES] = (double)n1.options.bias;
    *sign = is_positive(c, i) ? 1 : -1;
    const double cost = n1.task.cost == NULL ? 1 : (double)n1.task.cost[i];
    return cost * (double)(*sign > 0 ? n1.options.cp : n1.options.cn);
}

/* 1/2 |w|^2 + sum C max(0, 1 - y w.x)^2, the constant feature's weight last. */
static double objective(uint32_t c, const double *w) {
    double sum = 0;
    for (uint32_t f = 0; f <= FEATURES; f++)
        sum += 0.5 * w[f] * w[f];
    for (uint32_t i = 0; i < n1.task.n_rows; i++) {
        double x[FEATURES + 1], sign, margin = 0;
        const double cost = expand(c, i, x, &sign);
        for (uint32_t f = 0; f <= FEATURES; f++)
            margin += w[f] * x[f];
        const double loss = 1 - sign * margin;
        sum += loss > 0 ? cost * loss * loss : 0;
    }
    return sum;
}

/* The obviously correct twin: descent in doubles over dense rows drawn at
 * random (in order it takes thousands of passes), no shrinking, no start, until
 * nothing moves. */
static void solve_plainly(uint32_t c, double *w) {
    static double x[MAX_ROWS][FEATURES + 1], sign[MAX_ROWS], cost[MAX_ROWS], alpha[MAX_ROWS];
    static uint32_t order[MAX_ROWS];
    const uint32_t n = n1.task.n_rows;
    memset(w, 0, (FEATURES + 1) * sizeof *w);
    for (uint32_t i = 0; i < n; i++) {
        cost[i] = expand(c, i, x[i], &sign[i]);
        alpha[i] = 0;
        order[i] = i;
    }
    for (uint32_t pass = 0; pass < 3000; pass++) {
        double moved = 0;
        for (uint32_t k = n; k > 1; k--) {
            const uint32_t j = draw(k), swap = order[j];
            order[j] = order[k - 1];
            order[k - 1] = swap;
        }
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t i = order[k];
            if (cost[i] <= 0)
                continue;
            double margin = 0, squares = 0.5 / cost[i];
            for (uint32_t f = 0; f <= FEATURES; f++) {
                margin += w[f] * x[i][f];
                squares += x[i][f] * x[i][f];
            }
            const double gradient = sign[i] * margin - 1 + alpha[i] * 0.5 / cost[i];
            const double next = fmax(0, alpha[i] - gradient / squares);
            const double step = (next - alpha[i]) * sign[i];
            alpha[i] = next;
            moved = fmax(moved, fabs(step));
            for (uint32_t f = 0; f <= FEATURES; f++)
                w[f] += step * x[i][f];
        }
        if (moved < 1e-9)
            break;
    }
}

/* Is column c of `found` the minimum, up to a relative excess? */
static void check_minimum(uint32_t c, const weights *found, double excess) {
    double best[FEATURES + 1], mine[FEATURES + 1];
    solve_plainly(c, best);
    for (uint32_t f = 0; f < FEATURES; f++)
        mine[f] = (double)found->w[c][f];
    mine[FEATURES] = n1.options.bias == 0 ? 0 : (double)found->b[c] / (double)n1.options.bias;
    const double least = objective(c, best);
    CHECK(objective(c, mine) <= least * (1 + excess) + 1e-9);
    if (excess < 1e-5)
        for (uint32_t f = 0; f <= FEATURES; f++)
            CHECK(fabs(mine[f] - best[f]) < 2e-3);
}

static void columns_reach_the_optimum_of_plain_descent(void) {
    static const struct {
        uint32_t rows, children, entries;
        float bias, cp, cn;
        int with_cost;
    } shape[] = {
        {1, 1, 5, 1, 1, 1, 0},
        {30, 2, 5, 1, 1, 1, 0},
        {30, 2, 5, 1, 4, 0.5f, 0},
        {60, 3, 8, 0, 1, 1, 1},
        {100, 12, 8, 1, 1, 1, 0},
        {100, 12, 8, 0.5f, 2, 1, 1},
        {300, 20, 10, 1, 1, 1, 1},
        {650, 5, 4, 1, 1, 1, 0},
        {650, 30, 4, 2, 10, 0.1f, 0},
    };
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        make_node(shape[s].rows, shape[s].children, shape[s].entries, 40 + s);
        n1.options.bias = shape[s].bias;
        n1.options.cp = shape[s].cp;
        n1.options.cn = shape[s].cn;
        n1.task.cost = shape[s].with_cost ? n1.cost : NULL;
        rank(&got);
        for (uint32_t c = 0; c < shape[s].children; c += 1 + shape[s].children / 4)
            check_minimum(c, &got, 1e-6);
    }
}

static void the_usual_epsilon_is_within_two_percent_of_the_optimum(void) {
    for (uint64_t seed = 0; seed < 6; seed++) {
        make_node(200, 2 + 6 * (uint32_t)seed, 8, seed);
        n1.options.epsilon = 0.1f;
        n1.options.max_iterations = 100;
        rank(&got);
        for (uint32_t c = 0; c < n1.task.n_children; c += 5)
            check_minimum(c, &got, 0.02);
    }
}

static void two_complementary_children_mirror_each_other(void) {
    make_node(150, 2, 8, 5);
    rank(&got);
    for (uint32_t f = 0; f < FEATURES; f++)
        CHECK(got.w[0][f] == -got.w[1][f]);
    CHECK(got.b[0] == -got.b[1]);
    check_minimum(1, &got, 1e-6);
    /* Without row 7 in either, or with a row in both, they do not. */
    make_node(150, 2, 8, 5);
    n1.positive[n1.positive_ptr[1]] = n1.positive[0];
    rank(&got);
    check_minimum(0, &got, 1e-6);
    check_minimum(1, &got, 1e-6);
}

static void a_child_without_positives_says_no(void) {
    make_node(200, 8, 8, 6);
    for (uint32_t c = 4; c <= 8; c++)
        n1.positive_ptr[c] = n1.positive_ptr[3];
    rank(&got);
    for (uint32_t c = 3; c < 8; c++) {
        CHECK(got.b[c] < -0.8f && got.b[c] > -1.1f);
        check_minimum(c, &got, 1e-6);
    }
}

static void a_child_positive_everywhere_says_yes(void) {
    make_node(80, 1, 8, 7);
    rank(&got);
    CHECK(got.b[0] > 0.8f && got.b[0] < 1.1f);
    check_minimum(0, &got, 1e-6);
}

static void no_rows_give_empty_columns(void) {
    make_node(10, 3, 8, 8);
    memset(n1.positive_ptr, 0, sizeof n1.positive_ptr);
    n1.task.n_rows = 0;
    n1.task.rows = NULL;
    n1.task.positive = NULL;
    rank(&got);
    for (uint32_t c = 0; c < 3; c++) {
        CHECK(got.b[c] == 0);
        for (uint32_t f = 0; f < FEATURES; f++)
            CHECK(got.w[c][f] == 0);
    }
}

static void rows_without_features_move_only_the_constant(void) {
    make_node(40, 4, 0, 9);
    rank(&got);
    for (uint32_t c = 0; c < 4; c++)
        check_minimum(c, &got, 1e-6);
    n1.options.bias = 0;
    rank(&got);
    for (uint32_t c = 0; c < 4; c++)
        CHECK(got.b[c] == 0);
}

static void three_hundred_children_are_more_than_one_chunk(void) {
    make_node(600, MAX_CHILDREN, 6, 10);
    rank(&got);
    for (uint32_t c = 0; c < MAX_CHILDREN; c += 37)
        check_minimum(c, &got, 1e-6);
    check_minimum(MAX_CHILDREN - 1, &got, 1e-6);
}

static void only_listed_rows_count(void) {
    /* Every second row of a node, against a node that has only those. */
    make_node(200, 3, 8, 11);
    uint32_t used = 0;
    for (uint32_t i = 0; i < 100; i++)
        n1.rows[i] = 2 * i;
    for (uint32_t c = 0, j = 0; c < 3; c++) {
        for (; j < n1.positive_ptr[c + 1]; j++)
            if (n1.positive[j] % 2 == 0)
                n1.positive[used++] = n1.positive[j] / 2;
        n1.positive_ptr[c + 1] = used;
    }
    n1.task.n_rows = 100;
    rank(&got);
    for (uint32_t c = 0; c < 3; c++)
        check_minimum(c, &got, 1e-6);
}

static void a_row_of_cost_zero_does_not_count(void) {
    make_node(120, 6, 8, 12);
    for (uint32_t i = 0; i < 120; i++)
        n1.cost[i] = i % 3 == 0 ? 0 : 1;
    n1.task.cost = n1.cost;
    rank(&got);
    for (uint32_t c = 0; c < 6; c++)
        check_minimum(c, &got, 1e-6);
}

/* So many rows that they are shuffled by blocks, against few that count more. */
static void a_hundred_copies_of_a_row_count_a_hundred_times_as_much(void) {
    enum { COPIES = 100, ROWS = 400 };
    make_node(ROWS, 3, 4, 23);
    n1.options.epsilon = 1e-3f;
    n1.options.max_iterations = 1000;
    rank(&other);

    const uint64_t entries = n1.ptr[ROWS];
    uint64_t *ptr = malloc((ROWS * COPIES + 1) * sizeof *ptr);
    uint32_t *col = malloc(entries * COPIES * sizeof *col);
    float *val = malloc(entries * COPIES * sizeof *val);
    uint32_t *rows = malloc(ROWS * COPIES * sizeof *rows);
    uint32_t *positive = malloc(ROWS * COPIES * sizeof *positive);
    uint32_t positive_ptr[4] = {0}, used = 0;
    ptr[0] = 0;
    for (uint32_t k = 0; k < COPIES; k++) {
        memcpy(col + k * entries, n1.col, entries * sizeof *col);
        memcpy(val + k * entries, n1.val, entries * sizeof *val);
        for (uint32_t i = 0; i < ROWS; i++) {
            ptr[k * ROWS + i + 1] = k * entries + n1.ptr[i + 1];
            rows[k * ROWS + i] = k * ROWS + i;
        }
    }
    for (uint32_t c = 0; c < 3; c++) {
        for (uint32_t k = 0; k < COPIES; k++)
            for (uint32_t j = n1.positive_ptr[c]; j < n1.positive_ptr[c + 1]; j++)
                positive[used++] = k * ROWS + n1.positive[j];
        positive_ptr[c + 1] = used;
    }
    n1.x = (esp_csr){ptr, col, val, ROWS * COPIES, FEATURES};
    n1.task = (esp_rank_task){.rows = rows,
        .n_rows = ROWS * COPIES,
        .n_children = 3,
        .positive_ptr = positive_ptr,
        .positive = positive};
    n1.options.cp = n1.options.cn = 1.0f / COPIES;
    rank(&got);
    for (uint32_t c = 0; c < 3; c++) {
        CHECK(fabsf(got.b[c] - other.b[c]) < 5e-3f);
        for (uint32_t f = 0; f < FEATURES; f++)
            CHECK(fabsf(got.w[c][f] - other.w[c][f]) < 5e-3f);
    }
    free(ptr);
    free(col);
    free(val);
    free(rows);
    free(positive);
}

static void threshold_drops_exactly_the_small_weights(void) {
    make_node(150, 10, 8, 13);
    rank(&got);
    n1.options.threshold = 0.1f;
    rank(&other);
    uint32_t dropped = 0, stayed = 0;
    for (uint32_t c = 0; c < 10; c++) {
        CHECK(got.b[c] == other.b[c]);
        for (uint32_t f = 0; f < FEATURES; f++) {
            CHECK(other.w[c][f] == (fabsf(got.w[c][f]) >= 0.1f ? got.w[c][f] : 0));
            dropped += other.w[c][f] == 0;
            stayed += other.w[c][f] != 0;
        }
    }
    CHECK(dropped > 50 && stayed > 50);
}

static void max_nonzeros_keeps_the_largest_ties_by_feature(void) {
    make_node(150, 10, 8, 14);
    rank(&got);
    n1.options.max_nonzeros = 7;
    rank(&other);
    for (uint32_t c = 0; c < 10; c++)
        for (uint32_t f = 0; f < FEATURES; f++) {
            uint32_t above = 0;
            for (uint32_t g = 0; g < FEATURES; g++)
                above += fabsf(got.w[c][g]) > fabsf(got.w[c][f]) ||
                         (fabsf(got.w[c][g]) == fabsf(got.w[c][f]) && g < f);
            CHECK(other.w[c][f] == (above < 7 ? got.w[c][f] : 0));
        }
    /* Identical features have identical weights: the first four stay. */
    make_node(20, 2, 0, 14);
    for (uint32_t i = 0; i < 20; i++) {
        n1.ptr[i + 1] = n1.ptr[i] + 10;
        for (uint32_t k = 0; k < 10; k++) {
            n1.col[n1.ptr[i] + k] = 2 * k + 5;
            n1.val[n1.ptr[i] + k] = is_positive(0, i) ? 0.3f : 0.1f;
        }
    }
    n1.options.max_nonzeros = 4;
    rank(&other);
    for (uint32_t f = 0; f < FEATURES; f++)
        CHECK((other.w[0][f] != 0) == (f == 5 || f == 7 || f == 9 || f == 11));
}

/* Distinct users among the rows of one side of child c that have feature f. */
static uint32_t count_users(uint32_t c, uint32_t f, int side) {
    static uint8_t seen[MAX_ROWS];
    memset(seen, 0, sizeof seen);
    uint32_t users = 0;
    for (uint32_t i = 0; i < n1.task.n_rows; i++)
        for (uint64_t j = n1.ptr[n1.rows[i]]; j < n1.ptr[n1.rows[i] + 1]; j++)
            if (n1.col[j] == f && n1.val[j] != 0 && is_positive(c, i) == side)
                users += seen[n1.user[n1.rows[i]]]++ == 0;
    return users;
}

static void context_weights_need_users_behind_them(void) {
    for (uint32_t least = 0; least < 6; least++) {
        make_node(120, 9, 5, 15);
        if (least == 1) /* values below zero make weights nobody wrote */
            for (uint64_t j = 0; j < n1.ptr[120]; j += 3)
                n1.val[j] = -n1.val[j];
        for (uint64_t j = 0; j < n1.ptr[120]; j += 7)
            n1.val[j] = 0; /* an entry of zero is no entry */
        rank(&got);
        n1.task.user = n1.user;
        n1.task.is_context = n1.is_context;
        n1.options.min_support = least;
        rank(&other);
        uint32_t dropped = 0, stayed = 0;
        for (uint32_t c = 0; c < 9; c++)
            for (uint32_t f = 0; f < FEATURES; f++) {
                const float w = got.w[c][f];
                const int stays = !n1.is_context[f] || count_users(c, f, w > 0) >= least;
                CHECK(other.w[c][f] == (stays ? w : 0));
                dropped += w != 0 && !stays;
                stayed += w != 0 && stays && n1.is_context[f];
            }
        CHECK(least == 0 ? dropped == 0 : least == 1 || dropped > 20);
        CHECK(stayed > 20);
    }
}

static void sixteen_bits_change_weights_a_little(void) {
    make_node(120, 9, 5, 16);
    rank(&got);
    n1.options.weight_bits = 16;
    rank(&other);
    for (uint32_t c = 0; c < 9; c++)
        for (uint32_t f = 0; f < FEATURES; f++)
            CHECK(fabsf(got.w[c][f] - other.w[c][f]) < 1e-3f);
}

static void a_used_trainer_gives_the_same_bytes(void) {
    esp_trainer *trainer = NULL;
    uint8_t *chunk[2] = {NULL, NULL};
    size_t bytes[2] = {0, 0};
    CHECK(esp_trainer_new(FEATURES, &trainer, NULL) == ESP_OK);
    for (int k = 0; k < 2; k++) {
        make_node(600, 30, 20, 17);
        CHECK(rank_with(trainer, &got) == ESP_OK);
        make_node(100, 12, 8, 18);
        n1.options.epsilon = 0.1f;
        CHECK(esp_rank_node(trainer, &n1.x, &n1.task, &n1.options, &chunk[k], &bytes[k], NULL) ==
              ESP_OK);
        if (k == 0) { /* the second time with a fresh one */
            esp_trainer_free(trainer);
            CHECK(esp_trainer_new(FEATURES, &trainer, NULL) == ESP_OK);
            make_node(100, 12, 8, 18);
        }
    }
    CHECK(bytes[0] == bytes[1] && memcmp(chunk[0], chunk[1], bytes[0]) == 0);
    esp_buffer_free(chunk[0]);
    esp_buffer_free(chunk[1]);
    esp_trainer_free(trainer);
}

static void bad_arguments_are_named(void) {
    esp_trainer *trainer = NULL;
    CHECK(esp_trainer_new(FEATURES, &trainer, NULL) == ESP_OK);
#define REFUSED(change, name)                                                               \
    do {                                                                                    \
        make_node(50, 4, 8, 19);                                                            \
        n1.task.cost = n1.cost;                                                             \
        change;                                                                             \
        uint8_t *chunk = NULL;                                                              \
        size_t bytes = 99;                                                                  \
        esp_error err = {0};                                                                \
        CHECK(esp_rank_node(trainer, &n1.x, &n1.task, &n1.options, &chunk, &bytes, &err) == \
              ESP_E_ARGUMENT);                                                              \
        CHECK(strcmp(err.check, name) == 0);                                                \
        CHECK(chunk == NULL && bytes == 99);                                                \
    } while (0)
    REFUSED(n1.options.struct_size = 4, "struct_size");
    REFUSED(n1.options.cp = -1, "cp");
    REFUSED(n1.options.cn = INFINITY, "cn");
    REFUSED(n1.options.epsilon = NAN, "epsilon");
    REFUSED(n1.options.bias = -1, "bias");
    REFUSED(n1.options.threshold = -0.5f, "threshold");
    REFUSED(n1.options.max_iterations = 0, "max_iterations");
    REFUSED(n1.task.n_children = 0, "n_children");
    REFUSED(n1.task.rows = NULL, "null");
    REFUSED(n1.rows[3] = n1.rows[2], "rows");
    REFUSED(n1.rows[49] = 50, "rows");
    REFUSED(n1.cost[3] = -1, "cost");
    REFUSED(n1.cost[3] = NAN, "cost");
    REFUSED(n1.positive_ptr[2] = n1.positive_ptr[1] - 1, "positive_ptr");
    REFUSED(n1.positive[1] = n1.positive[0], "positive");
    REFUSED(n1.positive[n1.positive_ptr[1] - 1] = 50, "positive");
    REFUSED(n1.task.positive = NULL, "positive");
    REFUSED(n1.val[0] = INFINITY, "value");
    REFUSED(n1.col[0] = FEATURES, "column");
    REFUSED(n1.x.n_cols = FEATURES + 1, "n_cols");
#undef REFUSED
    esp_trainer_free(trainer);
}

static void any_allocation_may_fail(void) {
    make_node(300, 12, 6, 20);
    n1.task.user = n1.user;
    n1.task.is_context = n1.is_context;
    n1.options.min_support = 2;
    n1.options.max_nonzeros = 20;
    n1.options.epsilon = 0.1f;
    rank(&other);
    esp_status status = ESP_E_MEMORY;
    long at = 0;
    for (; status != ESP_OK && at < 1000; at++) {
        esp_trainer *trainer = NULL;
        uint8_t *chunk = NULL;
        size_t bytes = 0;
        test_allocations_left = at;
        status = esp_trainer_new(FEATURES, &trainer, NULL);
        if (status == ESP_OK)
            status = esp_rank_node(trainer, &n1.x, &n1.task, &n1.options, &chunk, &bytes, NULL);
        test_allocations_left = -1;
        CHECK(status == ESP_OK || status == ESP_E_MEMORY);
        CHECK((status == ESP_OK) == (chunk != NULL));
        esp_buffer_free(chunk);
        if (trainer != NULL) {
            CHECK(rank_with(trainer, &got) == ESP_OK);
            CHECK(memcmp(&got, &other, sizeof got) == 0);
        }
        esp_trainer_free(trainer);
    }
    CHECK(at > 25 && status == ESP_OK);
}

enum { THREADS = 4, ROUNDS = 3 };

typedef struct job {
    pthread_t thread;
    uint8_t *chunk;
    size_t bytes;
    uint32_t members[MAX_ROWS];
    uint32_t bounds[9];
} job;

/* Both kernels over and over on a trainer of its own and shared matrices. */
static void *work(void *argument) {
    job *mine = argument;
    esp_trainer *trainer = NULL;
    CHECK(esp_trainer_new(FEATURES, &trainer, NULL) == ESP_OK);
    const esp_split_options options = {
        .struct_size = sizeof options, .parts = 8, .iterations = 20, .seed = 4};
    for (int r = 0; r < ROUNDS; r++) {
        esp_buffer_free(mine->chunk);
        mine->chunk = NULL;
        CHECK(esp_rank_node(trainer, &n1.x, &n1.task, &n1.options, &mine->chunk, &mine->bytes,
                  NULL) == ESP_OK);
        for (uint32_t i = 0; i < n1.task.n_rows; i++)
            mine->members[i] = i;
        CHECK(esp_cluster_split(trainer, &n1.x, mine->members, NULL, n1.task.n_rows, &options,
                  mine->bounds, NULL) == ESP_OK);
    }
    esp_trainer_free(trainer);
    return NULL;
}

static void threads_with_own_trainers_give_identical_bytes(void) {
    static job jobs[THREADS];
    make_node(400, 20, 10, 21);
    n1.options.epsilon = 0.1f;
    for (int t = 0; t < THREADS; t++)
        CHECK(pthread_create(&jobs[t].thread, NULL, work, &jobs[t]) == 0);
    for (int t = 0; t < THREADS; t++)
        CHECK(pthread_join(jobs[t].thread, NULL) == 0);
    for (int t = 0; t < THREADS; t++) {
        CHECK(jobs[t].bytes == jobs[0].bytes && jobs[t].bytes > 0);
        CHECK(memcmp(jobs[t].chunk, jobs[0].chunk, jobs[0].bytes) == 0);
        CHECK(memcmp(jobs[t].members, jobs[0].members, sizeof jobs[0].members) == 0);
        CHECK(memcmp(jobs[t].bounds, jobs[0].bounds, sizeof jobs[0].bounds) == 0);
    }
    for (int t = 0; t < THREADS; t++)
        esp_buffer_free(jobs[t].chunk);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(columns_reach_the_optimum_of_plain_descent);
    TEST(the_usual_epsilon_is_within_two_percent_of_the_optimum);
    TEST(two_complementary_children_mirror_each_other);
    TEST(a_child_without_positives_says_no);
    TEST(a_child_positive_everywhere_says_yes);
    TEST(no_rows_give_empty_columns);
    TEST(rows_without_features_move_only_the_constant);
    TEST(three_hundred_children_are_more_than_one_chunk);
    TEST(only_listed_rows_count);
    TEST(a_row_of_cost_zero_does_not_count);
    TEST(a_hundred_copies_of_a_row_count_a_hundred_times_as_much);
    TEST(threshold_drops_exactly_the_small_weights);
    TEST(max_nonzeros_keeps_the_largest_ties_by_feature);
    TEST(context_weights_need_users_behind_them);
    TEST(sixteen_bits_change_weights_a_little);
    TEST(a_used_trainer_gives_the_same_bytes);
    TEST(bad_arguments_are_named);
    TEST(any_allocation_may_fail);
    TEST(threads_with_own_trainers_give_identical_bytes);
    return TEST_END();
}
