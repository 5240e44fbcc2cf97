/* test_candidates.c: what a query considers, each text once. */
#include "test.h"

#include "../src/candidates.h"

enum { CAP = 300 };

static esp_candidate *add(esp_candidates *set, const char *text, uint32_t label, uint32_t source) {
    return esp_candidates_add(set, (const uint8_t *)text, (uint32_t)strlen(text), label, source);
}

static esp_candidate *find(const esp_candidates *set, const char *text) {
    return esp_candidates_find(set, (const uint8_t *)text, (uint32_t)strlen(text));
}

static void a_text_is_there_once_and_knows_who_found_it(void) {
    esp_candidates set = {0};
    CHECK(esp_candidates_alloc(&set, CAP));
    esp_candidates_clear(&set);
    esp_candidate *red = add(&set, "red", 7, ESP_SOURCE_POPULAR);
    CHECK(red != NULL && red->label == 7 && set.n == 1);
    CHECK(add(&set, "red", 8, ESP_SOURCE_TAIL) == red && set.n == 1);
    CHECK(red->source == ESP_SOURCE_POPULAR && red->label == 7);
    CHECK(red->sources == (ESP_SOURCE_POPULAR | ESP_SOURCE_TAIL));
    CHECK(find(&set, "red") == red);
    CHECK(find(&set, "re") == NULL && find(&set, "redd") == NULL && find(&set, "") == NULL);
    CHECK(add(&set, "", 9, ESP_SOURCE_MODEL) == find(&set, ""));
    esp_candidates_free(&set);
}

static void a_full_set_still_finds(void) {
    static char text[CAP + 50][8];
    esp_candidates set = {0};
    CHECK(esp_candidates_alloc(&set, CAP));
    for (int round = 0; round < 3; round++) {
        esp_candidates_clear(&set);
        CHECK(set.n == 0);
        for (uint32_t i = 0; i < CAP + 50; i++) {
            snprintf(text[i], sizeof text[i], "q%u", i * 3 + (uint32_t)round);
            const esp_candidate *made = add(&set, text[i], i, ESP_SOURCE_MODEL);
            CHECK(i < CAP ? made != NULL && made->label == i : made == NULL);
        }
        for (uint32_t i = 0; i < CAP + 50; i++) {
            const esp_candidate *there = find(&set, text[i]);
            CHECK(i < CAP ? there == &set.item[i] : there == NULL);
        }
        CHECK(add(&set, text[5], 0, ESP_SOURCE_TAIL) == &set.item[5]);
    }
    esp_candidates_free(&set);
}

/* Stamps tell the queries apart; after 2^32 of them they begin anew. */
static void old_queries_are_forgotten_for_ever(void) {
    esp_candidates set = {0};
    CHECK(esp_candidates_alloc(&set, 4));
    esp_candidates_clear(&set);
    add(&set, "first", 1, ESP_SOURCE_MODEL);
    CHECK(set.stamp == 1);
    set.stamp = UINT32_MAX;
    add(&set, "last", 2, ESP_SOURCE_MODEL);
    esp_candidates_clear(&set);
    CHECK(set.stamp == 1 && find(&set, "first") == NULL && find(&set, "last") == NULL);
    esp_candidates_free(&set);
}

static void without_memory_there_is_no_set(void) {
    for (long left = 0; left < 3; left++) {
        esp_candidates set = {0};
        test_allocations_left = left;
        CHECK(!esp_candidates_alloc(&set, CAP));
        test_allocations_left = -1;
        esp_candidates_free(&set);
    }
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(a_text_is_there_once_and_knows_who_found_it);
    TEST(a_full_set_still_finds);
    TEST(old_queries_are_forgotten_for_ever);
    TEST(without_memory_there_is_no_set);
    return TEST_END();
}
