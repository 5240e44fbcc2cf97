/* cluster.c: balanced spherical 2-means, the indexer's kernel.
 *
 * One bisection, as in PECOS (Yu et al. 2022, section 3.1; Malinen & Fränti
 * 2014 for the balance):
 *
 *      two members drawn at random are the centres
 *      repeat:  score of a point = point . (right centre - left centre)
 *               the points with the smallest scores go left, as many as are due
 *               a centre = sum of its points, scaled to length 1
 *      until nobody changes sides, or `iterations` times
 *
 * The cut makes the groups balanced by force, whatever the data look like, and
 * the order (score, then member) is total, so identical points and empty rows
 * need no case of their own.
 *
 * More than two parts are bisected again, each time in proportion to the parts
 * still to be made on either side.  A bisection's random numbers come from the
 * seed and from its range of parts, never from what ran before.
 *
 * What costs time is scoring: one pass over the entries per round.  The sums
 * behind the centres are kept (in double: 53 bits leave the drift of adding and
 * taking away far below the float they become) and only points that change
 * sides are moved, few after the first rounds.
 */
#include "trainer.h"

#include <math.h>

enum { MAX_PARTS = 256 };

/* The points of one bisection, ascending by member, and their weights. */
typedef struct esp_points {
    uint32_t *member;
    uint32_t *weight; /* NULL: 1 each */
    uint32_t n;
} esp_points;

/* Where a bisection has to cut. */
typedef struct esp_cut {
    uint32_t count;  /* points due left, where weights do not matter */
    uint32_t least;  /* points left at least and at most, so that no part */
    uint32_t most;   /* to come stays empty while there are enough points */
    uint64_t weight; /* weight due left, where weights matter */
    bool by_weight;
} esp_cut;

/* Vectors over the local features. */
typedef struct esp_axis {
    double *total; /* sum of all points */
    double *right; /* sum of the points on the right */
    float *axis;   /* right centre - left centre */
} esp_axis;

static uint64_t sum_weights(const uint32_t *weight, uint32_t n) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += weight[i];
    return sum;
}

/* Plans the cut of `points` into `left` and `parts - left` parts.  With equal
 * weights every part gets floor(n / parts) points or one more: of the n % parts
 * longer ones, the left side takes its share, rounded down, which is fewer than
 * its parts, and leaves the right side no more than its parts. */
static esp_cut plan_cut(const esp_points *points, uint32_t left, uint32_t parts) {
    const uint32_t each = points->n / parts;
    const uint32_t longer = points->n % parts;
    esp_cut cut = {.count = each * left + longer * left / parts};
    if (points->weight == NULL || points->n < parts)
        return cut;
    const uint64_t sum = sum_weights(points->weight, points->n);
    cut.weight = sum / parts * left + sum % parts * left / parts;
    cut.least = left;
    cut.most = points->n - (parts - left);
    cut.by_weight = sum != 0;
    return cut;
}

/* The key below which points belong left, and how many those are. */
static esp_status choose(esp_trainer *trainer, const esp_points *points, const uint64_t *key,
    const esp_cut *cut, uint64_t *below, uint32_t *n_left, esp_error *err) {
    uint64_t before = 0;
    uint32_t count = cut->count;
    if (cut->by_weight) {
        ESP_TRY(
            esp_select(trainer, key, points->n, points->weight, cut->weight, below, &before, err));
        /* That point lies across the cut and goes where less is out of place. */
        const uint64_t over = before + points->weight[(uint32_t)*below] - cut->weight;
        *below += cut->weight - before > over;
        count = 0;
        for (uint32_t i = 0; i < points->n; i++)
            count += key[i] < *below;
        if (count >= cut->least && count <= cut->most) {
            *n_left = count;
            return ESP_OK;
        }
        count = count < cut->least ? cut->least : cut->most;
    }
    *n_left = count;
    return esp_select(trainer, key, points->n, NULL, count, below, &before, err);
}

/* 1 / length of a sum, 0 where it is empty. */
static double inverse_length(double squares) {
    return squares > 0 ? 1 / sqrt(squares) : 0;
}

static double row_squares(const esp_local *local, uint32_t row) {
    double squares = 0;
    for (size_t j = local->ptr[row]; j < local->ptr[row + 1]; j++)
        squares += (double)local->entry[j].value * (double)local->entry[j].value;
    return squares;
}

/* Adds `factor` times a row to a sum. */
static void add_row(const esp_local *local, uint32_t row, double factor, double *sum) {
    for (size_t j = local->ptr[row]; j < local->ptr[row + 1]; j++)
        sum[local->entry[j].id] += factor * (double)local->entry[j].value;
}

