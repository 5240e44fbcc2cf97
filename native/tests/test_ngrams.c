/* test_ngrams.c: probabilities and likely words against tables of everything. */
#include "test.h"

#include "../src/index.h"
#include "small_model.h"

enum { CAP = 12 };

static small_model model;
static small_bytes section;
static esp_ngrams ngrams;

/* A model of `n` words whose lists have up to `most`. */
static void make(uint32_t n, uint32_t most, uint64_t seed) {
    small_model_draw(&model, n, most, seed);
    section = small_model_section(&model);
    CHECK(esp_ngrams_open(section.data, section.length, n, &ngrams) == NULL);
}

static uint32_t draw_before(uint64_t *random) {
    const uint32_t drawn = small_draw(random, model.n + 2);
    return drawn < model.n ? drawn : drawn == model.n ? ESP_START : ESP_NO_WORD;
}

static bool is_near(float a, float b) {
    return fabsf(a - b) <= 1e-5f * b;
}

static void probabilities_are_those_of_the_tables(void) {
    for (uint32_t n = 1; n <= MODEL_WORDS; n = n * 2 + 1) {
        make(n, n, n);
        CHECK(esp_ngrams_validate(&ngrams, NULL) == ESP_OK);
        uint64_t random = n;
        for (uint32_t round = 0; round < 200; round++) {
            const uint32_t u = draw_before(&random);
            const uint32_t v = draw_before(&random);
            const esp_state state = esp_ngram_state(&ngrams, u, v);
            for (uint32_t w = 0; w <= n + 1; w++) {
                const uint32_t word = w <= n ? w : ESP_NO_WORD;
                const float wanted = small_model_chance(&model, u, v, word);
                if (!is_near(esp_ngram_chance(&ngrams, &state, word, NULL), wanted))
                    CHECK(!"the probability of the tables");
            }
        }
        free(section.data);
    }
}

/* Whether the model lists `w` after `v`, or after `u` and `v`. */
static bool is_listed(uint32_t u, uint32_t v, uint32_t w) {
    const uint32_t row = u == ESP_START ? model.n : u;
    return v < model.n && (model.pair[v][w] != MODEL_NONE ||
                              (row <= model.n && model.triple[row][v][w] != MODEL_NONE));
}

static void what_was_never_seen_together_is_told(void) {
    make(40, 10, 4);
    for (uint32_t u = 0; u <= 40; u++)
        for (uint32_t v = 0; v < 40; v++) {
            const uint32_t before = u == 40 ? ESP_START : u;
            const esp_state state = esp_ngram_state(&ngrams, before, v);
            for (uint32_t w = 0; w <= 40; w++) {
                bool listed = false;
                const float chance = esp_ngram_chance(&ngrams, &state, w, &listed);
                if (listed != is_listed(before, v, w))
                    CHECK(!"listed");
                if (!listed && chance != esp_ngram_least(&ngrams, &state, w))
                    CHECK(!"no more than the least");
            }
        }
    free(section.data);
}

/* The best `cap` of the range in one list of the tables, by looking at all: their
 * probabilities there, best first. */
static uint32_t best_of(
    const uint16_t *list, uint32_t lo, uint32_t hi, uint32_t cap, bool *taken, uint32_t *found) {
    uint32_t n = 0;
    memset(taken, 0, (MODEL_WORDS + 1) * sizeof *taken);
    for (uint32_t w = 0; w <= model.n; w++)
        taken[w] = w < lo || w >= hi;
    while (n < cap) {
        const uint32_t best = small_best(list, model.n, taken);
        if (best > model.n)
            break;
        taken[best] = true;
        found[n++] = best;
    }
    return n;
}

