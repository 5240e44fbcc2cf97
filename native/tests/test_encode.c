/* test_encode.c: answers as bytes of a message. */
#include "test.h"

#include "../include/espalier.h"

static uint8_t out[512];
static size_t bytes;
static uint32_t by_source[4];

static esp_text text(const char *words) {
    return (esp_text){(const uint8_t *)words, strlen(words)};
}

static esp_status encode(const esp_suggestion *found, size_t n, const char *prefix, size_t cap) {
    const esp_text typed = text(prefix);
    const esp_status status = esp_suggestions_encode(
        found, n, typed.data, (size_t)typed.length, 2, out, cap, &bytes, by_source, NULL);
    return status;
}

static void nothing_found_takes_no_bytes(void) {
    CHECK(encode(NULL, 0, "ab", 0) == ESP_OK && bytes == 0);
    CHECK(by_source[0] + by_source[1] + by_source[2] + by_source[3] == 0);
}

static void a_suggestion_is_a_message_in_a_field(void) {
    const esp_suggestion one = {.text = text("ab"),
        .display = text("Ab"),
        .source = ESP_SOURCE_TAIL,
        .score = 1.0f,
        .matched = 1};
    static const uint8_t expected[] = {0x12, 21, 0x0A, 2, 'a', 'b', 0x12, 2, 'A', 'b', 0x19, 0, 0,
        0, 0, 0, 0, 0xF0, 0x3F, 0x20, 3, 0x28, 1};
    CHECK(encode(&one, 1, "a", sizeof out) == ESP_OK);
    /* The last field: one code point is one unit of UTF-16. */
    CHECK(bytes == sizeof expected + 2 && out[1] == 23 && out[0] == expected[0]);
    CHECK(memcmp(out + 2, expected + 2, sizeof expected - 2) == 0);
    CHECK(out[bytes - 2] == 0x30 && out[bytes - 1] == 1);
    CHECK(by_source[2] == 1 && by_source[0] + by_source[1] + by_source[3] == 0);
}

static void what_is_zero_is_left_out(void) {
    const esp_suggestion one = {
        .text = text("ab"), .display = text("ab"), .source = ESP_SOURCE_MODEL};
    CHECK(encode(&one, 1, "", sizeof out) == ESP_OK);
    CHECK(bytes == 2 + 4 + 4 + 2);
}

static void units_of_utf_16_are_not_code_points(void) {
    const esp_suggestion one = {.text = text("\xC3\xA9\xF0\x9F\x98\x80x"),
        .display = text("x"),
        .source = ESP_SOURCE_CORRECTED,
        .matched = 6};
    CHECK(encode(&one, 1, "zzzzz", sizeof out) == ESP_OK);
    CHECK(out[bytes - 4] == 0x28 && out[bytes - 3] == 2);
    CHECK(out[bytes - 2] == 0x30 && out[bytes - 1] == 3);
}

static void too_little_room_says_how_much_is_needed(void) {
    const esp_suggestion two[] = {
        {.text = text("abc"), .display = text("abc"), .source = ESP_SOURCE_POPULAR},
        {.text = text("abd"), .display = text("abd"), .source = ESP_SOURCE_POPULAR}};
    CHECK(encode(two, 2, "ab", sizeof out) == ESP_OK);
    const size_t whole = bytes;
    for (size_t cap = 0; cap < whole; cap++) {
        memset(out, 0xEE, sizeof out);
        CHECK(encode(two, 2, "ab", cap) == ESP_OK && bytes == whole);
        for (size_t i = cap; i < sizeof out; i++)
            CHECK(out[i] == 0xEE);
    }
}

static void a_text_cut_inside_a_character_is_damage(void) {
    esp_suggestion one = {.text = text("\xC3\xA9x"),
        .display = text("x"),
        .source = ESP_SOURCE_CORRECTED,
        .matched = 1};
    CHECK(encode(&one, 1, "e", sizeof out) == ESP_E_CORRUPT);
    one.matched = 4;
    CHECK(encode(&one, 1, "e", sizeof out) == ESP_E_CORRUPT);
}

static void a_field_has_a_number_of_one_byte(void) {
    CHECK(esp_suggestions_encode(NULL, 0, out, 0, 0, out, 0, &bytes, by_source, NULL) ==
          ESP_E_ARGUMENT);
    CHECK(esp_suggestions_encode(NULL, 0, out, 0, 16, out, 0, &bytes, by_source, NULL) ==
          ESP_E_ARGUMENT);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(nothing_found_takes_no_bytes);
    TEST(a_suggestion_is_a_message_in_a_field);
    TEST(what_is_zero_is_left_out);
    TEST(units_of_utf_16_are_not_code_points);
    TEST(too_little_room_says_how_much_is_needed);
    TEST(a_text_cut_inside_a_character_is_damage);
    TEST(a_field_has_a_number_of_one_byte);
    return TEST_END();
}
