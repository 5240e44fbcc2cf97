/* variants.c: see variants.h. */
#include "variants.h"

#include "hash.h"

enum { LEAST_LETTERS = 4 };

static const uint64_t seed = 0xCBF29CE484222325u;
static const uint8_t boundary = ' '; /* between two digits; no word has one */

/* FNV-1a; esp_hash_mix() makes the quality at the end. */
static uint64_t hash_add(uint64_t hash, uint8_t byte) {
    return (hash ^ byte) * 0x100000001B3u;
}

static bool is_letter(uint8_t byte) {
    return byte >= 'a' && byte <= 'z';
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

/* Bytes of the hyphen or apostrophe at the start of text[0..length), else 0:
 * - and ', U+2010, U+2019, and U+00AD, which is not even seen. */
static size_t joiner_length(const uint8_t *text, size_t length) {
    if (text[0] == '-' || text[0] == '\'')
        return 1;
    if (text[0] == 0xC2 && length >= 2 && text[1] == 0xAD)
        return 2;
    if (text[0] == 0xE2 && length >= 3 && text[1] == 0x80 && (text[2] == 0x90 || text[2] == 0x99))
        return 3;
    return 0;
}

/* How a word loses its plural: so many letters at the end, for these. */
typedef struct esp_ending {
    size_t letters; /* letters that stay */
    bool y;         /* then comes a y */
} esp_ending;

/* `tail` holds the last letters of a word of n, the last one lowest. */
static esp_ending singular(uint64_t tail, size_t n) {
    const esp_ending whole = {.letters = n};
    if (n < LEAST_LETTERS)
        return whole;
    uint8_t last = (uint8_t)tail;
    uint8_t second = (uint8_t)(tail >> 8);
    size_t left = n;
    if (last == 's' && second != 's' && second != 'u' && second != 'i') {
        left--;
        tail >>= 8;
        last = (uint8_t)tail;
        second = (uint8_t)(tail >> 8);
    }
    if (left < LEAST_LETTERS || last != 'e')
        return (esp_ending){.letters = left};
    const uint8_t third = (uint8_t)(tail >> 16);
    if (second == 'i')
        return (esp_ending){.letters = left - 2, .y = true};
    const bool added = second == 'x' || second == 'o' ||
                       (second == 'h' && (third == 'c' || third == 's')) ||
                       (second == 's' && third == 's');
    return (esp_ending){.letters = left - added};
}

/* Two hashes as they grow. */
typedef struct esp_variant_state {
    uint64_t letters;
    uint64_t word;
    uint8_t before; /* the last byte of a letter or digit, 0: none yet */
} esp_variant_state;

static void add_byte(esp_variant_state *s, uint8_t byte) {
    s->letters = hash_add(s->letters, byte);
    s->word = hash_add(s->word, byte);
    s->before = byte;
}

/* One word, between two spaces.  false if it is made of hyphens alone. */
static bool add_word(esp_variant_state *s, const uint8_t *word, size_t length) {
    uint64_t tail = 0;
    size_t n = 0;
    bool plain = true;
    for (size_t i = 0; i < length;) {
        const size_t joiner = joiner_length(word + i, length - i);
        if (joiner == 0) {
            plain &= is_letter(word[i]);
            tail = tail << 8 | word[i];
            n++;
        }
        i += joiner == 0 ? 1 : joiner;
    }
    const esp_ending ending = plain ? singular(tail, n) : (esp_ending){.letters = n};
    s->word = seed;
    /* A space, if there was one, parted the digits before from those here. */
    bool parted = true;
    bool first = true;
    size_t added = 0;
    for (size_t i = 0; added < ending.letters;) {
        const size_t joiner = joiner_length(word + i, length - i);
        if (joiner != 0) {
            parted = true;
            i += joiner;
            continue;
        }
        if (parted && is_digit(s->before) && is_digit(word[i])) {
            s->letters = hash_add(s->letters, boundary);
            if (!first)
                s->word = hash_add(s->word, boundary);
        }
        add_byte(s, word[i++]);
        parted = false;
        first = false;
        added++;
    }
    if (ending.y)
        add_byte(s, 'y');
    return n > 0;
}

void esp_variant_of(const uint8_t *text, size_t length, esp_variant *out) {
    esp_variant_state s = {.letters = seed};
    uint64_t words = 0;
    bool any = false;
    size_t i = 0;
    while (i < length) {
        const size_t start = i;
        while (i < length && text[i] != ' ')
            i++;
        if (i > start && add_word(&s, text + start, i - start)) {
            /* A sum does not know an order, and counts a word as often as it stands. */
            words += esp_hash_mix(s.word);
            any = true;
        }
        i++;
    }
    if (any) {
        *out = (esp_variant){.words = words, .letters = esp_hash_mix(s.letters)};
        return;
    }
    /* Hyphens alone, or nothing: like only to itself. */
    const uint64_t whole = esp_hash_bytes(text, length);
    *out = (esp_variant){.words = whole, .letters = whole};
}
