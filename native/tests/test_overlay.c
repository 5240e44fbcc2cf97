/* test_overlay.c: blocks, pins and boosts. */
#include "test.h"

#include "../src/overlay.h"

static esp_text text_of(const char *text) {
    return (esp_text){.data = (const uint8_t *)text, .length = strlen(text)};
}

static esp_rule block(const char *text) {
    return (esp_rule){.kind = ESP_RULE_BLOCK_QUERY, .text = text_of(text)};
}

static esp_rule block_word(const char *text) {
    return (esp_rule){.kind = ESP_RULE_BLOCK_WORD, .text = text_of(text)};
}

static esp_rule boost(const char *text, float by) {
    return (esp_rule){.kind = ESP_RULE_BOOST_QUERY, .text = text_of(text), .boost = by};
}

static esp_rule boost_word(const char *text, float by) {
    return (esp_rule){.kind = ESP_RULE_BOOST_WORD, .text = text_of(text), .boost = by};
}

static esp_rule pin(const char *text, uint32_t position, uint32_t min_prefix) {
    return (esp_rule){.kind = ESP_RULE_PIN_QUERY,
        .text = text_of(text),
        .position = position,
        .min_prefix = min_prefix};
}

static esp_overlay *made(const esp_rule *rules, size_t n) {
    esp_overlay *overlay = NULL;
    esp_error err = {0};
    if (esp_overlay_new(rules, n, &overlay, &err) != ESP_OK) {
        fprintf(stderr, "%s\n", err.message);
        CHECK(!"made");
    }
    return overlay;
}

#define MADE(...) \
    made((const esp_rule[]){__VA_ARGS__}, sizeof (const esp_rule[]){__VA_ARGS__} / sizeof(esp_rule))

static bool blocks(const esp_overlay *overlay, const char *text) {
    return esp_overlay_blocks(overlay, (const uint8_t *)text, strlen(text));
}

static float boosts(const esp_overlay *overlay, const char *text) {
    return esp_overlay_boost(overlay, (const uint8_t *)text, strlen(text));
}

static bool is_text(const esp_text *text, const char *expected) {
    return text->length == strlen(expected) && memcmp(text->data, expected, text->length) == 0;
}

static uint32_t pins(const esp_overlay *overlay, const char *prefix, esp_pin *out, uint32_t cap) {
    return esp_overlay_pins(overlay, (const uint8_t *)prefix, strlen(prefix), out, cap);
}

static void without_rules_nothing_changes(void) {
    esp_overlay *empty = made(NULL, 0);
    const esp_overlay *const overlays[] = {NULL, empty};
    for (size_t i = 0; i < 2; i++) {
        esp_pin out[2];
        CHECK(!blocks(overlays[i], "any text") && !blocks(overlays[i], ""));
        CHECK(!esp_overlay_blocks_word(overlays[i], (const uint8_t *)"any", 3));
        CHECK(boosts(overlays[i], "any text") == 0);
        CHECK(pins(overlays[i], "", out, 2) == 0);
    }
    esp_overlay_free(empty);
    esp_overlay_free(NULL);
}

static void a_blocked_query_is_blocked_as_a_whole(void) {
    esp_overlay *o =
        MADE(block("red shoes"), block("nike"), block("an exact query of some length"));
    CHECK(blocks(o, "red shoes") && blocks(o, "nike"));
    CHECK(blocks(o, "an exact query of some length"));
    CHECK(!blocks(o, "red") && !blocks(o, "red shoe") && !blocks(o, "red shoes blue"));
    CHECK(!blocks(o, "shoes red") && !blocks(o, "nike shoes") && !blocks(o, ""));
    CHECK(!esp_overlay_blocks_word(o, (const uint8_t *)"nike", 4));
    esp_overlay_free(o);
}

static void a_blocked_word_is_found_however_it_is_glued(void) {
    esp_overlay *o = MADE(block_word("bad"));
    static const char *const has[] = {"bad", "bad word", "a bad word", "so bad", "foo-bad",
        "bad-foo", "(bad)", "bad's", "l'bad", "bad,worse", "foo_bad", "x.bad.y",
        "bad\xF0\x9F\x91\x9F",
        "\xE2\x80\x9C"
        "bad\xE2\x80\x9D",
        "bad\xE5\xAD\x97",
        "\xE5\xAD\x97"
        "bad",
        "bad\xFF"};
    static const char *const has_not[] = {"bads", "abad", "ba d", "b-a-d", "", " ", "bad1",
        "badword",
        "b\xC3\xA9"
        "ad",
        "bad\xC3\xA9",
        "\xC3\xA9"
        "bad"};
    for (size_t i = 0; i < sizeof has / sizeof *has; i++)
        if (!blocks(o, has[i]))
            CHECK(!"has it");
    for (size_t i = 0; i < sizeof has_not / sizeof *has_not; i++)
        if (blocks(o, has_not[i]))
            CHECK(!"has it not");
    esp_overlay_free(o);
}

