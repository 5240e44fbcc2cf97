/* test_trie.c: prefix ranges and popular labels against looking at every label. */
#include "test.h"

#include "../src/maxima.h"
#include "../src/trie.h"

enum { MOST = 3000, LONGEST = 24 };

typedef struct text {
    uint8_t data[LONGEST];
    uint32_t length;
} text;

static text texts[MOST];
static uint32_t n_texts;
static uint8_t blob[MOST * LONGEST];
static uint32_t offsets[MOST + 1];
static uint64_t starts[MOST + 1];
static uint32_t users[MOST];

static int compare(const void *a, const void *b) {
    const text *x = a;
    const text *y = b;
    const int order = memcmp(x->data, y->data, x->length < y->length ? x->length : y->length);
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

/* Sorted distinct texts over `letters` bytes, with up to `shared` bytes in
 * common, as an index with nothing but labels. */
static esp_index random_labels(uint32_t n, uint32_t letters, uint32_t longest, uint32_t shared,
    uint64_t seed, esp_params *params, uint8_t **trie, uint8_t **maxima) {
    for (uint32_t i = 0; i < n; i++) {
        text *at = &texts[i];
        *at = (text){.length = shared};
        memset(at->data, 'q', shared);
        const uint32_t more = 1 + (uint32_t)(esp_random_next(&seed) >> 40) % longest;
        while (at->length < shared + more)
            at->data[at->length++] = (uint8_t)(255 - (esp_random_next(&seed) >> 40) % letters);
    }
    qsort(texts, n, sizeof *texts, compare);
    n_texts = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (n_texts > 0 && compare(&texts[n_texts - 1], &texts[i]) == 0)
            continue;
        memcpy(blob + at, texts[i].data, texts[i].length);
        offsets[n_texts] = at;
        starts[n_texts] = at;
        users[n_texts] = (uint32_t)(esp_random_next(&seed) >> 40) % 20;
        at += texts[i].length;
        texts[n_texts++] = texts[i];
    }
    offsets[n_texts] = at;
    starts[n_texts] = at;
    size_t bytes = 0;
    size_t maxima_bytes = 0;
    CHECK(esp_trie_build(blob, starts, n_texts, trie, &bytes, NULL) == ESP_OK);
    CHECK(esp_maxima_build(users, n_texts, maxima, &maxima_bytes, NULL) == ESP_OK);
    params->n_labels = n_texts;
    return (esp_index){.params = params,
        .label_offset = offsets,
        .label_text = {blob, at},
        .trie = (const void *)*trie,
        .n_trie = (uint32_t)(bytes / sizeof(esp_trie_node)),
        .users = users,
        .maxima = (const void *)*maxima};
}

static void check_range(const esp_index *index, const uint8_t *prefix, size_t length) {
    uint32_t lo = 0;
    uint32_t hi = 0;
    uint32_t first = n_texts;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n_texts; i++)
        if (texts[i].length >= length && memcmp(texts[i].data, prefix, length) == 0) {
            first = count == 0 ? i : first;
            count++;
        }
    CHECK(esp_trie_range(index, prefix, length, &lo, &hi, NULL) == ESP_OK);
    CHECK(hi - lo == count && (count == 0 || lo == first));
}

static void check_labels(
    uint32_t n, uint32_t letters, uint32_t longest, uint32_t shared, uint64_t seed) {
    esp_params params = {0};
    uint8_t *trie = NULL;
    uint8_t *maxima = NULL;
    const esp_index index =
        random_labels(n, letters, longest, shared, seed, &params, &trie, &maxima);
    esp_error err = {0};
    CHECK(esp_trie_validate(&index, &err) == ESP_OK);
    CHECK(esp_maxima_validate(&index, NULL) == ESP_OK);
    uint8_t prefix[LONGEST];
    for (uint32_t i = 0; i < n_texts; i += 1 + n_texts / 150) {
        for (uint32_t length = 0; length <= texts[i].length; length++) {
            check_range(&index, texts[i].data, length);
            memcpy(prefix, texts[i].data, length);
            if (length > 0) {
                prefix[length - 1] = (uint8_t)(prefix[length - 1] + 1);
                check_range(&index, prefix, length);
                prefix[length - 1] = (uint8_t)(prefix[length - 1] - 2);
                check_range(&index, prefix, length);
            }
        }
    }
    esp_buffer_free(trie);
    esp_buffer_free(maxima);
}

static void ranges_are_those_of_a_scan(void) {
    check_labels(1, 2, 3, 0, 1);
    check_labels(16, 2, 8, 0, 2);
    check_labels(17, 2, 8, 0, 3);
    check_labels(MOST, 2, 12, 0, 4);
    check_labels(MOST, 3, 8, 9, 5);
    check_labels(MOST, 250, 2, 0, 6); /* 250 children a node */
    check_labels(600, 26, 3, 20, 7);
}

