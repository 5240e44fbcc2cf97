/* blocklist.c: asking whether a text may be put together.
 *
 * Three questions: is the hash of the text there, that of a word, and are there digits
 * enough for a number?  The second is asked about words that come in, since texts are
 * many more and made of them. */
#include "blocklist.h"

#include "hash.h"
#include "index.h"
#include "utf8.h"

/* A query and a word of the same text have different hashes. */
#define QUERY_SEED 0x5DEECE66D1CE4E5Bu
#define WORD_SEED 0xA24BAED4963EE407u

enum {
    NUMBER_DIGITS = 9,        /* of a long number ... */
    INTERNATIONAL_DIGITS = 8, /* ... and of one that begins with a plus sign */
    NUMBER_GAP = 2            /* characters between two digits of it, at most */
};

bool esp_blocklist_open(const uint8_t *data, uint64_t length, esp_blocklist *list) {
    const esp_block_header *head = (const void *)data;
    if (length < sizeof *head || head->bits > ESP_BLOCK_BITS)
        return false;
    const uint64_t n = (uint64_t)head->n_queries + head->n_words;
    const uint64_t n_first = ((uint64_t)1 << head->bits) + 1;
    if (n > ESP_BLOCK_LIMIT || length != sizeof *head + n * 8 + n_first * 4)
        return false;
    list->n = (uint32_t)n;
    list->head = head;
    list->hash = (const void *)(data + sizeof *head);
    list->first = (const void *)(list->hash + n);
    return true;
}

static uint32_t bucket_of(uint64_t hash, uint32_t bits) {
    return bits == 0 ? 0 : (uint32_t)(hash >> (64 - bits));
}

static uint64_t hash_of(uint64_t seed, const uint8_t *text, size_t length) {
    return esp_hash_mix(esp_hash_bytes(text, length) ^ seed);
}

static bool has(const esp_blocklist *list, uint64_t seed, const uint8_t *text, size_t length) {
    const uint64_t hash = hash_of(seed, text, length);
    const uint32_t *first = list->first + bucket_of(hash, list->head->bits);
    uint32_t lo = first[0];
    uint32_t hi = esp_min_u32(first[1], list->n);
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (list->hash[middle] == hash)
            return true;
        if (list->hash[middle] < hash)
            lo = middle + 1;
        else
            hi = middle;
    }
    return false;
}

/* ---- words -------------------------------------------------------------- */

static bool is_plain(uint8_t byte) {
    return (uint8_t)((byte | 0x20u) - 'a') < 26 || (uint8_t)(byte - '0') < 10 || byte == '_';
}

/* The code point at text[at], and its bytes: what is not UTF-8 separates. */
static uint32_t point_at(const uint8_t *text, size_t length, size_t at, uint32_t *step) {
    uint32_t point = ' ';
    *step = esp_utf8_step(text + at, length - at, &point);
    if (*step == 0)
        *step = 1;
    return point;
}

/* Whether what stands between two spaces is blocked, or a run of letters, numbers and
 * underscores in it. */
static bool blocks_word(const esp_blocklist *list, const uint8_t *word, size_t length) {
    if (has(list, WORD_SEED, word, length))
        return true;
    size_t i = 0;
    while (i < length && is_plain(word[i]))
        i++;
    if (i == length)
        return false;
    size_t run = 0;
    uint32_t step = 0;
    for (i = 0; i < length; i += step) {
        const uint32_t point = point_at(word, length, i, &step);
        if (point == '_' || esp_char_is_alnum(point))
            continue;
        if (i > run && has(list, WORD_SEED, word + run, i - run))
            return true;
        run = i + step;
    }
    return run > 0 && run < length && has(list, WORD_SEED, word + run, length - run);
}

/* ---- numbers ------------------------------------------------------------ */

/* 1 for a byte that is a digit or begins one of another script (U+0660, U+06F0, U+07C0,
 * U+0900 to 1FFF, U+A000 to AFFF, U+F000 to FFFF, beyond); for an at sign, which is
 * reason enough to look closer, as much as for so many digits. */
