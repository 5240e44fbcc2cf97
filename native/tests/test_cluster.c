/* test_cluster.c: facts about esp_cluster_split(). */
#include "test.h"

#include "../include/espalier.h"

#include <math.h>

enum { MAX_POINTS = 400, MAX_COLUMNS = 64, MAX_ENTRIES = 16 * MAX_POINTS };

/* A matrix in static memory, one per test. */
typedef struct cloud {
    esp_csr csr;
    uint64_t ptr[MAX_POINTS + 1];
    uint32_t col[MAX_ENTRIES];
    float val[MAX_ENTRIES];
} cloud;

static cloud made;

static uint64_t random_state;

static uint32_t draw(uint32_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Rows of up to `most` entries at random columns, some rows empty. */
static const esp_csr *random_cloud(uint32_t rows, uint32_t columns, uint32_t most, uint64_t seed) {
    random_state = seed;
    uint64_t used = 0;
    for (uint32_t i = 0; i < rows; i++) {
        made.ptr[i] = used;
        const uint32_t wanted = draw(most + 1);
        for (uint32_t c = 0, left = wanted; c < columns && left > 0; c++)
            if (draw(columns - c) < left) {
                made.col[used] = c;
                made.val[used++] = (float)(1 + draw(1000)) / 1000;
                left--;
            }
    }
    made.ptr[rows] = used;
    made.csr = (esp_csr){made.ptr, made.col, made.val, rows, columns};
    return &made.csr;
}

static esp_trainer *new_trainer(void) {
    esp_trainer *trainer = NULL;
    CHECK(esp_trainer_new(MAX_COLUMNS, &trainer, NULL) == ESP_OK);
    return trainer;
}

static esp_split_options split_options(uint32_t parts, uint64_t seed) {
    return (esp_split_options){
        .struct_size = sizeof(esp_split_options), .parts = parts, .iterations = 20, .seed = seed};
}

static void count_up(uint32_t *members, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        members[i] = i;
}

static esp_status split(const esp_csr *points, uint32_t *members, const uint32_t *weight,
    uint32_t n, uint32_t parts, uint64_t seed, uint32_t *bounds) {
    esp_trainer *trainer = new_trainer();
    const esp_split_options options = split_options(parts, seed);
    esp_error err;
    const esp_status status =
        esp_cluster_split(trainer, points, members, weight, n, &options, bounds, &err);
    esp_trainer_free(trainer);
    return status;
}

/* Are groups a permutation of 0..n-1 with ascending numbers in each? */
static int is_partition(
    const uint32_t *members, uint32_t n, const uint32_t *bounds, uint32_t parts) {
    static uint8_t seen[MAX_POINTS];
    memset(seen, 0, sizeof seen);
    if (bounds[0] != 0 || bounds[parts] != n)
        return 0;
    for (uint32_t p = 0; p < parts; p++) {
        if (bounds[p] > bounds[p + 1])
            return 0;
        for (uint32_t i = bounds[p]; i < bounds[p + 1]; i++) {
            if (members[i] >= n || seen[members[i]]++ != 0)
                return 0;
            if (i > bounds[p] && members[i] <= members[i - 1])
                return 0;
        }
    }
    return 1;
}

static void equal_weights_give_sizes_that_differ_by_at_most_one(void) {
    static const uint32_t sizes[] = {0, 1, 2, 3, 5, 7, 47, 48, 49, 100, 257, MAX_POINTS};
    static const uint32_t parts[] = {2, 3, 7, 16, 100, 255, 256};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            const uint32_t n = sizes[s];
            const esp_csr *points = random_cloud(n, MAX_COLUMNS, 8, 1 + s);
            uint32_t members[MAX_POINTS], bounds[257];
            count_up(members, n);
            CHECK(split(points, members, NULL, n, parts[p], 5, bounds) == ESP_OK);
            CHECK(is_partition(members, n, bounds, parts[p]));
            for (uint32_t g = 0; g < parts[p]; g++) {
                const uint32_t size = bounds[g + 1] - bounds[g];
                CHECK(size == n / parts[p] || size == n / parts[p] + 1);
            }
        }
}