static void no_labels_have_no_trie(void) {
    uint8_t *trie = NULL;
    size_t bytes = 1;
    const uint64_t none[1] = {0};
    CHECK(esp_trie_build(NULL, none, 0, &trie, &bytes, NULL) == ESP_OK && bytes == 0);
    const esp_params params = {0};
    const esp_index index = {.params = &params, .trie = (const void *)trie};
    uint32_t lo = 9;
    uint32_t hi = 9;
    CHECK(esp_trie_range(&index, (const uint8_t *)"a", 1, &lo, &hi, NULL) == ESP_OK);
    CHECK(lo == 0 && hi == 0);
    CHECK(esp_trie_validate(&index, NULL) == ESP_OK);
    esp_buffer_free(trie);
}

static void labels_must_be_sorted_and_distinct(void) {
    const uint64_t three[4] = {0, 1, 2, 3};
    const uint64_t falling[3] = {0, 2, 1};
    uint8_t *trie = NULL;
    size_t bytes = 0;
    esp_error err = {0};
    CHECK(esp_trie_build((const uint8_t *)"acb", three, 3, &trie, &bytes, &err) == ESP_E_ARGUMENT);
    CHECK(err.offset == 2);
    CHECK(esp_trie_build((const uint8_t *)"aab", three, 3, &trie, &bytes, &err) == ESP_E_ARGUMENT);
    CHECK(err.offset == 1);
    CHECK(esp_trie_build((const uint8_t *)"ab", falling, 2, &trie, &bytes, &err) == ESP_E_ARGUMENT);
    CHECK(trie == NULL);
}

/* A trie node counts shared bytes in 16 bits; longer ones stay a bucket. */
static void very_long_common_beginnings_work(void) {
    enum { N = 20, SHARED = 70000 };
    uint8_t *long_blob = malloc((size_t)N * (SHARED + 1));
    uint64_t long_starts[N + 1];
    uint32_t long_offsets[N + 1];
    memset(long_blob, 'x', (size_t)N * (SHARED + 1));
    for (uint32_t i = 0; i <= N; i++) {
        long_starts[i] = (uint64_t)i * (SHARED + 1);
        long_offsets[i] = (uint32_t)long_starts[i];
        if (i < N)
            long_blob[long_starts[i] + SHARED] = (uint8_t)('a' + i);
    }
    uint8_t *trie = NULL;
    size_t bytes = 0;
    CHECK(esp_trie_build(long_blob, long_starts, N, &trie, &bytes, NULL) == ESP_OK);
    const esp_params params = {.n_labels = N};
    const esp_index index = {.params = &params,
        .label_offset = long_offsets,
        .label_text = {long_blob, (uint64_t)N * (SHARED + 1)},
        .trie = (const void *)trie,
        .n_trie = (uint32_t)(bytes / sizeof(esp_trie_node))};
    uint32_t lo = 0;
    uint32_t hi = 0;
    CHECK(
        esp_trie_range(&index, long_blob + 3 * (SHARED + 1), SHARED + 1, &lo, &hi, NULL) == ESP_OK);
    CHECK(lo == 3 && hi == 4);
    CHECK(esp_trie_range(&index, long_blob, SHARED, &lo, &hi, NULL) == ESP_OK);
    CHECK(lo == 0 && hi == N);
    CHECK(esp_trie_validate(&index, NULL) == ESP_OK);
    free(long_blob);
    esp_buffer_free(trie);
}

/* A trie that lost a branch still has plausible nodes; its labels betray it. */
static void a_missing_branch_is_found(void) {
    esp_params params = {0};
    uint8_t *trie = NULL;
    uint8_t *maxima = NULL;
    esp_index index = random_labels(400, 5, 6, 0, 8, &params, &trie, &maxima);
    esp_trie_node *nodes = (void *)trie;
    CHECK(nodes[0].n_children == 5);
    esp_error err = {0};
    const esp_trie_node kept = nodes[3];
    nodes[3].lo += 1; /* its first label now counts to the sibling before */
    CHECK(esp_trie_validate(&index, &err) == ESP_E_CORRUPT && strcmp(err.check, "T4") == 0);
    nodes[3] = kept;
    nodes[1].lo += 1; /* a label before all children that does not end there */
    CHECK(esp_trie_validate(&index, &err) == ESP_E_CORRUPT && strcmp(err.check, "T4") == 0);
    nodes[1].lo -= 1;
    nodes[0].depth += 1;
    CHECK(esp_trie_validate(&index, &err) == ESP_E_CORRUPT && strcmp(err.check, "T4") == 0);
    nodes[0].depth -= 1;
    CHECK(esp_trie_validate(&index, &err) == ESP_OK);
    esp_buffer_free(trie);
    esp_buffer_free(maxima);
}

static bool more_popular(const uint32_t *value, uint32_t a, uint32_t b) {
    return value[a] > value[b] || (value[a] == value[b] && a < b);
}