/* clang-format off */
static const uint8_t suspicion[256] = {
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1, [0xD9] = 1, [0xDB] = 1, [0xDF] = 1, [0xE0] = 1, [0xE1] = 1,
    [0xEA] = 1, [0xEF] = 1, [0xF0] = 1, [0xF1] = 1, [0xF2] = 1, [0xF3] = 1, [0xF4] = 1,
    ['@'] = INTERNATIONAL_DIGITS,
};
/* clang-format on */

static bool may_stand_between_digits(uint32_t point) {
    return point == ' ' || point == '-' || point == '.' || point == '/' || point == '(' ||
           point == ')';
}

/* Digits with little between them: enough of them are a telephone number, a card, an
 * account, whatever their grouping. */
static bool has_long_number(const uint8_t *text, size_t length) {
    uint32_t digits = 0;
    uint32_t gap = 0;
    bool plus = false;
    uint32_t step = 0;
    for (size_t i = 0; i < length; i += step) {
        const uint32_t point = point_at(text, length, i, &step);
        if (esp_char_is_digit(point)) {
            gap = 0;
            if (++digits >= (plus ? INTERNATIONAL_DIGITS : NUMBER_DIGITS))
                return true;
        } else if (point == '+') {
            digits = 0;
            gap = 0;
            plus = true;
        } else if (!may_stand_between_digits(point) || ++gap > NUMBER_GAP) {
            digits = 0;
            plus = false;
        }
    }
    return false;
}

static bool has_address(const uint8_t *text, size_t length) {
    for (size_t i = 1; i < length; i++)
        if (text[i] == '@' && text[i - 1] != ' ')
            return true;
    return false;
}

/* Nearly every text has few digits and no at sign: one look at each byte says so. */
static bool has_number(const uint8_t *text, size_t length) {
    uint32_t found = 0;
    for (size_t i = 0; i < length; i++)
        found += suspicion[text[i]];
    return found >= INTERNATIONAL_DIGITS &&
           (has_address(text, length) || has_long_number(text, length));
}

static bool has_digit(const uint8_t *word, size_t length) {
    uint32_t step = 0;
    for (size_t i = 0; i < length; i += step)
        if (esp_char_is_digit(point_at(word, length, i, &step)))
            return true;
    return false;
}

/* ---- asking ------------------------------------------------------------- */

bool esp_blocklist_finds_number(const esp_blocklist *list, const uint8_t *text, size_t length) {
    return list->head != NULL && (list->head->flags & ESP_BLOCK_NUMBERS) != 0 &&
           has_number(text, length);
}

bool esp_blocklist_blocks_whole(const esp_blocklist *list, const uint8_t *text, size_t length) {
    return list->head != NULL &&
           ((list->head->n_queries > 0 && has(list, QUERY_SEED, text, length)) ||
               esp_blocklist_finds_number(list, text, length));
}

bool esp_blocklist_blocks_words(const esp_blocklist *list, const uint8_t *text, size_t length) {
    const uint8_t *word = NULL;
    uint32_t bytes = 0;
    size_t at = 0;
    if (list->head == NULL || list->head->n_words == 0)
        return false;
    while (esp_next_word(text, length, &at, &word, &bytes))
        if (blocks_word(list, word, bytes))
            return true;
    return false;
}

bool esp_blocklist_blocks(const esp_blocklist *list, const uint8_t *text, size_t length) {
    return esp_blocklist_blocks_whole(list, text, length) ||
           esp_blocklist_blocks_words(list, text, length);
}

bool esp_blocklist_hides(
    const esp_blocklist *list, const uint8_t *word, size_t length, bool in_number) {
    if (list->head == NULL)
        return false;
    return (list->head->n_words > 0 && blocks_word(list, word, length)) ||
           esp_blocklist_finds_number(list, word, length) || (in_number && has_digit(word, length));
}