static void two_bundles_of_directions_come_apart(void) {
    /* Even rows point along column 0, odd ones along column 1, with noise. */
    uint64_t used = 0;
    const uint32_t n = 100;
    for (uint32_t i = 0; i < n; i++) {
        made.ptr[i] = used;
        made.col[used] = i % 2;
        made.val[used++] = 1;
        made.col[used] = 2 + i % 7;
        made.val[used++] = 0.3f;
    }
    made.ptr[n] = used;
    made.csr = (esp_csr){made.ptr, made.col, made.val, n, MAX_COLUMNS};
    /* Two seeds of one bundle may end in a worse optimum; half the draws are. */
    uint32_t apart = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint32_t members[MAX_POINTS], bounds[3], even = 0;
        count_up(members, n);
        CHECK(split(&made.csr, members, NULL, n, 2, seed, bounds) == ESP_OK);
        for (uint32_t i = 0; i < bounds[1]; i++)
            even += members[i] % 2 == 0;
        apart += even == 0 || even == bounds[1];
    }
    CHECK(apart >= 10);
}

/* The same bisection written down plainly: dense rows, doubles, qsort. */
typedef struct scored {
    double score;
    uint32_t member;
} scored;

static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return (x->member > y->member) - (x->member < y->member);
}

static double dense[MAX_POINTS][MAX_COLUMNS];

static void scale_to_one(double *v) {
    double squares = 0;
    for (int c = 0; c < MAX_COLUMNS; c++)
        squares += v[c] * v[c];
    for (int c = 0; c < MAX_COLUMNS && squares > 0; c++)
        v[c] /= sqrt(squares);
}

static void expand(const esp_csr *points) {
    memset(dense, 0, sizeof dense);
    for (uint32_t i = 0; i < points->n_rows; i++)
        for (uint64_t j = points->row_ptr[i]; j < points->row_ptr[i + 1]; j++)
            dense[i][points->col[j]] = (double)points->val[j];
}

/* How tight groups are: the sum of the lengths of their sums. */
static double cohesion(const uint32_t *members, const uint32_t *bounds, uint32_t parts) {
    double all = 0;
    for (uint32_t p = 0; p < parts; p++) {
        double sum[MAX_COLUMNS] = {0}, squares = 0;
        for (uint32_t i = bounds[p]; i < bounds[p + 1]; i++)
            for (int c = 0; c < MAX_COLUMNS; c++)
                sum[c] += dense[members[i]][c];
        for (int c = 0; c < MAX_COLUMNS; c++)
            squares += sum[c] * sum[c];
        all += sqrt(squares);
    }
    return all;
}

/* One step of balanced 2-means from the given groups: the left half, sorted. */
static void step(const uint32_t *members, uint32_t n, uint32_t *out) {
    double centre[2][MAX_COLUMNS] = {{0}, {0}};
    scored order[MAX_POINTS];
    for (uint32_t i = 0; i < n; i++)
        for (int c = 0; c < MAX_COLUMNS; c++)
            centre[i >= n / 2][c] += dense[members[i]][c];
    scale_to_one(centre[0]);
    scale_to_one(centre[1]);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = (scored){0, members[i]};
        for (int c = 0; c < MAX_COLUMNS; c++)
            order[i].score += dense[members[i]][c] * (centre[1][c] - centre[0][c]);
    }
    qsort(order, n, sizeof *order, by_score);
    for (uint32_t i = 0; i < n; i++)
        out[i] = order[i].member;
}

static int same_left_half(const uint32_t *a, const uint32_t *b, uint32_t n) {
    static uint8_t left[MAX_POINTS];
    memset(left, 0, sizeof left);
    for (uint32_t i = 0; i < n / 2; i++)
        left[a[i]] = 1;
    for (uint32_t i = 0; i < n / 2; i++)
        if (left[b[i]] == 0)
            return 0;
    return 1;
}