static void check_ranking(esp_popularity by, uint32_t lo, uint32_t hi) {
    enum { CAP = MOST + 2 };
    static esp_range heap[CAP];
    static bool seen[MOST];
    esp_ranking ranking = {.heap = heap, .cap = CAP};
    uint32_t label = 0;
    uint32_t before = 0;
    uint32_t count = 0;
    memset(seen, 0, sizeof seen);
    esp_ranking_start(&ranking, by, lo, hi);
    while (esp_ranking_next(&ranking, &label)) {
        CHECK(label >= lo && label < hi && !seen[label]);
        CHECK(count == 0 || more_popular(by.value, before, label));
        seen[label] = true;
        before = label;
        count++;
    }
    CHECK(count == hi - lo);
}

static void popularity_is_a_sort_of_any_range(void) {
    esp_params params = {0};
    uint8_t *trie = NULL;
    uint8_t *maxima = NULL;
    const esp_index index = random_labels(MOST, 20, 4, 0, 9, &params, &trie, &maxima);
    uint64_t seed = 10;
    for (int i = 0; i < 60; i++) {
        uint32_t lo = (uint32_t)(esp_random_next(&seed) >> 40) % (n_texts + 1);
        uint32_t hi = (uint32_t)(esp_random_next(&seed) >> 40) % (n_texts + 1);
        check_ranking(esp_popularity_now(&index), esp_min_u32(lo, hi), esp_max_u32(lo, hi));
    }
    check_ranking(esp_popularity_users(&index), 0, n_texts);
    check_ranking(esp_popularity_users(&index), 64, 128);
    check_ranking(esp_popularity_users(&index), 63, 193);
    esp_buffer_free(trie);
    esp_buffer_free(maxima);
}

/* An index may count users and, beside them, how many of them are recent. */
static void decayed_popularity_has_an_order_of_its_own(void) {
    static uint32_t recent[MOST];
    esp_params params = {0};
    uint8_t *trie = NULL;
    uint8_t *maxima = NULL;
    uint8_t *recent_maxima = NULL;
    size_t bytes = 0;
    esp_index index = random_labels(MOST, 20, 4, 0, 13, &params, &trie, &maxima);
    for (uint32_t i = 0; i < n_texts; i++)
        recent[i] = (users[i] << 10) >> (i % 13);
    CHECK(esp_maxima_build(recent, n_texts, &recent_maxima, &bytes, NULL) == ESP_OK);
    index.recent = recent;
    index.recent_maxima = (const void *)recent_maxima;
    CHECK(esp_maxima_validate(&index, NULL) == ESP_OK);
    CHECK(esp_popularity_now(&index).value == recent);
    check_ranking(esp_popularity_now(&index), 0, n_texts);
    check_ranking(esp_popularity_users(&index), 0, n_texts);
    esp_error err = {0};
    recent[0] = UINT32_MAX;
    CHECK(esp_maxima_validate(&index, &err) == ESP_E_CORRUPT && strcmp(err.check, "R2") == 0);
    esp_buffer_free(trie);
    esp_buffer_free(maxima);
    esp_buffer_free(recent_maxima);
}

static void damaged_maxima_stay_inside_the_range(void) {
    esp_params params = {0};
    uint8_t *trie = NULL;
    uint8_t *maxima = NULL;
    const esp_index index = random_labels(MOST, 20, 4, 0, 11, &params, &trie, &maxima);
    const esp_maxima_header *head = (const void *)maxima;
    uint32_t *table = (void *)(maxima + sizeof *head);
    uint64_t seed = 12;
    for (uint32_t i = 0; i < head->n_blocks * head->n_levels; i++)
        table[i] = (uint32_t)esp_random_next(&seed);
    CHECK(esp_maxima_validate(&index, NULL) == ESP_E_CORRUPT);
    static esp_range heap[MOST + 2];
    esp_ranking ranking = {.heap = heap, .cap = MOST + 2};
    uint32_t label = 0;
    uint32_t count = 0;
    esp_ranking_start(&ranking, esp_popularity_users(&index), 5, n_texts - 5);
    while (esp_ranking_next(&ranking, &label)) {
        CHECK(label >= 5 && label < n_texts - 5);
        count++;
    }
    CHECK(count == n_texts - 10);
    esp_buffer_free(trie);
    esp_buffer_free(maxima);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(ranges_are_those_of_a_scan);
    TEST(no_labels_have_no_trie);
    TEST(labels_must_be_sorted_and_distinct);
    TEST(very_long_common_beginnings_work);
    TEST(a_missing_branch_is_found);
    TEST(popularity_is_a_sort_of_any_range);
    TEST(decayed_popularity_has_an_order_of_its_own);
    TEST(damaged_maxima_stay_inside_the_range);
    return TEST_END();
}
