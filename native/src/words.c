/* words.c: finding words by text and texts by number.
 *
 * Two ways in, because two questions are asked: a hash table for "is this a
 * word?" (asked for every word of every candidate), bisection for "which words
 * begin so?" (asked once a query). */
#include "words.h"

#include "format.h"

bool esp_words_open(const uint8_t *data, uint64_t length, esp_words *words) {
    const esp_words_header *head = (const void *)data;
    if (length < sizeof *head || head->n_words >= ESP_WORD_LIMIT || head->n_slots == 0 ||
        (head->n_slots & (head->n_slots - 1)) != 0 || head->n_slots <= head->n_words)
        return false;
    const uint64_t numbers = (uint64_t)head->n_words + 1 + head->n_slots;
    if (length != sizeof *head + numbers * 4 + head->text_bytes)
        return false;
    const uint8_t *at = data + sizeof *head;
    words->offset = (const void *)at;
    at += ((uint64_t)head->n_words + 1) * 4;
    words->slot = (const void *)at;
    at += (uint64_t)head->n_slots * 4;
    words->text = at;
    words->text_bytes = head->text_bytes;
    words->n_words = head->n_words;
    words->slot_mask = head->n_slots - 1;
    return true;
}

/* FNV-1a with a final mix: words are short, and its low bits alone cluster. */
uint32_t esp_word_hash(const uint8_t *text, size_t length) {
    uint32_t hash = 0x811C9DC5u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ text[i]) * 0x01000193u;
    hash = (hash ^ (hash >> 16)) * 0x85EBCA6Bu;
    return hash ^ (hash >> 13);
}

uint32_t esp_word_find(const esp_words *words, const uint8_t *text, size_t length, uint32_t hash) {
    if (words->n_words == 0)
        return ESP_NO_WORD;
    uint32_t slot = hash & words->slot_mask;
    /* A damaged table may be full: no more steps than slots. */
    for (uint32_t step = 0; step <= words->slot_mask; step++) {
        const uint32_t found = words->slot[slot];
        if (found == 0)
            return ESP_NO_WORD;
        uint32_t bytes = 0;
        const uint8_t *word = esp_word_text(words, found - 1, &bytes);
        if (bytes == length && word != NULL && memcmp(word, text, length) == 0)
            return found - 1;
        slot = (slot + 1) & words->slot_mask;
    }
    return ESP_NO_WORD;
}

const uint8_t *esp_word_text(const esp_words *words, uint32_t word, uint32_t *length) {
    *length = 0;
    if (word >= words->n_words)
        return NULL;
    const uint32_t begin = words->offset[word];
    const uint32_t end = words->offset[word + 1];
    if (ESP_UNLIKELY(begin > end || end > words->text_bytes || end - begin > ESP_WORD_BYTES))
        return NULL;
    *length = end - begin;
    return words->text + begin;
}

/* Order of a word against a prefix: 0 if the word begins with it. */
static int compare(
    const esp_words *words, uint32_t word, const uint8_t *prefix, size_t prefix_length) {
    uint32_t length = 0;
    const uint8_t *text = esp_word_text(words, word, &length);
    const size_t common = length < prefix_length ? length : prefix_length;
    const int order = common == 0 || text == NULL ? 0 : memcmp(text, prefix, common);
    return order != 0 ? order : length < prefix_length ? -1 : 0;
}

void esp_words_range(
    const esp_words *words, const uint8_t *prefix, size_t length, uint32_t *lo, uint32_t *hi) {
    uint32_t begin = 0;
    uint32_t end = words->n_words;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (compare(words, middle, prefix, length) < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    *lo = begin;
    end = words->n_words;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (compare(words, middle, prefix, length) <= 0)
            begin = middle + 1;
        else
            end = middle;
    }
    *hi = begin;
}

/* ---- building ----------------------------------------------------------- */

esp_status esp_words_build(const uint8_t *blob, const uint64_t *offsets, uint32_t n_words,
    uint8_t **section, size_t *section_bytes, esp_error *err) {
    const uint64_t text_bytes = offsets[n_words] - offsets[0];
    if (n_words >= ESP_WORD_LIMIT || text_bytes > UINT32_MAX)
        ESP_FAIL(err, ESP_E_ARGUMENT, "words", n_words, "%u words of %llu bytes are too many",
            n_words, (unsigned long long)text_bytes);
    uint32_t n_slots = 1;
    while (n_slots < n_words + n_words / 2 + 1)
        n_slots *= 2;
    const size_t bytes = sizeof(esp_words_header) +
                         ((size_t)n_words + 1 + n_slots) * sizeof(uint32_t) + (size_t)text_bytes;
    uint8_t *made = calloc(1, bytes);
    if (made == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "words", bytes, "no memory for %u words", n_words);
    const esp_words_header head = {
        .n_words = n_words, .n_slots = n_slots, .text_bytes = (uint32_t)text_bytes};
    memcpy(made, &head, sizeof head);
    uint32_t *offset = (void *)(made + sizeof head);
    uint32_t *slots = offset + n_words + 1;
    memcpy(slots + n_slots, blob + offsets[0], (size_t)text_bytes);
    for (uint32_t word = 0; word < n_words; word++) {
        const size_t length = (size_t)(offsets[word + 1] - offsets[word]);
        offset[word + 1] = offset[word] + (uint32_t)length;
        uint32_t slot = esp_word_hash(blob + offsets[word], length) & (n_slots - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (n_slots - 1);
        slots[slot] = word + 1;
    }
    *section = made;
    *section_bytes = bytes;
    return ESP_OK;
}
