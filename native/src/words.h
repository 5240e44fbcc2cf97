/* words.h: the vocabulary, every word of the tail model, sorted by its bytes, so
 * that the words with a common beginning are a range of numbers. */
#ifndef ESP_WORDS_H
#define ESP_WORDS_H

#include "format.h"

#define ESP_NO_WORD 0xFFFFFFFFu /* no enumerator: those are ints */

/* The VOCA section, resolved: n_words 0 where the index has none. */
typedef struct esp_words {
    const esp_words_header *head;
    const uint32_t *offset; /* n_words + 1, into text */
    const uint32_t *slot;   /* slot_mask + 1: word + 1, 0: free */
    const uint8_t *text;
    uint32_t text_bytes;
    uint32_t n_words;
    uint32_t slot_mask;
} esp_words;

/* Resolves a section.  false if its lengths contradict each other. */
bool esp_words_open(const uint8_t *data, uint64_t length, esp_words *words);

/* Hash of a word, by which its slot is found. */
uint32_t esp_word_hash(const uint8_t *text, size_t length);

/* Number of a word of the given hash, ESP_NO_WORD if the vocabulary has it not. */
uint32_t esp_word_find(const esp_words *words, const uint8_t *text, size_t length, uint32_t hash);

/* Text of word number `word`, borrowed; NULL and 0 for a number or an offset that
 * does not exist. */
const uint8_t *esp_word_text(const esp_words *words, uint32_t word, uint32_t *length);

/* The words that begin with `prefix` are [*lo, *hi). */
void esp_words_range(
    const esp_words *words, const uint8_t *prefix, size_t length, uint32_t *lo, uint32_t *hi);

/* The next word of `text` from *at on: false at its end.  Words end at spaces. */
static inline bool esp_next_word(
    const uint8_t *text, size_t length, size_t *at, const uint8_t **word, uint32_t *bytes) {
    size_t begin = *at;
    while (begin < length && text[begin] == ' ')
        begin++;
    if (begin == length)
        return false;
    size_t end = begin;
    while (end < length && text[end] != ' ')
        end++;
    *word = text + begin;
    *bytes = (uint32_t)(end - begin);
    *at = end;
    return true;
}

/* Checks the content of the section (FORMAT.md, V2 to V6). */
esp_status esp_words_validate(const esp_words *words, esp_error *err);

#endif
