/* test_context.c: the words of a session. */
#include "test.h"

#include "../src/context.h"
#include "small_words.h"

static const char *const WORDS[] = {"blue", "red", "shoe", "shoes"};

static esp_context context;

static void fill(const small_words *made, const char *const *queries, uint32_t n,
    const uint32_t *age, float decay, float half_life) {
    esp_text text[40];
    for (uint32_t i = 0; i < n; i++)
        text[i] = small_text(queries[i]);
    esp_context_fill(&context, &made->words, text, age, n, decay, half_life);
}

static uint32_t find(const char *word) {
    const esp_text text = small_text(word);
    return esp_context_find(
        &context, text.data, (uint32_t)text.length, esp_word_hash(text.data, (size_t)text.length));
}

static void queries_are_cut_into_distinct_words(void) {
    small_words made = small_words_make(WORDS, 4, NULL, 0);
    fill(&made, (const char *const[]){"red shoes", "shoes  from mars ", ""}, 3, NULL, 0.5f, 0);
    CHECK(context.n_queries == 3 && context.n_own == 4 && context.n_words == 4);
    CHECK(find("red") == 0 && find("shoes") == 1 && find("from") == 2 && find("mars") == 3);
    CHECK(find("shoe") == ESP_NOT_THERE && find("") == ESP_NOT_THERE);
    CHECK(context.begin[0] == 0 && context.begin[1] == 2 && context.begin[2] == 5);
    CHECK(context.begin[3] == 5 && context.token[2] == 1);
    CHECK(context.word[0].word == 1 && context.word[1].word == 3);
    CHECK(context.word[3].word == ESP_NO_WORD);
    CHECK(esp_context_find_word(&context, 3) == 1);
    CHECK(esp_context_find_word(&context, 0) == ESP_NOT_THERE);
    /* Half for every query further back, and a word counts wherever it stands. */
    CHECK(context.word[0].weight == 1 && context.word[1].weight == 1.5f);
    CHECK(context.word[3].weight == 0.5f && context.query_weight[2] == 0.25f);
    small_words_free(&made);
}

static void a_query_fades_with_its_age(void) {
    small_words made = small_words_make(WORDS, 4, NULL, 0);
    const uint32_t age[] = {0, 100, 4000000000u};
    const char *const queries[] = {"red", "blue", "shoe"};
    fill(&made, queries, 3, age, 1, 100);
    CHECK(context.word[0].weight == 1 && context.word[1].weight == 0.5f);
    CHECK(context.word[2].weight == 0 && context.trust == 1);
    fill(&made, queries, 3, NULL, 1, 100);
    CHECK(context.word[2].weight == 1 && context.trust == 1);
    fill(&made, queries, 3, age, 1, 0);
    CHECK(context.word[2].weight == 1);
    small_words_free(&made);
}

/* What is old in all of the session is taken from the session as a whole. */
static void an_old_session_counts_less_as_a_whole(void) {
    small_words made = small_words_make(WORDS, 4, NULL, 0);
    const uint32_t age[] = {100, 200, 4000000000u};
    const char *const queries[] = {"red", "blue", "shoe"};
    fill(&made, queries, 2, age, 1, 100);
    CHECK(context.trust == 0.5f);
    CHECK(context.word[0].weight == 1 && context.word[1].weight == 0.5f);
    CHECK(esp_context_fresh(age, 3, 100) == 2 && esp_context_fresh(age, 3, 0) == 3);
    CHECK(esp_context_fresh(NULL, 3, 100) == 3 && esp_context_fresh(age, 3, 1) == 0);
    fill(&made, queries, 3, age, 1, 1e-3f);
    CHECK(context.trust > 0 && context.word[0].weight == 0);
    small_words_free(&made);
}

/* Distinct words beyond 40, queries beyond 8, words in all beyond 128: not looked at. */
static void a_session_has_limits(void) {
    small_words made = small_words_make(WORDS, 4, NULL, 0);
    static char text[40][600];
    const char *queries[40];
    for (uint32_t i = 0; i < 40; i++) {
        text[i][0] = '\0';
        for (uint32_t w = 0; w < 12; w++)
            snprintf(text[i] + strlen(text[i]), 20, " w%u", i * 12 + w);
        queries[i] = text[i];
    }
    fill(&made, queries, 40, NULL, 0.5f, 0);
    CHECK(context.n_queries == ESP_CONTEXT_QUERIES && context.n_own == ESP_CONTEXT_OWN);
    CHECK(context.begin[4] == 40 && context.begin[8] == 40);
    /* What was said before that counts on: the words of older queries it has already. */
    queries[5] = "w3 w40 w4";
    fill(&made, queries, 40, NULL, 0.5f, 0);
    CHECK(context.begin[6] == 41 && context.token[40] == 3);
    CHECK(context.word[3].weight == 1 + 0.03125f && context.word[4].weight == 1);
    text[0][0] = '\0';
    for (uint32_t i = 0; i < 200; i++)
        strcat(text[0], "a b ");
    queries[0] = text[0];
    fill(&made, queries, 2, NULL, 0.5f, 0);
    CHECK(context.begin[1] == ESP_CONTEXT_TOKENS && context.begin[2] == ESP_CONTEXT_TOKENS);
    CHECK(context.n_own == 2);
    small_words_free(&made);
}

