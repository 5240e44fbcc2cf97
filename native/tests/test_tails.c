/* test_tails.c: completions put together from words. */
#include "test.h"

#include <math.h>

#include "../src/tails.h"
#include "small_words.h"

/*      0       1       2       3        4 */
static const char *const WORDS[] = {"blue", "red", "shoe", "shoes", "suede"};
enum { BLUE, RED, SHOE, SHOES, SUEDE, END };
static const small_pair PAIRS[] = {
    {BLUE, SUEDE, 5}, {RED, SHOES, 10}, {RED, END, 30}, {SHOES, END, 2}, {SUEDE, SHOES, 1}};

static small_words made;
static esp_context context;
static esp_typed typed;
static esp_steps steps;
static esp_tails tails;
static esp_text asked;

static void generate(const char *prefix, const char *const *queries, uint32_t n) {
    esp_text text[8];
    for (uint32_t i = 0; i < n; i++)
        text[i] = small_text(queries[i]);
    asked = small_text(prefix);
    esp_context_fill(&context, &made.words, text, NULL, n, 0.5f, 0);
    esp_typed_fill(&typed, &made.words, &context, asked.data, (size_t)asked.length);
    esp_steps_start(&steps, &made.ngrams, &context);
    esp_tails_generate(&tails, &steps, &made.words, &typed);
}

static const char *text_of(uint32_t i) {
    static char text[2000];
    const size_t length = esp_tails_text(&tails, i, &made.words, &context, &typed, asked.data,
        (size_t)asked.length, (uint8_t *)text, sizeof text - 1);
    text[length] = '\0';
    return text;
}

/* Place of a completion, -1 if it was not generated. */
static int place_of(const char *wanted) {
    for (uint32_t i = 0; i < tails.n; i++)
        if (strcmp(text_of(i), wanted) == 0)
            return (int)i;
    return -1;
}

static float worth(uint32_t q) {
    return expf(-(float)q * 0.05f);
}

static bool is_near(double a, double b) {
    return fabs(a - b) < 1e-5 * b;
}

static void without_a_session_the_word_model_decides(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    generate("re", NULL, 0);
    const int red_shoes = place_of("red shoes");
    CHECK(red_shoes >= 0 && place_of("red") >= 0 && place_of("re") >= 0);
    CHECK(is_near(tails.chance[red_shoes], (double)(worth(SMALL_Q + RED) * worth(10) * worth(2))));
    CHECK(is_near(tails.chance[place_of("red")], (double)(worth(SMALL_Q + RED) * worth(30))));
    for (uint32_t i = 1; i < tails.n; i++)
        CHECK(tails.chance[i - 1] >= tails.chance[i]);
    /* Nobody has typed a shoe after red suede, and nothing but a list leads to it. */
    generate("blue suede ", NULL, 0);
    CHECK(strcmp(text_of(0), "blue suede shoes") == 0);
    CHECK(is_near(tails.chance[0], (double)(worth(1) * worth(2))));
    small_words_free(&made);
}

static void the_session_leads(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    const char *const session[] = {"shoe gloves"};
    generate("", session, 1);
    /* Copied whole: it follows, it is unused, and then comes its end. */
    CHECK(strcmp(text_of(0), "shoe gloves") == 0);
    const double first = 0.2 + 0.2 * 0.5 + 0.6 * (double)worth(SMALL_Q + SHOE);
    const double gloves = 0.2 + 0.2 + 0.6 * (double)(worth(SMALL_REST) * worth(SMALL_UNKNOWN));
    const double end = 0.2 + 0.8 * (double)worth(SMALL_END);
    CHECK(is_near(tails.chance[0], first * gloves * end));
    CHECK(place_of("gloves") >= 0 && place_of("red gloves") >= 0);
    generate("g", session, 1);
    CHECK(strcmp(text_of(0), "gloves") == 0);
    generate("red ", session, 1);
    CHECK(place_of("red gloves") >= 0 && place_of("red shoe") >= 0);
    CHECK(place_of("red shoe gloves") >= 0);
    /* What has been used is not used again. */
    generate("gloves ", session, 1);
    CHECK(strcmp(text_of(0), "gloves shoe") == 0);
    small_words_free(&made);
}

static void what_nobody_knows_can_be_typed(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    generate("xyz", NULL, 0);
    CHECK(tails.n == 1 && strcmp(text_of(0), "xyz") == 0);
    generate("xyz re", NULL, 0);
    CHECK(place_of("xyz red shoes") >= 0);
    generate("xyz ", (const char *const[]){"xyz abc"}, 1);
    CHECK(strcmp(text_of(0), "xyz abc") == 0);
    small_words_free(&made);
}

/* A pair that was seen brings no word back; a triple that was seen would. */
static void a_word_stands_once_in_a_query(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    const char *const session[] = {"suede shoes", "unheard shoe"};
    generate("shoes blue suede", session, 2);
    CHECK(place_of("shoes blue suede") >= 0 && place_of("shoes blue suede shoe") >= 0);
    for (uint32_t i = 0; i < tails.n; i++) {
        const char *once = strstr(text_of(i), "shoes");
        CHECK(once != NULL && strstr(once + 1, "shoes") == NULL);
        const char *unheard = strstr(text_of(i), "unheard");
        CHECK(unheard == NULL || strstr(unheard + 1, "unheard") == NULL);
    }
    /* What this person types stands there, once more or not. */
    generate("suede suede", session, 2);
    CHECK(place_of("suede suede") >= 0);
    small_words_free(&made);
}