static void words_may_have_punctuation(void) {
    esp_overlay *o =
        MADE(block_word("c++"), block_word("foo-bar"), block_word("o'neil"), block_word("&"));
    CHECK(blocks(o, "learn c++ now") && !blocks(o, "learn c now") && !blocks(o, "c+"));
    CHECK(blocks(o, "(foo-bar)") && blocks(o, "a foo-bar!") && !blocks(o, "foo bar"));
    CHECK(blocks(o, "o'neil surf") && !blocks(o, "neil"));
    CHECK(blocks(o, "salt & pepper") && !blocks(o, "salt&pepper"));
    esp_overlay_free(o);
}

static void scripts_without_spaces_are_searched(void) {
    /* Two characters; four; and one word of mixed script. */
    esp_overlay *o = MADE(block_word("\xE7\x88\x86\xE5\xBC\xBE"),
        block_word("\xE6\xBC\xA2\xE5\xAD\x97\xE8\xBE\x9E\xE6\x9B\xB8"),
        block_word("t\xE3\x82\xB7\xE3\x83\xA3"));
    CHECK(blocks(o, "\xE7\x88\x86\xE5\xBC\xBE"));
    CHECK(blocks(o, "\xE5\xAD\x97\xE7\x88\x86\xE5\xBC\xBE\xE5\xAD\x97"));
    CHECK(blocks(o, "nike\xE5\xAD\x97\xE7\x88\x86\xE5\xBC\xBE"));
    CHECK(!blocks(o, "\xE7\x88\x86\xE5\xAD\x97\xE5\xBC\xBE"));
    CHECK(!blocks(o, "\xE7\x88\x86 \xE5\xBC\xBE"));
    CHECK(!blocks(o, "\xE5\xAD\x97\xE8\xBE\x9E\xE6\x9B\xB8"));
    CHECK(blocks(o, "\xE3\x81\x82\xE6\xBC\xA2\xE5\xAD\x97\xE8\xBE\x9E\xE6\x9B\xB8\xE3\x81\x82"));
    CHECK(blocks(o, "red-t\xE3\x82\xB7\xE3\x83\xA3"));
    CHECK(!blocks(o, "at\xE3\x82\xB7\xE3\x83\xA3"));
    esp_overlay_free(o);
}

static void a_long_word_of_such_a_script_is_a_whole_run(void) {
    char word[3 * 65 + 1];
    for (size_t i = 0; i < 65; i++)
        memcpy(word + 3 * i, "\xE5\xAD\x97", 3);
    word[3 * 65] = '\0';
    esp_overlay *whole = MADE(block_word(word));
    char longer[sizeof word + 3];
    strcat(strcpy(longer, word), "\xE6\x9B\xB8");
    CHECK(blocks(whole, word) && !blocks(whole, longer));
    word[3 * 64] = '\0';
    esp_overlay *part = MADE(block_word(word));
    CHECK(blocks(part, word) && blocks(part, longer));
    esp_overlay_free(whole);
    esp_overlay_free(part);
}

static void boosts_of_query_and_words_add_up(void) {
    esp_overlay *o = MADE(boost("red shoes", 2), boost_word("red", 0.5f), boost_word("old", -4),
        boost_word("t-shirt", 8), boost_word("shirt", 16));
    CHECK(boosts(o, "red shoes") == 2.5f);
    CHECK(boosts(o, "shoes red") == 0.5f);
    CHECK(boosts(o, "red old red shoes red") == -3.5f);
    CHECK(boosts(o, "(red) red-old") == -3.5f);
    CHECK(boosts(o, "t-shirt") == 24);
    CHECK(boosts(o, "t-shirts shirts") == 0);
    CHECK(!blocks(o, "red shoes"));
    esp_overlay_free(o);
}

static void thirty_two_words_of_one_text_count(void) {
    static char words[40][4];
    esp_rule rules[40];
    char text[400] = "";
    for (size_t i = 0; i < 40; i++) {
        snprintf(words[i], sizeof words[i], "w%zu", i);
        rules[i] = boost_word(words[i], 1);
        strcat(strcat(text, i == 0 ? "" : " "), words[i]);
    }
    esp_overlay *o = made(rules, 40);
    CHECK(boosts(o, text) == 32);
    CHECK(boosts(o, "w0 w1 w2") == 3);
    esp_overlay_free(o);
}