/* The first axis: between two different points drawn at random. */
static void seed_axis(const esp_local *local, uint64_t seed, float *axis) {
    uint64_t state = seed;
    const uint32_t left = esp_random_below(&state, local->n_rows);
    uint32_t right = esp_random_below(&state, local->n_rows - 1);
    right += right >= left;
    memset(axis, 0, local->n_ids * sizeof *axis);
    const uint32_t row[2] = {left, right};
    for (int k = 0; k < 2; k++) {
        const double scale = inverse_length(row_squares(local, row[k])) * (k == 0 ? -1 : 1);
        esp_row_add(local->entry + local->ptr[row[k]], local->entry + local->ptr[row[k] + 1],
            (float)scale, axis);
    }
}

/* The axis between the centres: with R and T the sums right and over all,
 * R / |R| - (T - R) / |T - R|. */
static void set_axis(const esp_axis *v, uint32_t n_ids) {
    double right = 0, left = 0;
    for (uint32_t f = 0; f < n_ids; f++) {
        const double rest = v->total[f] - v->right[f];
        right += v->right[f] * v->right[f];
        left += rest * rest;
    }
    const double a = inverse_length(right), b = inverse_length(left);
    for (uint32_t f = 0; f < n_ids; f++)
        v->axis[f] = (float)(a * v->right[f] - b * (v->total[f] - v->right[f]));
}

/* Moves the points of `side` into place: left ones first, both ascending. */
static void part(const esp_points *points, const uint8_t *side, uint32_t *spare) {
    uint32_t *arrays[2] = {points->member, points->weight};
    for (int a = 0; a < 2; a++) {
        uint32_t *array = arrays[a];
        if (array == NULL)
            continue;
        uint32_t left = 0, right = 0;
        for (uint32_t i = 0; i < points->n; i++) {
            if (side[i] != 0)
                spare[right++] = array[i];
            else
                array[left++] = array[i];
        }
        memcpy(array + left, spare, right * sizeof *array);
    }
}

