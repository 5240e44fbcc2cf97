/* test_language.c: the word model asked by text. */
#include "test.h"

#include "small_model.h"

enum { N = 30, SEED = 5, MOST = 64 };

static small_model model;
static small_index made;
static esp_word likely[MOST + 1];

static void start(void) {
    made = small_make_spoken(20, N, SEED);
    small_model_draw(&model, N, N, SEED); /* as it is in the index */
}

static esp_text text_of(uint32_t word) {
    const char *text = word < N ? model.text[word] : word == N ? "" : "unheard";
    return (esp_text){(const uint8_t *)text, strlen(text)};
}

static bool is_near(float a, float b) {
    return fabsf(a - b) <= 1e-5f * b;
}

static float chance_of(const esp_text *before, size_t n, uint32_t word) {
    const esp_text text = text_of(word);
    float chance = 0;
    CHECK(esp_word_chance(made.index, before, n, text.data, (size_t)text.length, &chance, NULL) ==
          ESP_OK);
    return chance;
}

static void the_last_two_words_count(void) {
    start();
    uint64_t random = 1;
    for (uint32_t round = 0; round < 400; round++) {
        uint32_t number[3];
        esp_text before[3];
        for (uint32_t i = 0; i < 3; i++) {
            number[i] = small_draw(&random, N + 2);
            number[i] = number[i] == N ? N + 1 : number[i]; /* an end is no word */
            before[i] = text_of(number[i]);
            number[i] = number[i] < N ? number[i] : ESP_NO_WORD;
        }
        const uint32_t word = small_draw(&random, N + 2);
        const uint32_t asked = word <= N ? word : ESP_NO_WORD;
        const float wanted[] = {small_model_chance(&model, ESP_NO_WORD, ESP_START, asked),
            small_model_chance(&model, ESP_START, number[0], asked),
            small_model_chance(&model, number[0], number[1], asked),
            small_model_chance(&model, number[1], number[2], asked)};
        for (size_t n = 0; n <= 3; n++)
            CHECK(is_near(chance_of(before, n, word), wanted[n]));
    }
    small_free(&made);
}

static void likely_words_are_ordered_and_begin_as_asked(void) {
    start();
    for (uint32_t u = 0; u < N; u++)
        for (uint32_t v = 0; v < N; v++) {
            const esp_text before[2] = {text_of(u), text_of(v)};
            size_t count = 0;
            CHECK(esp_word_likely(made.index, before, 2, (const uint8_t *)"a", u % 2, likely,
                      1 + v % 20, &count, NULL) == ESP_OK);
            CHECK(count > 0 && count <= 1 + v % 20);
            for (size_t i = 0; i < count; i++) {
                const bool is_end = likely[i].word == N;
                CHECK(is_near(likely[i].chance, chance_of(before, 2, likely[i].word)));
                CHECK(is_end == (likely[i].text.length == 0));
                CHECK(u % 2 == 0 || (!is_end && likely[i].text.data[0] == 'a'));
                CHECK(i == 0 || likely[i - 1].chance > likely[i].chance ||
                      (likely[i - 1].chance == likely[i].chance &&
                          likely[i - 1].word < likely[i].word));
            }
        }
    small_free(&made);
}

static void a_word_of_any_length_may_be_asked_for(void) {
    static uint8_t longest[300];
    start();
    memset(longest, 'a', sizeof longest);
    float unknown = 0;
    float chance = 0;
    CHECK(esp_word_chance(made.index, NULL, 0, (const uint8_t *)"zz", 2, &unknown, NULL) == ESP_OK);
    CHECK(esp_word_chance(made.index, NULL, 0, longest, 300, &chance, NULL) == ESP_OK);
    CHECK(chance == unknown);
    const esp_text before[2] = {{longest, 300}, {NULL, 0}};
    CHECK(esp_word_chance(made.index, before, 2, NULL, 0, &chance, NULL) == ESP_OK);
    CHECK(is_near(chance, expf(-(float)model.head.end * model.head.step)));
    small_free(&made);
}

static void limits_are_said(void) {
    start();
    size_t count = 7;
    esp_error err = {0};
    CHECK(esp_word_likely(made.index, NULL, 0, NULL, 0, likely, MOST + 1, &count, &err) ==
          ESP_E_LIMIT);
    CHECK(count == 7);
    CHECK(esp_word_likely(made.index, NULL, 0, NULL, 0, likely, MOST, &count, &err) == ESP_OK);
    CHECK(count == N);
    small_free(&made);
}

static void an_index_without_words_says_so(void) {
    small_index plain = small_make(6, ESP_POST_L3_HINGE, 16);
    float chance = 0;
    size_t count = 0;
    CHECK(esp_word_chance(plain.index, NULL, 0, NULL, 0, &chance, NULL) == ESP_E_UNSUPPORTED);
    CHECK(esp_word_likely(plain.index, NULL, 0, NULL, 0, likely, 1, &count, NULL) ==
          ESP_E_UNSUPPORTED);
    small_free(&plain);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(the_last_two_words_count);
    TEST(likely_words_are_ordered_and_begin_as_asked);
    TEST(a_word_of_any_length_may_be_asked_for);
    TEST(limits_are_said);
    TEST(an_index_without_words_says_so);
    return TEST_END();
}
