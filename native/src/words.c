/* words.c: finding words by text and texts by number.
 *
 * Two ways in, because two questions are asked: a hash table for "is this a
 * word?" (asked for every word of every candidate), bisection for "which words
 * begin so?" (asked once a query). */
#include "words.h"

#include "index.h"
#include "utf8.h"

bool esp_words_open(const uint8_t *data, uint64_t length, esp_words *words) {
    const esp_words_header *head = (const void *)data;
    if (length < sizeof *head || head->n_words >= ESP_WORD_LIMIT || head->n_slots == 0 ||
        (head->n_slots & (head->n_slots - 1)) != 0 || head->n_slots <= head->n_words)
        return false;
    const uint64_t numbers = (uint64_t)head->n_words + 1 + head->n_slots;
    if (length != sizeof *head + numbers * 4 + head->text_bytes)
        return false;
    const uint8_t *at = data + sizeof *head;
    words->head = head;
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
    /* In a damaged table no slot may be free. */
    for (uint32_t step = 0; step < ESP_WORD_PROBES; step++) {
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

/* ---- checking ----------------------------------------------------------- */

static esp_status damaged(const char *check, uint64_t where, esp_error *err) {
    return esp_index_damaged(ESP_SEC_VOCA, check, where, err);
}

/* Every word is where esp_word_find() looks for it, and no slot holds anything else. */
static esp_status validate_slots(const esp_words *words, esp_error *err) {
    uint32_t taken = 0;
    for (uint32_t slot = 0; slot <= words->slot_mask; slot++) {
        taken += words->slot[slot] != 0;
        if (words->slot[slot] > words->n_words)
            return damaged("V6", slot, err);
    }
    if (taken != words->n_words)
        return damaged("V6", taken, err);
    for (uint32_t word = 0; word < words->n_words; word++) {
        uint32_t length = 0;
        const uint8_t *text = esp_word_text(words, word, &length);
        if (text == NULL || esp_word_find(words, text, length, esp_word_hash(text, length)) != word)
            return damaged("V6", word, err);
    }
    return ESP_OK;
}

esp_status esp_words_validate(const esp_words *words, esp_error *err) {
    const uint8_t *before = NULL;
    uint32_t before_length = 0;
    if (words->head->reserved != 0)
        return damaged("V2", 0, err);
    if (words->offset[0] != 0 || words->offset[words->n_words] != words->text_bytes)
        return damaged("V3", 0, err);
    for (uint32_t word = 0; word < words->n_words; word++) {
        uint32_t length = 0;
        const uint8_t *text = esp_word_text(words, word, &length);
        if (length == 0)
            return damaged("V3", word, err);
        if (esp_utf8_check(text, length) != length || memchr(text, ' ', length) != NULL)
            return damaged("V4", word, err);
        const int order =
            memcmp(before == NULL ? text : before, text, esp_min_u32(before_length, length));
        if (order > 0 || (order == 0 && before_length >= length))
            return damaged("V5", word, err);
        before = text;
        before_length = length;
    }
    return validate_slots(words, err);
}

/* ---- building ----------------------------------------------------------- */

/* Enters every word; false if one finds no slot near enough to its own. */
static bool fill_slots(uint32_t *slots, uint32_t n_slots, const uint8_t *text,
    const uint32_t *offset, uint32_t n_words) {
    for (uint32_t word = 0; word < n_words; word++) {
        uint32_t slot = esp_word_hash(text + offset[word], offset[word + 1] - offset[word]);
        uint32_t step = 0;
        while (step < ESP_WORD_PROBES && slots[slot & (n_slots - 1)] != 0) {
            slot++;
            step++;
        }
        if (step == ESP_WORD_PROBES)
            return false;
        slots[slot & (n_slots - 1)] = word + 1;
    }
    return true;
}

static esp_status check_words(
    const uint8_t *blob, const uint64_t *offsets, uint32_t n_words, esp_error *err) {
    for (uint32_t word = 0; word < n_words; word++) {
        const uint64_t length = offsets[word + 1] - offsets[word];
        if (offsets[word + 1] <= offsets[word] || length > ESP_WORD_BYTES)
            ESP_FAIL(err, ESP_E_ARGUMENT, "words", word, "word %u has not 1 to %d bytes", word,
                ESP_WORD_BYTES);
        if (word == 0)
            continue;
        const uint64_t before = offsets[word] - offsets[word - 1];
        const int order = memcmp(blob + offsets[word - 1], blob + offsets[word],
            (size_t)(before < length ? before : length));
        if (order > 0 || (order == 0 && before >= length))
            ESP_FAIL(
                err, ESP_E_ARGUMENT, "words", word, "word %u is not above the one before it", word);
    }
    return ESP_OK;
}

/* More slots than usual are tried only against words chosen so that they collide. */
esp_status esp_words_build(const uint8_t *blob, const uint64_t *offsets, uint32_t n_words,
    uint8_t **section, size_t *section_bytes, esp_error *err) {
    enum { MOST_DOUBLINGS = 4 };
    const uint64_t text_bytes = offsets[n_words] - offsets[0];
    if (n_words >= ESP_WORD_LIMIT || text_bytes > UINT32_MAX)
        ESP_FAIL(err, ESP_E_ARGUMENT, "words", n_words, "%u words of %llu bytes are too many",
            n_words, (unsigned long long)text_bytes);
    ESP_TRY(check_words(blob, offsets, n_words, err));
    uint32_t n_slots = 1;
    while (n_slots < n_words + n_words / 2 + 1)
        n_slots *= 2;
    for (int i = 0; i <= MOST_DOUBLINGS; i++, n_slots *= 2) {
        const size_t bytes = sizeof(esp_words_header) +
                             ((size_t)n_words + 1 + n_slots) * sizeof(uint32_t) +
                             (size_t)text_bytes;
        uint8_t *made = calloc(1, bytes);
        if (made == NULL)
            ESP_FAIL(err, ESP_E_MEMORY, "words", bytes, "no memory for %u words", n_words);
        const esp_words_header head = {
            .n_words = n_words, .n_slots = n_slots, .text_bytes = (uint32_t)text_bytes};
        memcpy(made, &head, sizeof head);
        uint32_t *offset = (void *)(made + sizeof head);
        uint32_t *slots = offset + n_words + 1;
        uint8_t *text = (void *)(slots + n_slots);
        if (text_bytes > 0)
            memcpy(text, blob + offsets[0], (size_t)text_bytes);
        for (uint32_t word = 0; word <= n_words; word++)
            offset[word] = (uint32_t)(offsets[word] - offsets[0]);
        if (fill_slots(slots, n_slots, text, offset, n_words)) {
            *section = made;
            *section_bytes = bytes;
            return ESP_OK;
        }
        free(made);
    }
    ESP_FAIL(err, ESP_E_LIMIT, "words", n_words,
        "of %u words more than %d collide; they were chosen to", n_words, ESP_WORD_PROBES);
}
