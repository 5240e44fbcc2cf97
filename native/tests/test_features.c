/* test_features.c: from text to vectors, on examples worked by hand. */
#include "test.h"

#include "../src/features.h"

#include <math.h>

enum { ROOM = 4096 };

static uint32_t keys[ROOM];
static float weights[ROOM];
static uint64_t ptr[3];

/* Hashes one text; returns the number of distinct features. */
static size_t hash(const char *text, uint32_t kind) {
    const uint64_t offsets[1] = {0};
    const uint32_t lengths[1] = {(uint32_t)strlen(text)};
    CHECK(esp_features_hash((const uint8_t *)text, offsets, lengths, 1, kind, keys, weights, ptr,
              ROOM, NULL) == ESP_OK);
    return (size_t)ptr[1];
}

static float total(size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += weights[i];
    return sum;
}

static void words_are_counted(void) {
    CHECK(hash("", ESP_FEATURE_WORDS) == 0);
    CHECK(hash(" .,-! ", ESP_FEATURE_WORDS) == 0);
    CHECK(hash("nike", ESP_FEATURE_WORDS) == 1);
    CHECK(hash("a b a-a", ESP_FEATURE_WORDS) == 2 && total(2) == 4);
    CHECK(hash("x y x y", ESP_FEATURE_WORDS) == 2 && weights[0] == 2 && weights[1] == 2);
}

static void scripts_without_spaces_give_pairs(void) {
    CHECK(hash("字", ESP_FEATURE_WORDS) == 1);
    CHECK(hash("漢字テ", ESP_FEATURE_WORDS) == 2);
    CHECK(hash("漢字テスト", ESP_FEATURE_WORDS) == 4);
    CHECK(hash("a漢字b", ESP_FEATURE_WORDS) == 3); /* "a", the pair, "b" */
}

static void ngrams_are_counted_and_weighted(void) {
    CHECK(hash("", ESP_FEATURE_CHARS) == 0);
    CHECK(hash("a", ESP_FEATURE_CHARS) == 1);
    CHECK(hash("abcd", ESP_FEATURE_CHARS) == 4 + 3 + 2);
    CHECK(hash("aaa", ESP_FEATURE_CHARS) == 3 && total(3) == 6);
    CHECK(hash("é字👟", ESP_FEATURE_CHARS) == 3 + 2 + 1);
    CHECK(hash("ab", ESP_FEATURE_CHARS_POSITION) == 3);
    CHECK(fabsf(total(3) - (1.0f + 1.0f + 0.5f)) < 1e-6f);
}

static void words_and_characters_do_not_meet(void) {
    CHECK(hash("a", ESP_FEATURE_WORDS) == 1);
    const uint32_t word = keys[0];
    CHECK(hash("a", ESP_FEATURE_CHARS) == 1);
    CHECK(word != keys[0]);
}

static void keys_ascend_in_long_texts(void) {
    char text[600];
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = (char)('a' + (i * i + i / 7) % 23);
    text[sizeof text - 1] = '\0';
    const size_t n = hash(text, ESP_FEATURE_CHARS);
    for (size_t i = 1; i < n; i++)
        CHECK(keys[i - 1] < keys[i]);
    CHECK(fabsf(total(n) - (599 + 598 + 597)) < 1e-3f);
}

static void bad_texts_are_refused(void) {
    const uint8_t blob[] = {'a', 0xFF};
    const uint64_t offsets[2] = {0, 1};
    const uint32_t lengths[2] = {1, 1};
    esp_error err = {0};
    CHECK(esp_features_hash(blob, offsets, lengths, 2, ESP_FEATURE_WORDS, keys, weights, ptr, ROOM,
              &err) == ESP_E_UTF8);
    CHECK(err.offset == 1);
    CHECK(esp_features_hash(blob, offsets, lengths, 1, 99, keys, weights, ptr, ROOM, &err) ==
          ESP_E_ARGUMENT);
    CHECK(esp_features_hash(blob, offsets, lengths, 1, ESP_FEATURE_CHARS, keys, weights, ptr, 0,
              &err) == ESP_E_LIMIT);
}