static void the_result_is_a_fixed_point_of_plain_two_means(void) {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        const uint32_t n = 150 + (uint32_t)seed;
        const esp_csr *points = random_cloud(n, MAX_COLUMNS, 6, seed);
        expand(points);
        uint32_t members[MAX_POINTS], bounds[3], next[MAX_POINTS];
        count_up(members, n);
        esp_trainer *trainer = new_trainer();
        esp_split_options options = split_options(2, seed);
        options.iterations = 1000;
        CHECK(
            esp_cluster_split(trainer, points, members, NULL, n, &options, bounds, NULL) == ESP_OK);
        esp_trainer_free(trainer);
        step(members, n, next);
        CHECK(same_left_half(members, next, n));
    }
}

static void every_iteration_is_one_step_of_plain_two_means(void) {
    for (uint32_t rounds = 1; rounds < 5; rounds++) {
        const uint32_t n = 200;
        const esp_csr *points = random_cloud(n, MAX_COLUMNS, 6, rounds);
        expand(points);
        uint32_t before[MAX_POINTS], after[MAX_POINTS], next[MAX_POINTS], bounds[3];
        count_up(before, n);
        count_up(after, n);
        esp_trainer *trainer = new_trainer();
        esp_split_options options = split_options(2, 9);
        options.iterations = rounds;
        CHECK(
            esp_cluster_split(trainer, points, before, NULL, n, &options, bounds, NULL) == ESP_OK);
        options.iterations = rounds + 1;
        CHECK(esp_cluster_split(trainer, points, after, NULL, n, &options, bounds, NULL) == ESP_OK);
        esp_trainer_free(trainer);
        step(before, n, next);
        CHECK(same_left_half(after, next, n));
        CHECK(!same_left_half(after, before, n));
    }
}

static void groups_are_tighter_than_slices_of_the_input(void) {
    const uint32_t n = 300;
    const esp_csr *points = random_cloud(n, MAX_COLUMNS, 6, 3);
    expand(points);
    uint32_t members[MAX_POINTS], bounds[17];
    count_up(members, n);
    CHECK(split(points, members, NULL, n, 16, 1, bounds) == ESP_OK);
    const double after = cohesion(members, bounds, 16);
    count_up(members, n);
    CHECK(after > 1.1 * cohesion(members, bounds, 16));
}

static void weights_are_shared_out_evenly_and_no_group_is_empty(void) {
    for (uint64_t seed = 1; seed < 40; seed++) {
        const uint32_t n = 20 + (uint32_t)seed * 5;
        const esp_csr *points = random_cloud(n, MAX_COLUMNS, 6, seed);
        uint32_t members[MAX_POINTS], weight[MAX_POINTS], bounds[9];
        uint32_t largest = 0, sum = 0;
        count_up(members, n);
        for (uint32_t i = 0; i < n; i++) {
            weight[i] = draw(10) == 0 ? 40 + draw(40) : draw(5);
            largest = weight[i] > largest ? weight[i] : largest;
            sum += weight[i];
        }
        CHECK(split(points, members, weight, n, 2, seed, bounds) == ESP_OK);
        CHECK(is_partition(members, n, bounds, 2));
        uint32_t left = 0;
        for (uint32_t i = 0; i < bounds[1]; i++)
            left += weight[members[i]];
        CHECK(2 * left <= sum + largest && 2 * left + largest + 1 >= sum);
        count_up(members, n);
        CHECK(split(points, members, weight, n, 8, seed, bounds) == ESP_OK);
        CHECK(is_partition(members, n, bounds, 8));
        for (uint32_t g = 0; g < 8; g++)
            CHECK(bounds[g] < bounds[g + 1]);
    }
}

static void one_heavy_member_leaves_the_others_room(void) {
    const esp_csr *points = random_cloud(8, MAX_COLUMNS, 6, 3);
    uint32_t members[8], bounds[9];
    const uint32_t weight[8] = {4000000000u, 1, 1, 4000000000u, 1, 1, 0, 1};
    count_up(members, 8);
    CHECK(split(points, members, weight, 8, 8, 1, bounds) == ESP_OK);
    for (uint32_t g = 0; g < 8; g++)
        CHECK(bounds[g + 1] - bounds[g] == 1);
}