bool esp_index_blocks(const esp_index *index, const uint8_t *text, size_t length) {
    return esp_blocklist_blocks(&index->blocklist, text, length);
}

/* ---- checking ----------------------------------------------------------- */

static esp_status damaged(const char *check, uint64_t where, esp_error *err) {
    return esp_index_damaged(ESP_SEC_BLCK, check, where, err);
}

esp_status esp_blocklist_validate(
    const esp_blocklist *list, const esp_words *words, esp_error *err) {
    const esp_block_header *head = list->head;
    if ((head->flags & ~(uint32_t)ESP_BLOCK_FLAGS) != 0)
        return damaged("K2", 0, err);
    for (uint32_t i = 1; i < list->n; i++)
        if (list->hash[i - 1] >= list->hash[i])
            return damaged("K3", i, err);
    uint32_t i = 0;
    for (uint32_t bucket = 0; bucket < (uint32_t)1 << head->bits; bucket++) {
        while (i < list->n && bucket_of(list->hash[i], head->bits) < bucket)
            i++;
        if (list->first[bucket] != i)
            return damaged("K4", bucket, err);
    }
    if (list->first[(uint32_t)1 << head->bits] != list->n)
        return damaged("K4", (uint32_t)1 << head->bits, err);
    for (uint32_t word = 0; head->n_words > 0 && word < words->n_words; word++) {
        uint32_t length = 0;
        const uint8_t *text = esp_word_text(words, word, &length);
        if (text != NULL && blocks_word(list, text, length))
            return damaged("K5", word, err);
    }
    return ESP_OK;
}

/* ---- building ----------------------------------------------------------- */

static int compare(const void *left, const void *right) {
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

esp_status esp_blocklist_build(const uint8_t *blob, const uint64_t *offsets, uint32_t n_queries,
    uint32_t n_words, uint32_t flags, uint8_t **section, size_t *section_bytes, esp_error *err) {
    if ((flags & ~(uint32_t)ESP_BLOCK_FLAGS) != 0)
        ESP_FAIL(err, ESP_E_ARGUMENT, "flags", flags, "no flags %u", flags);
    if (n_queries > ESP_BLOCK_LIMIT || n_words > ESP_BLOCK_LIMIT - n_queries)
        ESP_FAIL(err, ESP_E_LIMIT, "texts", n_queries,
            "%u blocked queries and %u words, at most %d", n_queries, n_words, ESP_BLOCK_LIMIT);
    const uint32_t n = n_queries + n_words;
    const uint32_t bits = esp_bits_for(n);
    const size_t n_first = ((size_t)1 << bits) + 1;
    const size_t bytes = sizeof(esp_block_header) + (size_t)n * 8 + n_first * 4;
    uint8_t *made = calloc(1, bytes);
    if (made == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "blocklist", bytes, "no memory for %u blocked texts", n);
    const esp_block_header head = {
        .n_queries = n_queries, .n_words = n_words, .bits = bits, .flags = flags};
    memcpy(made, &head, sizeof head);
    uint64_t *hash = (void *)(made + sizeof head);
    uint32_t *first = (void *)(hash + n);
    for (uint32_t i = 0; i < n; i++)
        hash[i] = hash_of(i < n_queries ? QUERY_SEED : WORD_SEED, blob + offsets[i],
            (size_t)(offsets[i + 1] - offsets[i]));
    if (n > 0)
        qsort(hash, n, sizeof *hash, compare);
    for (uint32_t i = 1; i < n; i++)
        if (hash[i - 1] == hash[i]) {
            free(made);
            ESP_FAIL(err, ESP_E_ARGUMENT, "texts", n, "a blocked query or word is there twice");
        }
    for (uint32_t i = 0; i < n; i++)
        first[bucket_of(hash[i], bits) + 1]++;
    for (size_t bucket = 1; bucket < n_first; bucket++)
        first[bucket] += first[bucket - 1];
    *section = made;
    *section_bytes = bytes;
    return ESP_OK;
}
