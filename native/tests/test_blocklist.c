/* test_blocklist.c: what an index never puts together. */
#include "test.h"

#include "../src/blocklist.h"
#include "../src/context.h"
#include "small_words.h"

enum { MOST = 3000, ROOM = 40 };

static esp_blocklist list;
static uint8_t *section;
static size_t section_length;

static esp_status build(const char *const *texts, uint32_t n_queries, uint32_t n_words,
    uint32_t flags, esp_error *err) {
    static uint8_t blob[MOST * ROOM];
    static uint64_t offsets[MOST + 1];
    for (uint32_t i = 0; i < n_queries + n_words; i++) {
        const size_t length = strlen(texts[i]);
        memcpy(blob + offsets[i], texts[i], length);
        offsets[i + 1] = offsets[i] + length;
    }
    list = (esp_blocklist){0};
    return esp_blocklist_build(
        blob, offsets, n_queries, n_words, flags, &section, &section_length, err);
}

static void make(const char *const *texts, uint32_t n_queries, uint32_t n_words, uint32_t flags) {
    CHECK(build(texts, n_queries, n_words, flags, NULL) == ESP_OK);
    CHECK(esp_blocklist_open(section, section_length, &list));
    CHECK(esp_blocklist_validate(&list, &(esp_words){0}, NULL) == ESP_OK);
}

static bool blocks(const char *text) {
    return esp_blocklist_blocks(&list, (const uint8_t *)text, strlen(text));
}

static void a_query_is_blocked_as_a_whole(void) {
    const char *const texts[] = {"fake bag", "watch"};
    make(texts, 2, 0, 0);
    CHECK(blocks("fake bag") && blocks("watch"));
    CHECK(!blocks("fake") && !blocks("bag") && !blocks("fake bags") && !blocks("bag fake"));
    CHECK(!blocks("watches") && !blocks("my watch") && !blocks(""));
    CHECK(!blocks("bob@corp.example") && !blocks("123456789"));
    esp_buffer_free(section);
}

static void a_word_is_blocked_wherever_it_stands_alone(void) {
    const char *const texts[] = {"bad", "c++", "a_b", "b\xC3\xB6se"};
    make(texts, 0, 4, 0);
    CHECK(blocks("bad") && blocks("so bad") && blocks("bad so") && blocks("a (bad) one"));
    CHECK(blocks("bad-tempered") && blocks("not-bad") && blocks("not-bad!") && blocks("learn c++"));
    CHECK(blocks("b\xC3\xB6se") && blocks("sehr \"b\xC3\xB6se\"") && blocks("(a_b)-c"));
    CHECK(blocks("bad\xE2\x80\x99s")); /* an apostrophe beyond ASCII */
    CHECK(!blocks("badly") && !blocks("abad") && !blocks("_bad") && !blocks("c") && !blocks("a-b"));
    CHECK(!blocks("b\xC3\xB6ser") && !blocks("b\xCC\x88\xC3\xB6"));
    CHECK(blocks("bad\xFF") && !blocks("\xFF\xFE")); /* what is no text separates */
    esp_buffer_free(section);
}

static void numbers_are_blocked_where_that_is_wanted(void) {
    make(NULL, 0, 0, ESP_BLOCK_NUMBERS);
    CHECK(blocks("123456789") && blocks("a123456789b") && blocks("030 1234 567 8"));
    CHECK(blocks("(030) 12-34-56") && !blocks("(030) 12-34-5"));
    CHECK(blocks("+49 301234") && blocks("call + 49 301234") && !blocks("+49 30123"));
    CHECK(!blocks("49 301234") && !blocks("+x49 301234") && blocks("1+49 301234"));
    CHECK(blocks("1234 -56789") && !blocks("1234 - 56789"));
    CHECK(!blocks("1234x56789") && !blocks("12345678") && !blocks("size 42 of 12345"));
    CHECK(blocks("bob@corp") && blocks("a b@ c") && !blocks("@home") && !blocks("at @home"));
    /* Nine Arabic digits, then eight. */
    CHECK(blocks("\xD9\xA1\xD9\xA2\xD9\xA3\xD9\xA4\xD9\xA5\xD9\xA6\xD9\xA7\xD9\xA8\xD9\xA9"));
    CHECK(!blocks("\xD9\xA1\xD9\xA2\xD9\xA3\xD9\xA4\xD9\xA5\xD9\xA6\xD9\xA7\xD9\xA8"));
    esp_buffer_free(section);
}

static void every_entry_is_found_and_nothing_else(void) {
    static char text[MOST][ROOM];
    const char *texts[MOST];
    for (uint32_t i = 0; i < MOST; i++) {
        snprintf(text[i], ROOM, i % 2 == 0 ? "w%u" : "entry%uoflonger", i);
        texts[i] = text[i];
    }
    for (uint32_t n = 1; n <= MOST / 2; n = n * 3 + 1) {
        make(texts, n, n, 0);
        uint32_t found = 0;
        for (uint32_t i = 0; i < MOST; i++)
            found += blocks(texts[i]);
        CHECK(found == 2 * n);
        esp_buffer_free(section);
    }
}