static void of_two_rules_of_a_kind_the_later_counts(void) {
    esp_overlay *o = MADE(boost("a", 1), boost("a", 3), boost_word("b", 1), boost_word("b", 0),
        pin("a", 4, 1), pin("b", 2, 1), pin("a", 1, 0));
    esp_pin out[3];
    CHECK(boosts(o, "a") == 3 && boosts(o, "b") == 0);
    CHECK(pins(o, "", out, 3) == 1 && out[0].position == 1 && is_text(&out[0].text, "a"));
    CHECK(pins(o, "a", out, 3) == 1 && out[0].position == 1);
    esp_overlay_free(o);
}

static void a_block_beats_pin_and_boost(void) {
    esp_overlay *o = MADE(pin("red shoes", 1, 0), pin("blue shoes", 2, 0), pin("green hat", 3, 0),
        boost("red shoes", 5), boost_word("hat", 5), block_word("hat"), block("red shoes"));
    esp_pin out[3];
    CHECK(blocks(o, "red shoes") && blocks(o, "green hat") && blocks(o, "hat"));
    CHECK(pins(o, "", out, 3) == 1 && is_text(&out[0].text, "blue shoes"));
    CHECK(out[0].position == 2);
    esp_overlay_free(o);
}

static void pins_come_for_their_prefixes(void) {
    esp_overlay *o = MADE(
        pin("shoes", 2, 0), pin("shirt", 1, 2), pin("sh", 3, 0), pin("\xC3\xA9t\xC3\xA9", 1, 2));
    esp_pin out[4];
    CHECK(
        pins(o, "", out, 4) == 2 && is_text(&out[0].text, "shoes") && is_text(&out[1].text, "sh"));
    CHECK(pins(o, "s", out, 4) == 2);
    CHECK(pins(o, "sh", out, 4) == 3 && is_text(&out[0].text, "shirt"));
    CHECK(is_text(&out[1].text, "shoes") && is_text(&out[2].text, "sh"));
    CHECK(out[0].position == 1 && out[1].position == 2 && out[2].position == 3);
    CHECK(pins(o, "sho", out, 4) == 1 && pins(o, "shoes", out, 4) == 1);
    CHECK(pins(o, "shoes ", out, 4) == 0 && pins(o, "shoesx", out, 4) == 0);
    CHECK(pins(o, "t", out, 4) == 0 && pins(o, "a", out, 4) == 0);
    CHECK(pins(o, "\xC3\xA9", out, 4) == 0 && pins(o, "\xC3\xA9t", out, 4) == 1);
    esp_overlay_free(o);
}

static void the_best_positions_are_kept(void) {
    esp_overlay *o =
        MADE(pin("e", 9, 0), pin("d", 2, 0), pin("c", 1, 0), pin("b", 2, 0), pin("a", 3, 0));
    esp_pin out[6];
    CHECK(pins(o, "", out, 3) == 3);
    CHECK(is_text(&out[0].text, "c") && is_text(&out[1].text, "d") && is_text(&out[2].text, "b"));
    CHECK(out[0].reserved == 0 && out[1].reserved == 0 && out[2].reserved == 0);
    CHECK(pins(o, "", out, 1) == 1 && is_text(&out[0].text, "c"));
    CHECK(pins(o, "", out, 0) == 0);
    CHECK(pins(o, "", out, 6) == 5 && is_text(&out[4].text, "e"));
    esp_overlay_free(o);
}

/* The answer "abcde" of at most k, with pins of texts and positions: "x1c3". */
static const char *placed(const char *answer, uint32_t k, const char *wanted) {
    static char texts[16];
    esp_suggestion out[8];
    esp_suggestion pinned[8];
    esp_pin pins_at[8];
    const uint32_t n = (uint32_t)strlen(answer);
    const uint32_t n_pins = (uint32_t)strlen(wanted) / 2;
    for (uint32_t i = 0; i < n; i++)
        out[i] = (esp_suggestion){.text = {(const uint8_t *)answer + i, 1}};
    for (uint32_t i = 0; i < n_pins; i++) {
        pins_at[i] = (esp_pin){.text = {(const uint8_t *)wanted + 2 * i, 1},
            .position = (uint32_t)(wanted[2 * i + 1] - '0')};
        pinned[i] = (esp_suggestion){.text = pins_at[i].text};
    }
    const uint32_t found = esp_overlay_place(pins_at, pinned, n_pins, out, n, k);
    for (uint32_t i = 0; i < found; i++) {
        texts[i] = (char)out[i].text.data[0];
        CHECK((out[i].pinned == 1) == (memchr(wanted, texts[i], 2 * (size_t)n_pins) != NULL));
    }
    texts[found] = '\0';
    return texts;
}