/* A space that knows two words and one n-gram. */
static void vectors_have_unit_length_and_known_features(void) {
    uint32_t known[3];
    float idf[3] = {1, 1, 1};
    CHECK(hash("red", ESP_FEATURE_WORDS) == 1);
    known[0] = keys[0];
    CHECK(hash("shoes", ESP_FEATURE_WORDS) == 1);
    known[1] = keys[0];
    CHECK(hash("n", ESP_FEATURE_CHARS) == 1);
    known[2] = keys[0];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++)
            if (known[j] > known[j + 1]) {
                const uint32_t moved = known[j];
                known[j] = known[j + 1];
                known[j + 1] = moved;
            }
    const esp_space space = {.keys = known,
        .idf = idf,
        .n_features = 3,
        .prefix_features = ESP_PREFIX_POSITION_WEIGHTED,
        .context_decay = 0.5f,
        .max_context = 1};
    esp_term items[ROOM];
    esp_terms terms = {.item = items, .cap = ROOM};
    const esp_text previous[2] = {
        {(const uint8_t *)"red shoes", 9}, {(const uint8_t *)"red red red", 11}};
    CHECK(esp_vectorise(&space, previous, 2, (const uint8_t *)"ni", 2, &terms, NULL) == ESP_OK);
    CHECK(terms.n == 3);
    float squares = 0;
    for (size_t i = 0; i < terms.n; i++) {
        CHECK(terms.item[i].key == i);
        squares += terms.item[i].weight * terms.item[i].weight;
    }
    CHECK(fabsf(squares - 1) < 1e-6f);
    CHECK(esp_vectorise(&space, previous, 0, (const uint8_t *)"zz", 2, &terms, NULL) == ESP_OK);
    CHECK(terms.n == 0);
    CHECK(esp_vectorise(&space, NULL, 0, NULL, 0, &terms, NULL) == ESP_OK && terms.n == 0);
    CHECK(esp_vectorise(&space, previous, 1, NULL, 0, &terms, NULL) == ESP_OK && terms.n == 2);
    CHECK(fabsf(terms.item[0].weight - sqrtf(0.5f)) < 1e-6f);
}

/* A context that counts nothing leaves no features, so that the prefix's alone
 * stand in order. */
static void a_block_without_weight_is_left_out(void) {
    uint32_t known[2];
    const float idf[2] = {1, 1};
    CHECK(hash("0a0", ESP_FEATURE_WORDS) == 1);
    const uint32_t word = keys[0];
    CHECK(hash("a", ESP_FEATURE_CHARS) == 1);
    CHECK(keys[0] < word); /* so that the word's feature comes second */
    known[0] = keys[0];
    known[1] = word;
    const esp_space space = {.keys = known,
        .idf = idf,
        .n_features = 2,
        .prefix_features = ESP_PREFIX_CHAR_TFIDF,
        .context_decay = 0,
        .max_context = 2};
    esp_term items[8];
    esp_terms terms = {.item = items, .cap = 8};
    const esp_text previous[2] = {{(const uint8_t *)"", 0}, {(const uint8_t *)"0a0", 3}};
    CHECK(esp_vectorise(&space, previous, 2, (const uint8_t *)"a", 1, &terms, NULL) == ESP_OK);
    CHECK(terms.n == 1 && terms.item[0].key == 0 && fabsf(terms.item[0].weight - 1) < 1e-6f);
    CHECK(esp_vectorise(&space, previous, 2, NULL, 0, &terms, NULL) == ESP_OK && terms.n == 0);
}