static int falling(const void *a, const void *b) {
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Probabilities of the best of each list that no longer list has, best first. */
static uint32_t expected(
    uint32_t u, uint32_t v, uint32_t lo, uint32_t hi, bool singles, float *out) {
    bool taken[MODEL_WORDS + 1];
    uint32_t found[CAP];
    uint16_t single[MODEL_WORDS + 1];
    const uint32_t row = u == ESP_START ? model.n : u;
    const uint32_t end = lo == 0 && hi == model.n ? hi + 1 : hi;
    uint32_t count = 0;
    for (uint32_t w = 0; w < model.n; w++)
        single[w] = v == ESP_START ? model.first[w] : model.word[w];
    single[model.n] = MODEL_NONE;
    const bool has_triple = v < model.n && row <= model.n;
    if (has_triple)
        for (uint32_t n = best_of(model.triple[row][v], lo, end, CAP, taken, found); n > 0; n--)
            out[count++] = small_model_chance(&model, u, v, found[n - 1]);
    if (v < model.n)
        for (uint32_t n = best_of(model.pair[v], lo, end, CAP, taken, found); n > 0; n--)
            if (!has_triple || model.triple[row][v][found[n - 1]] == MODEL_NONE)
                out[count++] = small_model_chance(&model, u, v, found[n - 1]);
    if (singles)
        for (uint32_t n = best_of(single, lo, end, CAP, taken, found); n > 0; n--)
            if (!is_listed(u, v, found[n - 1]))
                out[count++] = small_model_chance(&model, u, v, found[n - 1]);
    qsort(out, count, sizeof *out, falling);
    return count;
}

static void check_likely(uint32_t u, uint32_t v, uint32_t lo, uint32_t hi, bool singles) {
    esp_found_word found[3 * CAP];
    float wanted[3 * CAP];
    float got[3 * CAP];
    const esp_state state = esp_ngram_state(&ngrams, u, v);
    const uint32_t n = esp_ngram_likely(&ngrams, &state, lo, hi, singles, CAP, found);
    const uint32_t n_wanted = expected(u, v, lo, hi, singles, wanted);
    /* Of equals at the edge either may be kept, and one may be in a longer list. */
    if (n + 2 < n_wanted || n > n_wanted + 2)
        CHECK(!"as many as there are");
    for (uint32_t i = 0; i < n; i++) {
        got[i] = found[i].chance;
        const bool is_end = found[i].word == model.n && lo == 0 && hi == model.n;
        if (!is_end && (found[i].word < lo || found[i].word >= hi))
            CHECK(!"inside the range");
        if (!is_near(got[i], small_model_chance(&model, u, v, found[i].word)))
            CHECK(!"its own probability");
    }
    qsort(got, n, sizeof *got, falling);
    if (n != n_wanted)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (!is_near(got[i], wanted[i]))
            CHECK(!"the best of every list");
}

static void likely_words_are_the_best_of_every_list(void) {
    for (uint32_t n = 1; n <= MODEL_WORDS; n = n * 2 + 1) {
        make(n, n, 100 + n);
        uint64_t random = n;
        for (uint32_t round = 0; round < 500; round++) {
            const uint32_t lo = small_draw(&random, n);
            const uint32_t hi = lo + 1 + small_draw(&random, n - lo);
            const bool all = small_draw(&random, 3) == 0;
            check_likely(draw_before(&random), draw_before(&random), all ? 0 : lo, all ? n : hi,
                small_draw(&random, 2) == 0);
        }
        free(section.data);
    }
}

static void no_room_holds_nothing(void) {
    make(10, 10, 1);
    const esp_state state = esp_ngram_state(&ngrams, 0, 1);
    CHECK(esp_ngram_likely(&ngrams, &state, 0, 10, true, 0, NULL) == 0);
    free(section.data);
}

/* At the limits of the format three numbers and a session's shares still leave a
 * probability that has a logarithm. */
static void the_least_probability_is_not_zero(void) {
    small_model_draw(&model, 3, 0, 1);
    model.head.step = 0.1f;
    model.head.mix_context = model.head.mix_related = 0.99f;
    memset(model.word, 255, sizeof model.word);
    memset(model.rest, 255, sizeof model.rest);
    model.triple[3][0][1] = 0;
    model.triple_rest[3][0] = 255;
    section = small_model_section(&model);
    CHECK(esp_ngrams_open(section.data, section.length, 3, &ngrams) == NULL);
    const esp_state state = esp_ngram_state(&ngrams, ESP_START, 0);
    const float chance = esp_ngram_chance(&ngrams, &state, 2, NULL);
    CHECK(chance > 0);
    CHECK(isnormal((1 - 0.99f) * (1 - 0.99f) * chance));
    free(section.data);
}

static void numbers_no_model_has_are_refused(void) {
    make(3, 3, 1);
    const struct {
        size_t at;
        float value;
    } bad[] = {{offsetof(esp_ngram_header, step), 0}, {offsetof(esp_ngram_header, step), NAN},
        {offsetof(esp_ngram_header, step), 0.11f}, {offsetof(esp_ngram_header, step), -0.05f},
        {offsetof(esp_ngram_header, mix_context), 1},
        {offsetof(esp_ngram_header, mix_context), NAN},
        {offsetof(esp_ngram_header, mix_context), -0.1f},
        {offsetof(esp_ngram_header, mix_follow), 1.1f},
        {offsetof(esp_ngram_header, mix_follow), NAN}, {offsetof(esp_ngram_header, mix_related), 1},
        {offsetof(esp_ngram_header, mix_related), NAN}, {offsetof(esp_ngram_header, decay), 0},
        {offsetof(esp_ngram_header, decay), NAN}, {offsetof(esp_ngram_header, half_life), -1},
        {offsetof(esp_ngram_header, half_life), NAN},
        {offsetof(esp_ngram_header, half_life), INFINITY}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float kept = 0;
        memcpy(&kept, section.data + bad[i].at, sizeof kept);
        memcpy(section.data + bad[i].at, &bad[i].value, sizeof kept);
        const char *check = esp_ngrams_open(section.data, section.length, 3, &ngrams);
        CHECK(check != NULL && strcmp(check, "G2") == 0);
        memcpy(section.data + bad[i].at, &kept, sizeof kept);
    }
    esp_ngram_header *head = (void *)section.data;
    head->end = 256;
    CHECK(strcmp(esp_ngrams_open(section.data, section.length, 3, &ngrams), "G2") == 0);
    head->end = 255;
    head->unknown = 256;
    CHECK(strcmp(esp_ngrams_open(section.data, section.length, 3, &ngrams), "G2") == 0);
    head->unknown = 255;
    CHECK(esp_ngrams_open(section.data, section.length, 3, &ngrams) == NULL);
    CHECK(strcmp(esp_ngrams_open(section.data, section.length, 4, &ngrams), "G1") == 0);
    CHECK(strcmp(esp_ngrams_open(section.data, section.length - 1, 3, &ngrams), "G1") == 0);
    CHECK(strcmp(esp_ngrams_open(section.data, 8, 3, &ngrams), "G1") == 0);
    free(section.data);
}

/* Everything that is asked, of any bytes: the sanitizers judge. */
static void use(uint64_t *random) {
    esp_found_word found[3 * CAP];
    for (uint32_t i = 0; i < 40; i++) {
        const esp_state state = esp_ngram_state(&ngrams, draw_before(random), draw_before(random));
        const uint32_t word = small_draw(random, model.n + 1);
        const float chance = esp_ngram_chance(&ngrams, &state, word, NULL);
        CHECK(chance > 0 && chance <= 1);
        const uint32_t lo = small_draw(random, 2) == 0 ? 0 : small_draw(random, model.n);
        const uint32_t hi = lo == 0 ? model.n : lo + small_draw(random, model.n - lo);
        const uint32_t n = esp_ngram_likely(&ngrams, &state, lo, hi, true, CAP, found);
        for (uint32_t k = 0; k < n; k++)
            CHECK(found[k].word <= model.n && found[k].chance > 0);
    }
}

static void damage_is_survived(void) {
    static const uint32_t telling[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFF};
    make(70, 50, 3);
    uint64_t random = 1;
    uint32_t opened = 0;
    for (uint32_t round = 0; round < 4000; round++) {
        /* Of the exact size, so that a read behind it is seen. */
        uint8_t *damaged = aligned_alloc(8, (section.length + 7) / 8 * 8);
        memcpy(damaged, section.data, section.length);
        for (uint32_t k = 1 + small_draw(&random, 20); k > 0; k--) {
            const uint32_t at = small_draw(&random, (uint32_t)section.length / 4) * 4;
            const uint32_t value = small_draw(&random, 2) == 0
                                       ? telling[small_draw(&random, 6)]
                                       : (uint32_t)(esp_random_next(&random) >> 13);
            memcpy(damaged + at, &value, sizeof value);
        }
        if (esp_ngrams_open(damaged, section.length, 70, &ngrams) == NULL) {
            opened++;
            (void)esp_ngrams_validate(&ngrams, NULL);
            use(&random);
        }
        free(damaged);
    }
    CHECK(opened > 1000);
    free(section.data);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(probabilities_are_those_of_the_tables);
    TEST(what_was_never_seen_together_is_told);
    TEST(likely_words_are_the_best_of_every_list);
    TEST(no_room_holds_nothing);
    TEST(the_least_probability_is_not_zero);
    TEST(numbers_no_model_has_are_refused);
    TEST(damage_is_survived);
    return TEST_END();
}
