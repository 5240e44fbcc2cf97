/* test_threads.c: one index, many threads, a scratch each: the same answers as
 * one thread gives.  Run under ThreadSanitizer. */
#include "test.h"

#include "small_index.h"

#include <pthread.h>

enum { THREADS = 8, ROUNDS = 120, K = 20 };

static small_index made;

typedef struct answer {
    uint32_t label[K];
    float score[K];
    size_t count;
} answer;

static answer expected[ROUNDS];

static void ask(esp_scratch *scratch, uint32_t round, answer *to) {
    uint64_t random = round;
    char prefix[4] = {
        'a', (char)('a' + small_draw(&random, 8)), (char)('a' + small_draw(&random, 26)), '\0'};
    prefix[small_draw(&random, 4)] = '\0';
    const esp_text previous = {(const uint8_t *)"aab de", 6};
    const esp_query query = {.struct_size = sizeof query,
        .prefix = {(const uint8_t *)prefix, strlen(prefix)},
        .previous = &previous,
        .n_previous = round % 2,
        .k = K,
        .beam = 1 + round % 9,
        .matcher = 1 + round % 2};
    esp_suggestion out[K];
    memset(to, 0, sizeof *to);
    CHECK(esp_complete(made.index, scratch, &query, out, K, &to->count, NULL) == ESP_OK);
    for (size_t i = 0; i < to->count; i++) {
        to->label[i] = out[i].label;
        to->score[i] = out[i].score;
    }
}

static void *hammer(void *argument) {
    const uint32_t start = *(const uint32_t *)argument;
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    for (uint32_t i = 0; i < 2 * ROUNDS; i++) {
        const uint32_t round = (start + i * 7) % ROUNDS;
        answer found;
        ask(scratch, round, &found);
        CHECK(found.count == expected[round].count);
        CHECK(memcmp(found.label, expected[round].label, sizeof found.label) == 0);
        CHECK(memcmp(found.score, expected[round].score, sizeof found.score) == 0);
        if (i % 40 == 0)
            CHECK(esp_index_verify(made.index, NULL) == ESP_OK);
    }
    esp_scratch_free(scratch);
    return NULL;
}

static void threads_agree(void) {
    made = small_make(SMALL_PAIRS, ESP_POST_L3_HINGE, 16);
    esp_scratch *scratch = NULL;
    CHECK(esp_scratch_new(made.index, NULL, &scratch, NULL) == ESP_OK);
    for (uint32_t round = 0; round < ROUNDS; round++)
        ask(scratch, round, &expected[round]);
    esp_scratch_free(scratch);
    pthread_t threads[THREADS];
    uint32_t starts[THREADS];
    for (uint32_t t = 0; t < THREADS; t++) {
        starts[t] = t * 13;
        CHECK(pthread_create(&threads[t], NULL, hammer, &starts[t]) == 0);
    }
    for (uint32_t t = 0; t < THREADS; t++)
        CHECK(pthread_join(threads[t], NULL) == 0);
    small_free(&made);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(threads_agree);
    return TEST_END();
}