static void pins_are_put_into_an_answer(void) {
    CHECK(strcmp(placed("abcde", 5, ""), "abcde") == 0);
    CHECK(strcmp(placed("abcde", 5, "x1"), "xabcd") == 0);
    CHECK(strcmp(placed("abcde", 8, "x1"), "xabcde") == 0);
    CHECK(strcmp(placed("abcde", 5, "x5"), "abcdx") == 0);
    CHECK(strcmp(placed("abcde", 5, "x6"), "abcde") == 0);
    CHECK(strcmp(placed("ab", 5, "x5"), "abx") == 0);
    CHECK(strcmp(placed("", 5, "x3y9"), "xy") == 0);
    CHECK(strcmp(placed("abcde", 5, "x2y2z2"), "axyzb") == 0);
    CHECK(strcmp(placed("abcde", 2, "x1y1z1"), "xy") == 0);
    CHECK(strcmp(placed("abcde", 1, "x1"), "x") == 0);
    CHECK(strcmp(placed("abcde", 5, "c1"), "cabde") == 0);
    CHECK(strcmp(placed("abcde", 5, "a4"), "bcdae") == 0);
    CHECK(strcmp(placed("abcde", 5, "a9"), "bcdea") == 0);
    CHECK(strcmp(placed("abcde", 5, "e1x3a4"), "ebxac") == 0);
}

static void a_pin_may_be_shown_otherwise(void) {
    esp_rule rules[2] = {pin("nike air", 1, 0), pin("puma", 2, 0)};
    rules[0].display = text_of("Nike Air");
    esp_overlay *o = made(rules, 2);
    esp_pin out[2];
    CHECK(pins(o, "", out, 2) == 2);
    CHECK(is_text(&out[0].display, "Nike Air") && is_text(&out[1].display, "puma"));
    esp_overlay_free(o);
}

static void nothing_of_the_rules_is_borrowed(void) {
    char text[] = "secret";
    const esp_rule rules[2] = {block(text), pin("other", 1, 0)};
    esp_overlay *o = made(rules, 2);
    memset(text, 'x', 6);
    CHECK(blocks(o, "secret") && !blocks(o, "xxxxxx"));
    esp_overlay_free(o);
}

static void refused(esp_rule rule, esp_status expected) {
    const esp_rule rules[2] = {block("fine"), rule};
    esp_overlay *o = NULL;
    esp_error err = {0};
    CHECK(esp_overlay_new(rules, 2, &o, &err) == expected);
    CHECK(o == NULL && err.offset == 1 && err.status == (int32_t)expected);
    CHECK(strstr(err.message, "rule 1") != NULL);
}

static void bad_rules_are_refused(void) {
    static char long_text[4098];
    memset(long_text, 'a', sizeof long_text - 1);
    refused(block(""), ESP_E_ARGUMENT);
    refused(block(long_text), ESP_E_ARGUMENT);
    refused(block("\xC3"), ESP_E_UTF8);
    refused(block_word("two words"), ESP_E_ARGUMENT);
    refused(boost_word(" ", 1), ESP_E_ARGUMENT);
    refused(boost("a", 1e9f), ESP_E_ARGUMENT);
    refused(boost("a", -1e7f), ESP_E_ARGUMENT);
    refused(boost("a", 0.0f / (float)(long_text[0] - 'a')), ESP_E_ARGUMENT);
    refused(pin("a", 0, 0), ESP_E_ARGUMENT);
    refused(pin("a", 0xFFFFFFFFu, 0), ESP_E_ARGUMENT);
    esp_rule rule = block("a");
    rule.kind = 6;
    refused(rule, ESP_E_ARGUMENT);
    rule = block("a");
    rule.text.data = NULL;
    refused(rule, ESP_E_ARGUMENT);
    rule = pin("a", 1, 0);
    rule.display = text_of("\xFF");
    refused(rule, ESP_E_UTF8);
    rule.display = text_of(long_text);
    refused(rule, ESP_E_ARGUMENT);
    long_text[4096] = '\0';
    esp_overlay *o = MADE(block(long_text));
    CHECK(blocks(o, long_text));
    esp_overlay_free(o);
    esp_error err = {0};
    CHECK(esp_overlay_new(NULL, 1, &o, &err) == ESP_E_ARGUMENT);
    CHECK(esp_overlay_new(&rule, ((size_t)1 << 22) + 1, &o, &err) == ESP_E_LIMIT);
}