static void a_text_that_is_there_twice_is_refused(void) {
    const char *const texts[] = {"a", "b", "a"};
    CHECK(build(texts, 3, 0, 0, NULL) == ESP_E_ARGUMENT);
    CHECK(build(texts, 2, 1, 0, NULL) == ESP_OK); /* a query and a word */
    esp_buffer_free(section);
    CHECK(build(texts, 2, 0, 2, NULL) == ESP_E_ARGUMENT);
    esp_error err = {0};
    CHECK(esp_blocklist_build(NULL, NULL, ESP_BLOCK_LIMIT, 1, 0, &section, &section_length, &err) ==
          ESP_E_LIMIT);
    test_allocations_left = 0;
    CHECK(build(texts, 2, 0, 0, NULL) == ESP_E_MEMORY);
}

/* Which words of a session are in the context, as "a b|c". */
static const char *kept(const char *const *queries, uint32_t n) {
    static esp_context context;
    static char out[400];
    static const esp_words none;
    esp_text text[4];
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++)
        text[i] = small_text(queries[i]);
    context.blocked = &list;
    esp_context_fill(&context, &none, text, NULL, n, 0.5f, 0);
    for (uint32_t q = 0; q < context.n_queries; q++)
        for (uint32_t t = context.begin[q]; t < context.begin[q + 1]; t++) {
            const esp_context_word *word = &context.word[context.token[t]];
            const char *before = t > context.begin[q] ? " " : q > 0 ? "|" : "";
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%.*s", before, (int)word->length,
                (const char *)word->text);
        }
    out[at] = '\0';
    return out;
}

static void what_is_blocked_gives_no_support(void) {
    const char *const texts[] = {"fake bag", "bad"};
    const char *const session[] = {
        "very bad shoes", "fake bag", "call +1 (212) 555-0187 or 30", "bob@corp.example mail 7"};
    make(texts, 1, 1, ESP_BLOCK_NUMBERS);
    CHECK(strcmp(kept(session, 4), "very shoes|fake bag|call or|mail") == 0);
    esp_buffer_free(section);
    make(texts, 1, 1, 0);
    CHECK(strcmp(kept(session, 1), "very shoes") == 0);
    CHECK(strcmp(kept(session + 3, 1), "bob@corp.example mail 7") == 0);
    esp_buffer_free(section);
    list = (esp_blocklist){0};
    CHECK(strcmp(kept(session, 1), "very bad shoes") == 0);
    CHECK(!blocks("bad") && !blocks("123456789"));
}

static void no_word_of_the_vocabulary_may_be_blocked(void) {
    static const char *const words[] = {"bag", "not-bad", "red"};
    small_words made = small_words_make(words, 3, NULL, 0);
    const char *const texts[] = {"bag", "bad", "red"};
    esp_error err = {0};
    make(texts, 1, 0, 0);
    CHECK(esp_blocklist_validate(&list, &made.words, NULL) == ESP_OK);
    esp_buffer_free(section);
    make(texts, 1, 1, 0);
    CHECK(esp_blocklist_validate(&list, &made.words, &err) == ESP_E_CORRUPT);
    CHECK(strcmp(err.check, "K5") == 0 && err.offset == 1);
    esp_buffer_free(section);
    small_words_free(&made);
}

/* A query is judged in three parts: whole, word by word, and both. */
static void a_text_of_known_words_is_judged_as_a_whole(void) {
    const char *const texts[] = {"fake bag", "bad"};
    const char *const asked[] = {"fake bag", "bad bag", "a@b", "good bag"};
    const bool whole[] = {true, false, true, false};
    const bool words[] = {false, true, false, false};
    make(texts, 1, 1, ESP_BLOCK_NUMBERS);
    for (uint32_t i = 0; i < 4; i++) {
        const uint8_t *text = (const uint8_t *)asked[i];
        CHECK(esp_blocklist_blocks_whole(&list, text, strlen(asked[i])) == whole[i]);
        CHECK(esp_blocklist_blocks_words(&list, text, strlen(asked[i])) == words[i]);
        CHECK(blocks(asked[i]) == (whole[i] || words[i]));
    }
    esp_buffer_free(section);
}

/* Any bytes: the sanitizers judge. */
static void damaged_lists_are_survived(void) {
    const char *const texts[] = {"fake bag", "watch", "bad", "worse", "worst"};
    make(texts, 2, 3, ESP_BLOCK_NUMBERS);
    for (size_t at = 0; at < section_length; at++)
        for (uint32_t bit = 0; bit < 8; bit++) {
            section[at] ^= (uint8_t)(1u << bit);
            if (esp_blocklist_open(section, section_length, &list)) {
                /* Another flag or another hash in the same order is as good. */
                CHECK(esp_blocklist_validate(&list, &(esp_words){0}, NULL) == ESP_E_CORRUPT ||
                      at < 16 + 5 * 8);
                for (size_t i = 0; i < 5; i++)
                    (void)blocks(texts[i]);
            }
            section[at] ^= (uint8_t)(1u << bit);
        }
    for (size_t length = 0; length < section_length; length++)
        CHECK(!esp_blocklist_open(section, length, &list));
    esp_buffer_free(section);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(a_query_is_blocked_as_a_whole);
    TEST(a_word_is_blocked_wherever_it_stands_alone);
    TEST(numbers_are_blocked_where_that_is_wanted);
    TEST(every_entry_is_found_and_nothing_else);
    TEST(a_text_that_is_there_twice_is_refused);
    TEST(what_is_blocked_gives_no_support);
    TEST(no_word_of_the_vocabulary_may_be_blocked);
    TEST(a_text_of_known_words_is_judged_as_a_whole);
    TEST(damaged_lists_are_survived);
    return TEST_END();
}
