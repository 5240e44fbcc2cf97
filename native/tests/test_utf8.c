/* test_utf8.c: UTF-8, classes of characters, and the checksum. */
#include "test.h"

#include "../src/utf8.h"

static uint32_t encode(uint32_t point, uint8_t out[4]) {
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xC0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xE0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (point & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (point & 63));
    return 4;
}

static void every_scalar_value_is_read_back(void) {
    for (uint32_t point = 0; point < 0x110000; point++) {
        uint8_t text[4];
        uint32_t found = 0;
        const uint32_t length = encode(point, text);
        const bool surrogate = point >= 0xD800 && point < 0xE000;
        const uint32_t step = esp_utf8_step(text, length, &found);
        if (surrogate ? step != 0 : step != length || found != point)
            CHECK(!"step");
        if (!surrogate && esp_utf8_length(text[0]) != length)
            CHECK(!"length");
        for (uint32_t cut = 1; cut < length; cut++)
            if (esp_utf8_step(text, cut, &found) != 0)
                CHECK(!"cut short");
    }
}

/* Unicode, table 3-7, as ranges of the second byte. */
static bool well_formed_start(uint8_t a, uint8_t b) {
    if (a >= 0xC2 && a <= 0xDF)
        return b >= 0x80 && b <= 0xBF;
    if (a == 0xE0)
        return b >= 0xA0 && b <= 0xBF;
    if (a == 0xED)
        return b >= 0x80 && b <= 0x9F;
    if (a >= 0xE1 && a <= 0xEF)
        return b >= 0x80 && b <= 0xBF;
    if (a == 0xF0)
        return b >= 0x90 && b <= 0xBF;
    if (a == 0xF4)
        return b >= 0x80 && b <= 0x8F;
    return a >= 0xF1 && a <= 0xF3 && b >= 0x80 && b <= 0xBF;
}

static void first_two_bytes_decide_as_the_standard_says(void) {
    for (uint32_t a = 0x80; a < 256; a++)
        for (uint32_t b = 0; b < 256; b++) {
            const uint8_t text[4] = {(uint8_t)a, (uint8_t)b, 0x80, 0x80};
            uint32_t point = 0;
            const bool accepted = esp_utf8_step(text, 4, &point) != 0;
            if (accepted != well_formed_start(text[0], text[1]))
                CHECK(!"table 3-7");
        }
}

static void the_first_bad_byte_is_found(void) {
    const uint8_t text[] = {'a', 0xC3, 0xA9, 0xFF, 'b'};
    CHECK(esp_utf8_check(text, 3) == 3);
    CHECK(esp_utf8_check(text, 2) == 1);
    CHECK(esp_utf8_check(text, 5) == 3);
    CHECK(esp_utf8_check(NULL, 0) == 0);
}

static void characters_have_their_class(void) {
    CHECK(esp_char_classify('a') == ESP_CHAR_WORD);
    CHECK(esp_char_classify('Z') == ESP_CHAR_WORD);
    CHECK(esp_char_classify('7') == ESP_CHAR_WORD);
    CHECK(esp_char_classify('@') == ESP_CHAR_SEPARATOR);
    CHECK(esp_char_classify('[') == ESP_CHAR_SEPARATOR);
    CHECK(esp_char_classify('`') == ESP_CHAR_SEPARATOR);
    CHECK(esp_char_classify('{') == ESP_CHAR_SEPARATOR);
    CHECK(esp_char_classify(' ') == ESP_CHAR_SEPARATOR);
    CHECK(esp_char_classify(0xE9) == ESP_CHAR_WORD);        /* e with acute */
    CHECK(esp_char_classify(0x301) == ESP_CHAR_WORD);       /* combining acute */
    CHECK(esp_char_classify(0x5D0) == ESP_CHAR_WORD);       /* alef */
    CHECK(esp_char_classify(0x5B57) == ESP_CHAR_UNSPACED);  /* Han */
    CHECK(esp_char_classify(0x20000) == ESP_CHAR_UNSPACED); /* Han, extension B */
    CHECK(esp_char_classify(0xE01) == ESP_CHAR_UNSPACED);   /* Thai */
    CHECK(esp_char_classify(0xE3F) == ESP_CHAR_SEPARATOR);  /* baht sign */
    CHECK(esp_char_classify(0x1F45F) == ESP_CHAR_SEPARATOR);
    CHECK(esp_char_classify(0x10FFFF) == ESP_CHAR_SEPARATOR);
}

static void letters_numbers_and_digits_are_told_apart(void) {
    CHECK(esp_char_is_alnum('a') && esp_char_is_alnum('7') && esp_char_is_alnum(0xE9));
    CHECK(esp_char_is_alnum(0x5B57) && esp_char_is_alnum(0xB2)); /* superscript two */
    CHECK(esp_char_is_alnum(0x104A3) && esp_char_is_alnum(0x20000));
    CHECK(!esp_char_is_alnum('_') && !esp_char_is_alnum(0x301) && !esp_char_is_alnum(0x94D));
    CHECK(!esp_char_is_alnum(0x1F45F) && !esp_char_is_alnum(0x10FFFF));
    CHECK(esp_char_is_digit('0') && esp_char_is_digit('9') && !esp_char_is_digit('a'));
    CHECK(!esp_char_is_digit(0xB2) && !esp_char_is_digit(0x65F) && !esp_char_is_digit(0x66A));
    CHECK(esp_char_is_digit(0x660) && esp_char_is_digit(0x669) && esp_char_is_digit(0x1FBF9));
    CHECK(!esp_char_is_digit(0x80) && !esp_char_is_digit(0x10FFFF));
}

static void the_checksum_has_its_published_values(void) {
    uint8_t bytes[32] = {0};
    CHECK(esp_crc32c(0, (const uint8_t *)"123456789", 9) == 0xE3069283u);
    CHECK(esp_crc32c(0, bytes, 32) == 0x8A9136AAu); /* RFC 3720, B.4 */
    memset(bytes, 0xFF, sizeof bytes);
    CHECK(esp_crc32c(0, bytes, 32) == 0x62A8AB43u);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    CHECK(esp_crc32c(0, bytes, 32) == 0x46DD794Eu);
    CHECK(esp_crc32c(0, NULL, 0) == 0);
}

static void the_checksum_continues_and_does_not_depend_on_the_step(void) {
    static uint8_t bytes[10007];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)esp_random_next(&random);
    const uint32_t whole = esp_crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 617)
        CHECK(esp_crc32c(esp_crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut) == whole);
    uint32_t slow = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        slow = esp_crc32c(slow, bytes + i, 1);
    CHECK(slow == whole);
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(every_scalar_value_is_read_back);
    TEST(first_two_bytes_decide_as_the_standard_says);
    TEST(the_first_bad_byte_is_found);
    TEST(characters_have_their_class);
    TEST(letters_numbers_and_digits_are_told_apart);
    TEST(the_checksum_has_its_published_values);
    TEST(the_checksum_continues_and_does_not_depend_on_the_step);
    return TEST_END();
}