static void without_memory_nothing_is_made(void) {
    const esp_rule rules[2] = {block("a"), pin("b", 1, 0)};
    esp_overlay *o = NULL;
    esp_error err = {0};
    test_allocations_left = 0;
    CHECK(esp_overlay_new(rules, 2, &o, &err) == ESP_E_MEMORY);
    test_allocations_left = -1;
    CHECK(o == NULL);
}

/* Thousands of rules against a list that is searched from end to end. */
static void many_rules_are_all_found(void) {
    enum { N = 6000 };
    static char text[N][12];
    static esp_rule rules[N];
    uint64_t random = 3;
    for (size_t i = 0; i < N; i++) {
        const uint64_t number = esp_random_next(&random) % 9000;
        snprintf(text[i], sizeof text[i], "%c%llu", (char)('a' + number % 3),
            (unsigned long long)number);
        const uint32_t kind = (uint32_t)(1 + esp_random_next(&random) % 5);
        rules[i] = (esp_rule){.kind = kind,
            .text = text_of(text[i]),
            .position = 1 + (uint32_t)(number % 7),
            .boost = (float)(1 + number % 5)};
    }
    esp_overlay *o = made(rules, N);
    for (uint64_t number = 0; number < 9000; number++) {
        char asked[12];
        snprintf(
            asked, sizeof asked, "%c%llu", (char)('a' + number % 3), (unsigned long long)number);
        bool blocked = false;
        bool query = false;
        bool word = false;
        bool pinned = false;
        for (size_t i = 0; i < N; i++)
            if (strcmp(text[i], asked) == 0) {
                blocked |= rules[i].kind <= 2;
                pinned |= rules[i].kind == 3;
                query |= rules[i].kind == 4;
                word |= rules[i].kind == 5;
            }
        esp_pin out[3];
        const uint32_t found = pins(o, asked, out, 3);
        bool there = false;
        for (uint32_t i = 0; i < found; i++)
            there |= is_text(&out[i].text, asked);
        if (blocks(o, asked) != blocked ||
            boosts(o, asked) != (float)(query + word) * (float)(1 + number % 5))
            CHECK(!"as the list says");
        /* Longer numbers may stand before it, so it is only sure to be absent. */
        if (there && (!pinned || blocked))
            CHECK(!"no pin");
    }
    esp_overlay_free(o);
}

static void a_text_is_blocked_if_a_word_is_or_the_whole(void) {
    esp_overlay *o = MADE(block_word("b"), block("a a"), block_word("\xE5\xAD\x97"));
    static const char *const pieces[] = {
        "a", "b", "-", " ", "'", "\xE5\xAD\x97", "\xC3\xA9", "\xE5", "\xFF", "1"};
    uint64_t random = 1;
    for (int round = 0; round < 20000; round++) {
        char text[64] = "";
        for (size_t n = esp_random_next(&random) % 9; n > 0; n--)
            strcat(text, pieces[esp_random_next(&random) % 10]);
        /* Exactly as long as the text, so that a byte too far is seen. */
        const size_t length = strlen(text);
        uint8_t *exact = malloc(length == 0 ? 1 : length);
        memcpy(exact, text, length);
        bool expected = strcmp(text, "a a") == 0;
        for (size_t i = 0; i < length;) {
            size_t end = i;
            while (end < length && text[end] != ' ')
                end++;
            expected |= esp_overlay_blocks_word(o, exact + i, end - i);
            i = end + 1;
        }
        CHECK(esp_overlay_blocks(o, exact, length) == expected);
        free(exact);
    }
    esp_overlay_free(o);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(without_rules_nothing_changes);
    TEST(a_blocked_query_is_blocked_as_a_whole);
    TEST(a_blocked_word_is_found_however_it_is_glued);
    TEST(words_may_have_punctuation);
    TEST(scripts_without_spaces_are_searched);
    TEST(a_long_word_of_such_a_script_is_a_whole_run);
    TEST(boosts_of_query_and_words_add_up);
    TEST(thirty_two_words_of_one_text_count);
    TEST(of_two_rules_of_a_kind_the_later_counts);
    TEST(a_block_beats_pin_and_boost);
    TEST(pins_come_for_their_prefixes);
    TEST(the_best_positions_are_kept);
    TEST(pins_are_put_into_an_answer);
    TEST(a_pin_may_be_shown_otherwise);
    TEST(nothing_of_the_rules_is_borrowed);
    TEST(bad_rules_are_refused);
    TEST(without_memory_nothing_is_made);
    TEST(many_rules_are_all_found);
    TEST(a_text_is_blocked_if_a_word_is_or_the_whole);
    return TEST_END();
}
