/* test_words.c: the vocabulary against looking at every word. */
#include "test.h"

#include "../src/utf8.h"
#include "../src/words.h"
#include "small_index.h"

enum { MOST = 3000, LONGEST = 12 };

typedef struct word {
    uint8_t data[LONGEST];
    uint32_t length;
} word;

static word all[MOST];
static uint32_t n_words;
static esp_words words;
static uint8_t *section;
static size_t section_length;

static int compare(const void *a, const void *b) {
    const word *x = a;
    const word *y = b;
    const int order = memcmp(x->data, y->data, esp_min_u32(x->length, y->length));
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

/* Sorts all[0..n), drops what stands twice and builds. */
static esp_status build(uint32_t n, esp_error *err) {
    static uint8_t blob[MOST * LONGEST];
    static uint64_t offsets[MOST + 1];
    qsort(all, n, sizeof *all, compare);
    n_words = 0;
    for (uint32_t i = 0; i < n; i++)
        if (n_words == 0 || compare(&all[n_words - 1], &all[i]) != 0)
            all[n_words++] = all[i];
    for (uint32_t i = 0; i < n_words; i++) {
        memcpy(blob + offsets[i], all[i].data, all[i].length);
        offsets[i + 1] = offsets[i] + all[i].length;
    }
    return esp_words_build(blob, offsets, n_words, &section, &section_length, err);
}

/* Words of few letters, so that many begin alike; é and 字 among them. */
static void draw_words(uint32_t n, uint64_t seed) {
    static const uint32_t letters[] = {'a', 'b', 'c', 0xE9, 0x5B57};
    uint64_t random = seed;
    for (uint32_t i = 0; i < n; i++) {
        all[i].length = 0;
        for (uint32_t k = 1 + small_draw(&random, 4); k > 0; k--)
            all[i].length +=
                esp_utf8_encode(letters[small_draw(&random, 5)], all[i].data + all[i].length);
    }
}

static uint32_t look_for(const uint8_t *text, uint32_t length) {
    for (uint32_t i = 0; i < n_words; i++)
        if (all[i].length == length && memcmp(all[i].data, text, length) == 0)
            return i;
    return ESP_NO_WORD;
}

static uint32_t find(const uint8_t *text, uint32_t length) {
    return esp_word_find(&words, text, length, esp_word_hash(text, length));
}

static void check_range(const uint8_t *prefix, uint32_t length) {
    uint32_t lo = 0;
    uint32_t hi = 0;
    esp_words_range(&words, prefix, length, &lo, &hi);
    for (uint32_t i = 0; i < n_words; i++) {
        const bool begins =
            length == 0 || (all[i].length >= length && memcmp(all[i].data, prefix, length) == 0);
        if (begins != (i >= lo && i < hi))
            CHECK(!"the words that begin so");
    }
}

static void every_word_is_found_and_no_other(void) {
    for (uint32_t n = 1; n < 400; n += n / 2 + 1) {
        draw_words(n, n);
        CHECK(build(n, NULL) == ESP_OK);
        CHECK(esp_words_open(section, section_length, &words));
        CHECK(esp_words_validate(&words, NULL) == ESP_OK);
        for (uint32_t i = 0; i < n_words; i++) {
            uint32_t length = 0;
            const uint8_t *text = esp_word_text(&words, i, &length);
            CHECK(length == all[i].length && memcmp(text, all[i].data, length) == 0);
            CHECK(find(all[i].data, all[i].length) == i);
        }
        const uint32_t kept = n_words;
        word others[100];
        memcpy(others, all, sizeof others);
        draw_words(100, 99 + n);
        word asked[100];
        memcpy(asked, all, sizeof asked);
        memcpy(all, others, sizeof others);
        n_words = kept;
        for (uint32_t i = 0; i < 100; i++)
            CHECK(find(asked[i].data, asked[i].length) == look_for(asked[i].data, asked[i].length));
        esp_buffer_free(section);
    }
}

static void a_beginning_is_a_range_of_words(void) {
    draw_words(300, 3);
    CHECK(build(300, NULL) == ESP_OK && esp_words_open(section, section_length, &words));
    check_range(NULL, 0);
    check_range((const uint8_t *)"zzz", 3);
    check_range((const uint8_t *)"\xE5", 1); /* in the middle of a character */
    for (uint32_t i = 0; i < n_words; i++)
        for (uint32_t length = 1; length <= all[i].length; length++)
            check_range(all[i].data, length);
    esp_buffer_free(section);
}

static void a_vocabulary_may_be_empty(void) {
    CHECK(build(0, NULL) == ESP_OK && esp_words_open(section, section_length, &words));
    CHECK(esp_words_validate(&words, NULL) == ESP_OK);
    CHECK(find((const uint8_t *)"a", 1) == ESP_NO_WORD);
    uint32_t lo = 1;
    uint32_t hi = 1;
    esp_words_range(&words, (const uint8_t *)"a", 1, &lo, &hi);
    CHECK(lo == 0 && hi == 0);
    esp_buffer_free(section);
}

static void a_number_beyond_the_last_has_no_text(void) {
    draw_words(5, 5);
    CHECK(build(5, NULL) == ESP_OK && esp_words_open(section, section_length, &words));
    uint32_t length = 1;
    CHECK(esp_word_text(&words, n_words, &length) == NULL && length == 0);
    CHECK(esp_word_text(&words, ESP_NO_WORD, &length) == NULL);
    esp_buffer_free(section);
}

/* Fills all[0..n) with words whose hashes have the same lower bits. */
static void collide(uint32_t n, uint32_t bits) {
    const uint32_t mask = ((uint32_t)1 << bits) - 1;
    uint32_t found = 0;
    for (uint64_t number = 0; found < n; number++) {
        word *one = &all[found];
        one->length = 0;
        for (uint64_t left = number; one->length < 7; left /= 26)
            one->data[one->length++] = (uint8_t)('a' + left % 26);
        found += (esp_word_hash(one->data, one->length) & mask) == 0;
    }
}

static void words_that_collide_get_more_slots(void) {
    collide(1100, 11); /* all want the first of 2,048 */
    CHECK(build(1100, NULL) == ESP_OK && esp_words_open(section, section_length, &words));
    CHECK(words.slot_mask == 4095);
    CHECK(esp_words_validate(&words, NULL) == ESP_OK);
    esp_buffer_free(section);
}

static void words_made_to_collide_are_refused(void) {
    collide(1100, 15);
    esp_error err = {0};
    CHECK(build(1100, &err) == ESP_E_LIMIT);
    CHECK(strstr(err.message, "collide") != NULL);
}

static void words_that_are_none_are_refused(void) {
    static const uint8_t blob[300] = "abab";
    const uint64_t equal[] = {0, 2, 4};
    const uint64_t empty[] = {0, 0, 2};
    const uint64_t falling[] = {1, 3, 4};
    const uint64_t longer[] = {0, 256};
    esp_error err = {0};
    CHECK(esp_words_build(blob, equal, 2, &section, &section_length, &err) == ESP_E_ARGUMENT);
    CHECK(err.offset == 1);
    CHECK(esp_words_build(blob, empty, 2, &section, &section_length, &err) == ESP_E_ARGUMENT);
    CHECK(err.offset == 0);
    CHECK(esp_words_build(blob, falling, 2, &section, &section_length, &err) == ESP_E_ARGUMENT);
    CHECK(esp_words_build(blob, longer, 1, &section, &section_length, &err) == ESP_E_ARGUMENT);
}

static void without_memory_there_is_no_vocabulary(void) {
    draw_words(20, 1);
    test_allocations_left = 0;
    CHECK(build(20, NULL) == ESP_E_MEMORY);
}

/* Everything that is asked, of any bytes: the sanitizers judge. */
static void use(void) {
    for (uint32_t i = 0; i < n_words; i++) {
        const uint32_t found = find(all[i].data, all[i].length);
        CHECK(found == ESP_NO_WORD || found < words.n_words);
        uint32_t lo = 0;
        uint32_t hi = 0;
        esp_words_range(&words, all[i].data, all[i].length, &lo, &hi);
        CHECK(lo <= hi && hi <= words.n_words);
        uint32_t length = 0;
        const uint8_t *text = esp_word_text(&words, i, &length);
        uint32_t sum = 0;
        for (uint32_t b = 0; b < length; b++)
            sum += text[b];
        CHECK(sum <= 255 * length);
    }
}

static void damage_is_survived(void) {
    draw_words(40, 8);
    CHECK(build(40, NULL) == ESP_OK);
    uint64_t random = 1;
    for (uint32_t round = 0; round < 3000; round++) {
        /* Of the exact size, so that a read behind it is seen. */
        uint8_t *damaged = aligned_alloc(4, (section_length + 3) / 4 * 4);
        memcpy(damaged, section, section_length);
        for (uint32_t k = 1 + small_draw(&random, 8); k > 0; k--)
            damaged[small_draw(&random, (uint32_t)section_length)] =
                (uint8_t)small_draw(&random, 256);
        if (esp_words_open(damaged, section_length, &words)) {
            (void)esp_words_validate(&words, NULL);
            use();
        }
        free(damaged);
    }
    esp_buffer_free(section);
}

static void a_full_table_is_not_walked_to_its_end(void) {
    draw_words(2000, 9);
    CHECK(build(2000, NULL) == ESP_OK && esp_words_open(section, section_length, &words));
    uint32_t *slot = (uint32_t *)(uintptr_t)words.slot;
    for (uint32_t i = 0; i <= words.slot_mask; i++)
        slot[i] = 0xFFFFFFFF;
    CHECK(find(all[0].data, all[0].length) == ESP_NO_WORD);
    CHECK(esp_words_validate(&words, NULL) == ESP_E_CORRUPT);
    esp_buffer_free(section);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(every_word_is_found_and_no_other);
    TEST(a_beginning_is_a_range_of_words);
    TEST(a_vocabulary_may_be_empty);
    TEST(a_number_beyond_the_last_has_no_text);
    TEST(words_that_collide_get_more_slots);
    TEST(words_made_to_collide_are_refused);
    TEST(words_that_are_none_are_refused);
    TEST(without_memory_there_is_no_vocabulary);
    TEST(damage_is_survived);
    TEST(a_full_table_is_not_walked_to_its_end);
    return TEST_END();
}