/* Interpolation finds every key and no other, however skewed the keys are. */
static void every_known_key_is_found(void) {
    enum { N = 3000 };
    static uint32_t all[N];
    static float idf[N];
    static uint32_t seen[N];
    uint32_t n = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        char text[8];
        snprintf(text, sizeof text, "w%u", i);
        CHECK(hash(text, ESP_FEATURE_WORDS) == 1);
        all[n++] = keys[0];
    }
    for (uint32_t i = 0; i < 2000; i++)
        all[n++] = i * 3; /* a heap of small keys */
    for (uint32_t gap = n / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < n; i++)
            for (uint32_t j = i; j >= gap && all[j - gap] > all[j]; j -= gap) {
                const uint32_t moved = all[j];
                all[j] = all[j - gap];
                all[j - gap] = moved;
            }
    for (uint32_t i = 0; i < n; i++)
        idf[i] = 1;
    const esp_space space = {.keys = all, .idf = idf, .n_features = n, .max_context = 1};
    esp_term items[ROOM];
    esp_terms terms = {.item = items, .cap = ROOM};
    for (uint32_t i = 0; i < 1100; i++) {
        char text[8];
        const int length = snprintf(text, sizeof text, "w%u", i);
        const esp_text previous = {(const uint8_t *)text, (uint64_t)length};
        CHECK(esp_vectorise(&space, &previous, 1, NULL, 0, &terms, NULL) == ESP_OK);
        CHECK(terms.n == (i < 1000 ? 1 : 0));
        if (terms.n == 1)
            seen[terms.item[0].key]++;
    }
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < n; i++)
        distinct += seen[i];
    CHECK(distinct == 1000);
}

static void rows_of_texts_are_checked(void) {
    const esp_space space = {.context_decay = 1, .max_context = UINT32_MAX};
    const uint64_t offsets[2] = {0, 2};
    const uint32_t lengths[2] = {2, 2};
    const uint64_t context_ptr[2] = {0, 1};
    const uint64_t falling[2] = {1, 0};
    const uint32_t context[1] = {0};
    const uint32_t no_text[1] = {2};
    const uint32_t prefix_text[1] = {1};
    const uint32_t whole[1] = {2};
    const uint32_t half[1] = {1};
    const uint32_t beyond[1] = {3};
    esp_rows rows = {.blob = (const uint8_t *)"ab\xC3\xA9",
        .offsets = offsets,
        .lengths = lengths,
        .n_texts = 2,
        .n_rows = 1,
        .context_ptr = context_ptr,
        .context = context,
        .prefix_text = prefix_text,
        .prefix_bytes = whole};
    /* Any number of previous queries may count: memory is for those there are. */
    CHECK(esp_features_vectorise(&space, &rows, ptr, keys, weights, ROOM, NULL) == ESP_OK);
    rows.prefix_bytes = half;
    CHECK(esp_features_vectorise(&space, &rows, ptr, keys, weights, ROOM, NULL) == ESP_E_UTF8);
    rows.prefix_bytes = beyond;
    CHECK(esp_features_vectorise(&space, &rows, ptr, keys, weights, ROOM, NULL) == ESP_E_ARGUMENT);
    rows.prefix_bytes = whole;
    rows.context = no_text;
    CHECK(esp_features_vectorise(&space, &rows, ptr, keys, weights, ROOM, NULL) == ESP_E_ARGUMENT);
    rows.context = context;
    rows.context_ptr = falling;
    CHECK(esp_features_vectorise(&space, &rows, ptr, keys, weights, ROOM, NULL) == ESP_E_ARGUMENT);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(words_are_counted);
    TEST(scripts_without_spaces_give_pairs);
    TEST(ngrams_are_counted_and_weighted);
    TEST(words_and_characters_do_not_meet);
    TEST(keys_ascend_in_long_texts);
    TEST(bad_texts_are_refused);
    TEST(vectors_have_unit_length_and_known_features);
    TEST(a_block_without_weight_is_left_out);
    TEST(every_known_key_is_found);
    TEST(rows_of_texts_are_checked);
    return TEST_END();
}
