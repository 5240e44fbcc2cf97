/* variants.c: see variants.h. */
#include "variants.h"

#include "hash.h"

enum { LEAST_LETTERS = 4 }; /* of a word that can be a plural */

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

/* What the plural rule does to the end of a word. */
typedef struct esp_ending {
    uint32_t goes; /* letters that go */
    bool y;        /* then comes a y */
} esp_ending;

/* `tail` holds the last letters of a word of n, the last one lowest. */
static esp_ending singular(uint32_t tail, size_t n, bool may_lose_s) {
    esp_ending ending = {0};
    if (n < LEAST_LETTERS)
        return ending;
    const uint8_t before_s = (uint8_t)(tail >> 8);
    if (may_lose_s && (uint8_t)tail == 's' && before_s != 's' && before_s != 'u' &&
        before_s != 'i') {
        ending.goes = 1;
        tail >>= 8;
        n--;
    }
    if (n < LEAST_LETTERS || (uint8_t)tail != 'e')
        return ending;
    const uint8_t second = (uint8_t)(tail >> 8);
    const uint8_t third = (uint8_t)(tail >> 16);
    if (second == 'i') {
        ending.goes += 2;
        ending.y = true;
    } else if (second == 'x' || second == 'o' || (second == 's' && third == 's') ||
               (second == 'h' && (third == 'c' || third == 's'))) {
        ending.goes++;
    }
    return ending;
}

enum { ESP_STEPS = 4 }; /* no ending takes more than three letters away */

/* A hash that can take back its last bytes, and what these were. */
typedef struct esp_spelled {
    uint64_t hash[ESP_STEPS]; /* now, and without the last one, two, three bytes */
    uint32_t tail;            /* the last bytes, the last one lowest */
    size_t letters;           /* of a to z, at the end */
} esp_spelled;

static void add_byte(esp_spelled *s, uint8_t byte) {
    for (size_t i = ESP_STEPS - 1; i > 0; i--)
        s->hash[i] = s->hash[i - 1];
    s->hash[0] = hash_add(s->hash[0], byte);
    s->tail = s->tail << 8 | byte;
    s->letters = is_letter(byte) ? s->letters + 1 : 0;
}

static uint64_t finish(const esp_spelled *s, bool may_lose_s) {
    const esp_ending ending = singular(s->tail, s->letters, may_lose_s);
    const uint64_t hash = s->hash[ending.goes];
    return esp_hash_mix(ending.y ? hash_add(hash, 'y') : hash);
}

/* Adds what stands between two spaces to the letters of the text, and spells it
 * into `word`.  Returns how many bytes besides hyphens it has. */
static size_t spell(esp_spelled *letters, esp_spelled *word, const uint8_t *text, size_t length) {
    *word = (esp_spelled){.hash = {seed}};
    bool parted = true; /* a space or a hyphen came before */
    size_t n = 0;
    for (size_t i = 0; i < length;) {
        const size_t joiner = joiner_length(text + i, length - i);
        if (joiner != 0) {
            parted = true;
            i += joiner;
            continue;
        }
        if (parted && is_digit((uint8_t)letters->tail) && is_digit(text[i])) {
            add_byte(letters, boundary);
            if (n > 0)
                add_byte(word, boundary);
        }
        add_byte(letters, text[i]);
        add_byte(word, text[i]);
        parted = false;
        n++;
        i++;
    }
    return n;
}

/* "to" and "from": what stands before is not what stands behind. */
static bool directs(const esp_spelled *word, size_t n) {
    return (n == 2 && word->tail == 0x746Fu) || (n == 4 && word->tail == 0x66726F6Du);
}

void esp_variant_of(const uint8_t *text, size_t length, esp_variant *out) {
    esp_spelled letters = {.hash = {seed}};
    esp_spelled word;
    uint64_t words = 0;
    uint64_t in_order = seed;
    bool ordered = false;
    bool any = false;
    bool long_end = false; /* the last word is one the plural rule looks at */
    for (size_t i = 0; i < length; i++) {
        const size_t start = i;
        while (i < length && text[i] != ' ')
            i++;
        const size_t n = spell(&letters, &word, text + start, i - start);
        if (n == 0)
            continue;
        any = true;
        long_end = word.letters >= LEAST_LETTERS;
        const bool plain = word.letters == n;
        /* A sum does not know an order, and counts a word as often as it stands. */
        const uint64_t key = plain ? finish(&word, true) : esp_hash_mix(word.hash[0]);
        words += key;
        in_order = esp_hash_mix(in_order ^ key);
        ordered |= directs(&word, n);
    }
    if (any) {
        *out = (esp_variant){
            .words = ordered ? in_order : words, .letters = finish(&letters, long_end)};
        return;
    }
    /* Hyphens alone, or nothing: like only to itself. */
    const uint64_t whole = length == 0 ? seed : esp_hash_bytes(text, length);
    *out = (esp_variant){.words = whole, .letters = whole};
}
