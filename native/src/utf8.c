/* utf8.c: see utf8.h. */
#include "utf8.h"

#include "unicode_words.h"

static bool is_tail(uint8_t byte) {
    return (byte & 0xC0u) == 0x80u;
}

uint32_t esp_utf8_step(const uint8_t *text, size_t length, uint32_t *point) {
    const uint8_t a = text[0];
    if (a < 0x80) {
        *point = a;
        return 1;
    }
    if (a < 0xC2 || a > 0xF4)
        return 0;
    if (a < 0xE0) {
        if (length < 2 || !is_tail(text[1]))
            return 0;
        *point = ((uint32_t)(a & 0x1Fu) << 6) | (text[1] & 0x3Fu);
        return 2;
    }
    if (a < 0xF0) {
        if (length < 3 || !is_tail(text[1]) || !is_tail(text[2]))
            return 0;
        *point =
            ((uint32_t)(a & 0x0Fu) << 12) | ((uint32_t)(text[1] & 0x3Fu) << 6) | (text[2] & 0x3Fu);
        return *point < 0x800 || (*point >= 0xD800 && *point <= 0xDFFF) ? 0 : 3;
    }
    if (length < 4 || !is_tail(text[1]) || !is_tail(text[2]) || !is_tail(text[3]))
        return 0;
    *point = ((uint32_t)(a & 0x07u) << 18) | ((uint32_t)(text[1] & 0x3Fu) << 12) |
             ((uint32_t)(text[2] & 0x3Fu) << 6) | (text[3] & 0x3Fu);
    return *point < 0x10000 || *point > 0x10FFFF ? 0 : 4;
}

uint32_t esp_utf8_encode(uint32_t point, uint8_t *out) {
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    const uint32_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (uint32_t i = n - 1; i > 0; i--, point >>= 6)
        out[i] = (uint8_t)(0x80u | (point & 0x3Fu));
    out[0] = (uint8_t)((n == 2 ? 0xC0u : n == 3 ? 0xE0u : 0xF0u) | point);
    return n;
}

size_t esp_utf8_check(const uint8_t *text, size_t length) {
    size_t i = 0;
    while (i < length) {
        uint32_t point = 0;
        const uint32_t step = text[i] < 0x80 ? 1 : esp_utf8_step(text + i, length - i, &point);
        if (step == 0)
            return i;
        i += step;
    }
    return length;
}

static bool in_ranges(const esp_code_range *ranges, size_t n, uint32_t point) {
    size_t lo = 0;
    size_t hi = n;
    while (lo < hi) {
        const size_t middle = lo + (hi - lo) / 2;
        if (ranges[middle].hi < point)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < n && ranges[lo].lo <= point;
}

static bool is_ascii_alnum(uint32_t point) {
    const bool letter = (point | 0x20u) >= 'a' && (point | 0x20u) <= 'z';
    return letter || (point >= '0' && point <= '9');
}

bool esp_char_is_alnum(uint32_t point) {
    if (point < 0x80)
        return is_ascii_alnum(point);
    if (point < 0x10000)
        return (esp_letter_masks[esp_letter_blocks[point / 64]] >> (point % 64) & 1) != 0;
    return in_ranges(
        esp_letter_ranges, sizeof esp_letter_ranges / sizeof *esp_letter_ranges, point);
}

bool esp_char_is_digit(uint32_t point) {
    if (point < 0x80)
        return point >= '0' && point <= '9';
    size_t lo = 0;
    size_t hi = sizeof esp_zeros / sizeof *esp_zeros;
    while (lo < hi) {
        const size_t middle = lo + (hi - lo) / 2;
        if (esp_zeros[middle] <= point)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo > 0 && point - esp_zeros[lo - 1] < 10;
}

esp_char_class esp_char_classify(uint32_t point) {
    if (point < 0x80)
        return is_ascii_alnum(point) ? ESP_CHAR_WORD : ESP_CHAR_SEPARATOR;
    const bool word =
        point < 0x10000
            ? (esp_word_masks[esp_word_blocks[point / 64]] >> (point % 64) & 1) != 0
            : in_ranges(esp_word_ranges, sizeof esp_word_ranges / sizeof *esp_word_ranges, point);
    if (!word)
        return ESP_CHAR_SEPARATOR;
    if (point < esp_unspaced_ranges[0].lo)
        return ESP_CHAR_WORD;
    if (in_ranges(
            esp_unspaced_ranges, sizeof esp_unspaced_ranges / sizeof *esp_unspaced_ranges, point))
        return ESP_CHAR_UNSPACED;
    return ESP_CHAR_WORD;
}
