/* utf8.h: decoding and checking of UTF-8, and what words are made of. */
#ifndef ESP_UTF8_H
#define ESP_UTF8_H

#include "base.h"

/* Length of the well-formed sequence at text[0..length), 0 if there is none
 * (Unicode 15, table 3-7: no overlong forms, no surrogates).  length > 0. */
uint32_t esp_utf8_step(const uint8_t *text, size_t length, uint32_t *point);

/* Length of the sequence that starts with `first`, in text already checked. */
static inline uint32_t esp_utf8_length(uint8_t first) {
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* Writes a code point that is not a surrogate; returns its bytes, 1 to 4. */
uint32_t esp_utf8_encode(uint32_t point, uint8_t *out);

/* Offset of the first byte that is not UTF-8; `length` if there is none. */
size_t esp_utf8_check(const uint8_t *text, size_t length);

typedef enum esp_char_class {
    ESP_CHAR_SEPARATOR,
    ESP_CHAR_WORD,
    ESP_CHAR_UNSPACED /* of a script written without spaces */
} esp_char_class;

esp_char_class esp_char_classify(uint32_t point);

/* Whether a code point is a letter or a number; a mark is neither. */
bool esp_char_is_alnum(uint32_t point);

/* Whether it is a decimal digit of any script. */
bool esp_char_is_digit(uint32_t point);

#endif