/* Cuts points in two and writes how many went left. */
static esp_status bisect(esp_trainer *trainer, const esp_csr *x, const esp_points *points,
    const esp_cut *cut, uint32_t iterations, uint64_t seed, uint32_t *n_left, esp_error *err) {
    const uint32_t n = points->n;
    if (!cut->by_weight && (cut->count == 0 || cut->count == n)) {
        *n_left = cut->count;
        return ESP_OK;
    }
    ESP_TRY(esp_gather(trainer, x, points->member, n, err));
    const esp_local *local = &trainer->local;
    const size_t ids = local->n_ids;
    uint64_t *key = esp_trainer_room(trainer, ESP_ROOM_SCORE, n, sizeof *key);
    uint8_t *side = esp_trainer_room(trainer, ESP_ROOM_SIDE, n, sizeof *side);
    const esp_axis v = {
        .total = esp_trainer_room(trainer, ESP_ROOM_TOTAL, ids, sizeof *v.total),
        .right = esp_trainer_room(trainer, ESP_ROOM_RIGHT, ids, sizeof *v.right),
        .axis = esp_trainer_room(trainer, ESP_ROOM_AXIS, ids, sizeof *v.axis),
    };
    if (key == NULL || side == NULL || v.total == NULL || v.right == NULL || v.axis == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to cluster %u points", n);
    memset(side, 0, n);
    memset(v.total, 0, ids * sizeof *v.total);
    memset(v.right, 0, ids * sizeof *v.right);
    for (uint32_t i = 0; i < n; i++)
        add_row(local, i, 1, v.total);
    seed_axis(local, seed, v.axis);

    for (uint32_t round = 0; round < iterations; round++) {
        if (round > 0)
            set_axis(&v, local->n_ids);
        for (uint32_t i = 0; i < n; i++) {
            /* + 0: a negative zero is a zero. */
            const float score = esp_row_dot(local->entry + local->ptr[i],
                                    local->entry + local->ptr[i + 1], v.axis) +
                                0.0f;
            key[i] = (uint64_t)esp_float_order(score) << 32 | i;
        }
        uint64_t below = 0;
        ESP_TRY(choose(trainer, points, key, cut, &below, n_left, err));
        uint32_t moved = 0;
        for (uint32_t i = 0; i < n; i++) {
            const uint8_t now = key[i] >= below;
            if (now == side[i])
                continue;
            side[i] = now;
            add_row(local, i, now != 0 ? 1 : -1, v.right);
            moved++;
        }
        if (moved == 0)
            break;
    }
    uint32_t *spare = esp_trainer_room(trainer, ESP_ROOM_PLACE, n, sizeof *spare);
    if (spare == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to cluster %u points", n);
    part(points, side, spare);
    return ESP_OK;
}

/* A piece still to be cut: parts [first, last) over points [begin, end). */
typedef struct esp_piece {
    uint32_t first, last;
    uint32_t begin, end;
} esp_piece;

/* Copies members (and weights, where they differ) ascending by member. */
static esp_status copy_sorted(esp_trainer *trainer, const uint32_t *members, const uint32_t *weight,
    uint32_t n, esp_points *points, esp_error *err) {
    bool equal = true;
    for (uint32_t i = 1; weight != NULL && i < n; i++)
        equal &= weight[i] == weight[0];
    uint32_t *member = esp_trainer_room(trainer, ESP_ROOM_MEMBER, n, sizeof *member);
    uint32_t *place = esp_trainer_room(trainer, ESP_ROOM_PLACE, n, sizeof *place);
    uint32_t *copy = esp_trainer_room(trainer, ESP_ROOM_WEIGHT, n, sizeof *copy);
    if (member == NULL || place == NULL || copy == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to cluster %u points", n);
    for (uint32_t i = 0; i < n; i++) {
        member[i] = members[i];
        place[i] = i;
    }
    ESP_TRY(esp_sort_pairs(trainer, member, place, n, err));
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && member[i] == member[i - 1])
            ESP_FAIL(err, ESP_E_ARGUMENT, "members", place[i], "member %u stands twice", member[i]);
        copy[i] = weight == NULL ? 1 : weight[place[i]];
    }
    *points = (esp_points){.member = member, .weight = equal ? NULL : copy, .n = n};
    return ESP_OK;
}

static esp_status check_split(const esp_trainer *trainer, const esp_csr *points,
    const uint32_t *members, uint32_t n_members, const esp_split_options *options,
    const uint32_t *bounds, esp_error *err) {
    if (trainer == NULL || points == NULL || options == NULL || bounds == NULL ||
        (members == NULL && n_members != 0))
        ESP_FAIL(err, ESP_E_ARGUMENT, "null", 0, "a required argument is NULL");
    if (options->struct_size < sizeof *options)
        ESP_FAIL(err, ESP_E_ARGUMENT, "struct_size", options->struct_size,
            "options of %u bytes, this library needs %zu", options->struct_size, sizeof *options);
    if (options->parts < 2 || options->parts > MAX_PARTS)
        ESP_FAIL(err, ESP_E_ARGUMENT, "parts", options->parts, "%u parts, not 2 to %d",
            options->parts, MAX_PARTS);
    if (options->iterations == 0)
        ESP_FAIL(err, ESP_E_ARGUMENT, "iterations", 0, "no iterations: nothing would be cut");
    return ESP_OK;
}

esp_status esp_cluster_split(esp_trainer *trainer, const esp_csr *points, uint32_t *members,
    const uint32_t *weight, uint32_t n_members, const esp_split_options *options, uint32_t *bounds,
    esp_error *err) {
    ESP_TRY(check_split(trainer, points, members, n_members, options, bounds, err));
    esp_points all = {0};
    ESP_TRY(copy_sorted(trainer, members, weight, n_members, &all, err));

    uint32_t made[MAX_PARTS + 1] = {0};
    made[options->parts] = n_members;
    esp_piece stack[MAX_PARTS];
    uint32_t depth = 0;
    stack[depth++] = (esp_piece){.last = options->parts, .end = n_members};
    while (depth > 0) {
        const esp_piece piece = stack[--depth];
        const uint32_t parts = piece.last - piece.first;
        if (parts == 1)
            continue;
        const uint32_t left = parts / 2;
        const esp_points here = {
            .member = all.member + piece.begin,
            .weight = all.weight == NULL ? NULL : all.weight + piece.begin,
            .n = piece.end - piece.begin,
        };
        const esp_cut cut = plan_cut(&here, left, parts);
        uint64_t seed = options->seed ^ ((uint64_t)piece.first << 32 | piece.last);
        seed = esp_random_next(&seed);
        uint32_t n_left = 0;
        ESP_TRY(bisect(trainer, points, &here, &cut, options->iterations, seed, &n_left, err));
        const uint32_t middle = piece.first + left;
        made[middle] = piece.begin + n_left;
        stack[depth++] = (esp_piece){piece.first, middle, piece.begin, made[middle]};
        stack[depth++] = (esp_piece){middle, piece.last, made[middle], piece.end};
    }
    if (n_members != 0)
        memcpy(members, all.member, n_members * sizeof *members);
    memcpy(bounds, made, (options->parts + 1) * sizeof *bounds);
    return ESP_OK;
}