static void what_is_generated_has_limits(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    static char long_query[3][400];
    const size_t lengths[] = {ESP_TAIL_BYTES - 1, ESP_TAIL_BYTES, 300};
    for (size_t i = 0; i < 3; i++) {
        memset(long_query[i], 'a' + (int)i, lengths[i]);
        generate("", (const char *const[]){long_query[i]}, 1);
        CHECK((place_of(long_query[i]) >= 0) == (i == 0));
    }
    const char *const words = "b1 b2 b3 b4 b5 b6 b7 b8 b9 c1 c2 c3 c4 c5 c6 c7 c8 c9 d1 d2 d3";
    generate("", (const char *const[]){words}, 1);
    CHECK(tails.n == ESP_TAILS && tails.n_nodes <= ESP_TAIL_WORDS * ESP_TAIL_BEAM);
    for (uint32_t i = 0; i < tails.n; i++) {
        uint32_t spaces = 0;
        for (const char *at = text_of(i); *at != '\0'; at++)
            spaces += *at == ' ';
        CHECK(spaces < ESP_TAIL_WORDS);
    }
    /* Also where the prefix has many words. */
    generate("b b b b b b b b b b b b b b b b b b b b b b b b ", (const char *const[]){words}, 1);
    CHECK(tails.n > 0 && typed.n_words == 24);
    small_words_free(&made);
}

static void a_text_fits_or_is_not_written(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    generate("blue su", NULL, 0);
    const char *whole = "blue suede shoes";
    const int place = place_of(whole);
    CHECK(place >= 0);
    for (size_t cap = 0; cap < 20; cap++) {
        uint8_t *out = malloc(cap + 1); /* exactly, so that the sanitizer sees the end */
        const size_t length = esp_tails_text(&tails, (uint32_t)place, &made.words, &context, &typed,
            asked.data, (size_t)asked.length, out, cap);
        /* A space is written behind the last word and not counted. */
        CHECK(length == (cap > strlen(whole) ? strlen(whole) : 0));
        CHECK(length == 0 || memcmp(out, whole, length) == 0);
        free(out);
    }
    small_words_free(&made);
}

static void without_a_word_model_nothing_is_generated(void) {
    const esp_ngrams none = {0};
    const esp_words no_words = {0};
    esp_context_fill(&context, &no_words, NULL, NULL, 0, 1, 0);
    esp_typed_fill(&typed, &no_words, &context, (const uint8_t *)"a", 1);
    esp_steps_start(&steps, &none, &context);
    tails.n = 7;
    esp_tails_generate(&tails, &steps, &no_words, &typed);
    CHECK(tails.n == 0);
}

/* A step is the same whether it was remembered or not, and never another query's. */
static void steps_are_remembered_for_one_query(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    generate("", (const char *const[]){"red shoe", "blue"}, 2);
    static esp_steps fresh;
    for (uint32_t before = 0; before < 6; before++)
        for (uint32_t word = 0; word < 6; word++)
            for (uint64_t used = 0; used < 8; used++) {
                const esp_moment moment = {.before = before == 5 ? ESP_NO_WORD : before,
                    .word = word == 5 ? ESP_START : word,
                    .last = esp_context_find_word(&context, word),
                    .used = used};
                esp_step step = *esp_steps_get(&steps, &moment);
                CHECK(esp_steps_get(&steps, &moment)->model == step.model);
                esp_steps_start(&fresh, &made.ngrams, &context);
                const esp_step *other = esp_steps_get(&fresh, &moment);
                for (uint32_t w = 0; w < 3; w++)
                    CHECK(esp_step_chance(&step, &context, 0.5f, w, false) ==
                          esp_step_chance(other, &context, 0.5f, w, false));
                CHECK(esp_step_chance(&step, &context, 0.5f, ESP_NOT_THERE, true) ==
                      esp_step_chance(other, &context, 0.5f, ESP_NOT_THERE, true));
            }
    const esp_moment start = {ESP_NO_WORD, ESP_START, ESP_NOT_THERE, 0};
    CHECK(esp_steps_get(&steps, &start)->n_followers == 2);
    steps.stamp = UINT32_MAX;
    steps.item[0].stamp = 1;
    esp_context_fill(&context, &made.words, NULL, NULL, 0, 0.5f, 0);
    esp_steps_start(&steps, &made.ngrams, &context);
    CHECK(steps.stamp == 1 && steps.item[0].stamp == 0);
    CHECK(esp_steps_get(&steps, &start)->n_followers == 0);
    small_words_free(&made);
}

/* All that may come is one word or another, or the end. */
static void chances_of_a_step_sum_to_that_of_the_word_model_and_the_session(void) {
    made = small_words_make(WORDS, 5, PAIRS, 5);
    generate("", (const char *const[]){"red shoe", "blue moon"}, 2);
    const esp_moment after_red = {ESP_START, RED, esp_context_find_word(&context, RED), 1};
    const esp_step *step = esp_steps_get(&steps, &after_red);
    float session = 0;
    for (uint32_t w = 0; w < context.n_words; w++)
        session += esp_step_chance(step, &context, 0, w, false);
    session += esp_step_chance(step, &context, 0, ESP_NOT_THERE, true);
    CHECK(fabsf(session - 0.4f) < 1e-6f && fabsf(step->model - 0.6f) < 1e-6f);
    small_words_free(&made);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(without_a_session_the_word_model_decides);
    TEST(the_session_leads);
    TEST(what_nobody_knows_can_be_typed);
    TEST(a_word_stands_once_in_a_query);
    TEST(what_is_generated_has_limits);
    TEST(a_text_fits_or_is_not_written);
    TEST(without_a_word_model_nothing_is_generated);
    TEST(steps_are_remembered_for_one_query);
    TEST(chances_of_a_step_sum_to_that_of_the_word_model_and_the_session);
    return TEST_END();
}