static void equal_weights_and_none_are_the_same(void) {
    const uint32_t n = 133;
    const esp_csr *points = random_cloud(n, MAX_COLUMNS, 6, 8);
    uint32_t plain[MAX_POINTS], weighted[MAX_POINTS], weight[MAX_POINTS], bounds[2][6];
    for (uint32_t w = 0; w < 15; w += 7) {
        count_up(plain, n);
        count_up(weighted, n);
        for (uint32_t i = 0; i < n; i++)
            weight[i] = w;
        CHECK(split(points, plain, NULL, n, 5, 3, bounds[0]) == ESP_OK);
        CHECK(split(points, weighted, weight, n, 5, 3, bounds[1]) == ESP_OK);
        CHECK(memcmp(plain, weighted, n * sizeof *plain) == 0);
        CHECK(memcmp(bounds[0], bounds[1], sizeof bounds[0]) == 0);
    }
}

static void the_order_of_the_members_does_not_matter(void) {
    const uint32_t n = 211;
    const esp_csr *points = random_cloud(n, MAX_COLUMNS, 6, 21);
    uint32_t up[MAX_POINTS], mixed[MAX_POINTS], weight[2][MAX_POINTS], bounds[2][4];
    for (uint32_t i = 0; i < n; i++) {
        up[i] = i;
        weight[0][i] = 1 + i % 9;
        mixed[i] = (i * 100) % n; /* 211 is prime */
    }
    for (uint32_t i = 0; i < n; i++)
        weight[1][i] = weight[0][mixed[i]];
    CHECK(split(points, up, weight[0], n, 3, 3, bounds[0]) == ESP_OK);
    CHECK(split(points, mixed, weight[1], n, 3, 3, bounds[1]) == ESP_OK);
    CHECK(memcmp(up, mixed, n * sizeof *up) == 0);
    CHECK(memcmp(bounds[0], bounds[1], sizeof bounds[0]) == 0);
}

static void empty_and_identical_rows_are_cut_by_number(void) {
    const uint32_t n = 60;
    uint32_t members[MAX_POINTS], bounds[3];
    const esp_csr *points = random_cloud(n, MAX_COLUMNS, 0, 1);
    count_up(members, n);
    CHECK(split(points, members, NULL, n, 2, 1, bounds) == ESP_OK);
    for (uint32_t i = 0; i < n; i++)
        CHECK(members[i] == i);
    for (uint32_t i = 0; i < n; i++) {
        made.ptr[i] = i;
        made.col[i] = 3;
        made.val[i] = -2.5f;
    }
    made.ptr[n] = n;
    CHECK(split(&made.csr, members, NULL, n, 2, 1, bounds) == ESP_OK);
    CHECK(is_partition(members, n, bounds, 2));
    CHECK(bounds[1] == n / 2);
}

static void a_seed_decides_and_a_used_trainer_does_not(void) {
    const uint32_t n = 300;
    const esp_csr *points = random_cloud(n, MAX_COLUMNS, 5, 77);
    uint32_t first[MAX_POINTS], again[MAX_POINTS], other[MAX_POINTS], bounds[17];
    esp_trainer *trainer = new_trainer();
    esp_split_options options = split_options(16, 1);
    count_up(first, n);
    count_up(again, n);
    count_up(other, n);
    CHECK(esp_cluster_split(trainer, points, first, NULL, n, &options, bounds, NULL) == ESP_OK);
    options.seed = 2;
    CHECK(esp_cluster_split(trainer, points, other, NULL, n, &options, bounds, NULL) == ESP_OK);
    options.seed = 1;
    CHECK(esp_cluster_split(trainer, points, again, NULL, n, &options, bounds, NULL) == ESP_OK);
    CHECK(memcmp(first, again, n * sizeof *first) == 0);
    CHECK(memcmp(first, other, n * sizeof *first) != 0);
    esp_trainer_free(trainer);
}