/* Related words join the session's until there are 64; all are found again. */
static void words_are_found_until_there_is_no_room(void) {
    small_words made = small_words_make(WORDS, 4, NULL, 0);
    static char text[100][8];
    fill(&made, (const char *const[]){"red"}, 1, NULL, 0.5f, 0);
    for (uint32_t i = 0; i < 100; i++) {
        const int length = snprintf(text[i], sizeof text[i], "x%u", i);
        const uint32_t number = esp_context_add(
            &context, &made.words, (const uint8_t *)text[i], (uint32_t)length, ESP_CONTEXT_WORDS);
        CHECK(number == (i + 1 < ESP_CONTEXT_WORDS ? i + 1 : ESP_NOT_THERE));
    }
    CHECK(context.n_words == ESP_CONTEXT_WORDS && context.n_own == 1);
    for (uint32_t i = 0; i < 100; i++)
        CHECK(find(text[i]) == (i + 1 < ESP_CONTEXT_WORDS ? i + 1 : ESP_NOT_THERE));
    /* One that is there is found, whatever the limit. */
    CHECK(esp_context_add(&context, &made.words, (const uint8_t *)"red", 3, 0) == 0);
    small_words_free(&made);
}

static void a_form_uses_up_the_word_it_is_a_form_of(void) {
    small_words made = small_words_make(WORDS, 4, NULL, 0);
    fill(&made, (const char *const[]){"red shoe"}, 1, NULL, 0.5f, 0);
    CHECK(esp_context_bits(&context, ESP_NOT_THERE) == 0);
    CHECK(esp_context_bits(&context, 1) == 2);
    const uint32_t form =
        esp_context_add(&context, &made.words, (const uint8_t *)"shoes", 5, ESP_CONTEXT_WORDS);
    context.word[form].like = 1;
    CHECK(esp_context_bits(&context, form) == 6);
    small_words_free(&made);
}

static void words_of_any_length_are_words(void) {
    static uint8_t text[10000];
    small_words made = small_words_make(WORDS, 4, NULL, 0);
    memset(text, 'x', sizeof text);
    const esp_text one = {text, sizeof text};
    esp_context_fill(&context, &made.words, &one, NULL, 1, 0.5f, 0);
    CHECK(context.n_own == 1 && context.word[0].length == sizeof text);
    CHECK(context.word[0].word == ESP_NO_WORD);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = ' ';
    esp_context_fill(&context, &made.words, &one, NULL, 1, 0.5f, 0);
    CHECK(context.n_own == 1 && context.begin[1] == ESP_CONTEXT_TOKENS);
    small_words_free(&made);
}

static void spaces_part_words(void) {
    const esp_text text = small_text("  two  words ");
    size_t at = 0;
    const uint8_t *word = NULL;
    uint32_t length = 0;
    CHECK(esp_next_word(text.data, (size_t)text.length, &at, &word, &length));
    CHECK(length == 3 && memcmp(word, "two", 3) == 0);
    CHECK(esp_next_word(text.data, (size_t)text.length, &at, &word, &length));
    CHECK(length == 5 && memcmp(word, "words", 5) == 0);
    CHECK(!esp_next_word(text.data, (size_t)text.length, &at, &word, &length));
    at = 0;
    CHECK(!esp_next_word(NULL, 0, &at, &word, &length));
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(queries_are_cut_into_distinct_words);
    TEST(a_query_fades_with_its_age);
    TEST(an_old_session_counts_less_as_a_whole);
    TEST(a_session_has_limits);
    TEST(words_are_found_until_there_is_no_room);
    TEST(a_form_uses_up_the_word_it_is_a_form_of);
    TEST(words_of_any_length_are_words);
    TEST(spaces_part_words);
    return TEST_END();
}