static void bad_arguments_are_named_and_change_nothing(void) {
    const uint32_t n = 50;
    random_cloud(n, MAX_COLUMNS, 6, 1);
    esp_csr bad = made.csr;
    uint32_t members[MAX_POINTS], bounds[257] = {7, 7, 7};
    count_up(members, n);
    esp_trainer *trainer = new_trainer();
    esp_error err;
    esp_split_options options = split_options(2, 1);
#define REFUSED(name)                                                                   \
    CHECK(esp_cluster_split(trainer, &bad, members, NULL, n, &options, bounds, &err) == \
          ESP_E_ARGUMENT);                                                              \
    CHECK(strcmp(err.check, name) == 0);                                                \
    CHECK(bounds[0] == 7 && bounds[2] == 7)
    options.parts = 1;
    REFUSED("parts");
    options.parts = 257;
    REFUSED("parts");
    options = split_options(2, 1);
    options.struct_size = 8;
    REFUSED("struct_size");
    options = split_options(2, 1);
    options.iterations = 0;
    REFUSED("iterations");
    options = split_options(2, 1);
    members[3] = members[40];
    REFUSED("members");
    members[3] = n;
    REFUSED("row");
    members[3] = 3;
    bad.n_cols = MAX_COLUMNS + 1;
    REFUSED("n_cols");
    bad.n_cols = 1;
    made.ptr[1] = 0, made.ptr[2] = 1, made.col[0] = 1;
    for (uint32_t i = 2; i < n; i++)
        made.ptr[i + 1] = 1;
    REFUSED("column");
    made.col[0] = 0, made.val[0] = NAN;
    REFUSED("value");
    made.ptr[n / 2] = 2;
    REFUSED("row_ptr");
#undef REFUSED
    /* A refused matrix leaves the trainer as good as new. */
    random_cloud(n, MAX_COLUMNS, 6, 1);
    uint32_t fresh[MAX_POINTS];
    count_up(fresh, n);
    CHECK(split(&made.csr, fresh, NULL, n, 2, 1, bounds) == ESP_OK);
    CHECK(
        esp_cluster_split(trainer, &made.csr, members, NULL, n, &options, bounds, NULL) == ESP_OK);
    CHECK(memcmp(members, fresh, n * sizeof *fresh) == 0);
    esp_trainer_free(trainer);
}

static void any_allocation_may_fail(void) {
    const uint32_t n = 120;
    const esp_csr *points = random_cloud(n, MAX_COLUMNS, 6, 1);
    uint32_t members[MAX_POINTS], bounds[5];
    esp_split_options options = split_options(4, 1);
    count_up(members, n);
    esp_status status = ESP_E_MEMORY;
    long at = 0;
    for (; status != ESP_OK && at < 1000; at++) {
        esp_trainer *trainer = NULL;
        test_allocations_left = at;
        status = esp_trainer_new(MAX_COLUMNS, &trainer, NULL);
        if (status == ESP_OK)
            status = esp_cluster_split(trainer, points, members, NULL, n, &options, bounds, NULL);
        test_allocations_left = -1;
        CHECK(status == ESP_OK || status == ESP_E_MEMORY);
        if (status != ESP_OK && trainer != NULL) { /* and then it works */
            uint32_t others[MAX_POINTS];
            count_up(others, n);
            CHECK(esp_cluster_split(trainer, points, others, NULL, n, &options, bounds, NULL) ==
                  ESP_OK);
        }
        esp_trainer_free(trainer);
    }
    CHECK(at > 10 && status == ESP_OK);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(equal_weights_give_sizes_that_differ_by_at_most_one);
    TEST(two_bundles_of_directions_come_apart);
    TEST(the_result_is_a_fixed_point_of_plain_two_means);
    TEST(every_iteration_is_one_step_of_plain_two_means);
    TEST(groups_are_tighter_than_slices_of_the_input);
    TEST(weights_are_shared_out_evenly_and_no_group_is_empty);
    TEST(one_heavy_member_leaves_the_others_room);
    TEST(equal_weights_and_none_are_the_same);
    TEST(the_order_of_the_members_does_not_matter);
    TEST(empty_and_identical_rows_are_cut_by_number);
    TEST(a_seed_decides_and_a_used_trainer_does_not);
    TEST(bad_arguments_are_named_and_change_nothing);
    TEST(any_allocation_may_fail);
    return TEST_END();
}
