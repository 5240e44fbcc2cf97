/* language.c: the word model asked by text, for tools and tests. */
#include "index.h"
#include "utf8.h"

enum { MOST_LIKELY = 64 };

static uint32_t find_word(const esp_index *index, const esp_text *text) {
    return text->length == 0 || text->length > ESP_WORD_BYTES
               ? ESP_NO_WORD
               : esp_word_find(&index->words, text->data, (size_t)text->length,
                     esp_word_hash(text->data, (size_t)text->length));
}

/* The state after some words. */
static esp_status find_state(
    const esp_index *index, const esp_text *before, size_t n, esp_state *state, esp_error *err) {
    if (index->ngrams.head == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "words", 0, "the index has no word model");
    const uint32_t v = n == 0 ? ESP_START : find_word(index, &before[n - 1]);
    const uint32_t u = n == 0 ? ESP_NO_WORD : n == 1 ? ESP_START : find_word(index, &before[n - 2]);
    *state = esp_ngram_state(&index->ngrams, u, v);
    return ESP_OK;
}

esp_status esp_word_chance(const esp_index *index, const esp_text *before, size_t n_before,
    const uint8_t *word, size_t length, float *chance, esp_error *err) {
    esp_state state;
    ESP_TRY(find_state(index, before, n_before, &state, err));
    const uint32_t number =
        length == 0 ? index->words.n_words : find_word(index, &(esp_text){word, length});
    *chance = esp_ngram_chance(&index->ngrams, &state, number, NULL);
    return ESP_OK;
}

static bool is_before(const esp_found_word *a, const esp_found_word *b) {
    return a->chance != b->chance ? a->chance > b->chance : a->word < b->word;
}

static void sort(esp_found_word *item, uint32_t n) {
    for (uint32_t i = 1; i < n; i++) {
        const esp_found_word moved = item[i];
        uint32_t at = i;
        for (; at > 0 && is_before(&moved, &item[at - 1]); at--)
            item[at] = item[at - 1];
        item[at] = moved;
    }
}

esp_status esp_word_likely(const esp_index *index, const esp_text *before, size_t n_before,
    const uint8_t *prefix, size_t length, esp_word *out, uint32_t cap, size_t *count,
    esp_error *err) {
    esp_state state;
    ESP_TRY(find_state(index, before, n_before, &state, err));
    if (cap > MOST_LIKELY)
        ESP_FAIL(err, ESP_E_LIMIT, "cap", cap, "%u words asked, at most %d", cap, MOST_LIKELY);
    uint32_t lo = 0;
    uint32_t hi = 0;
    esp_words_range(&index->words, prefix, length, &lo, &hi);
    esp_found_word found[3 * MOST_LIKELY];
    const uint32_t n = esp_ngram_likely(&index->ngrams, &state, lo, hi, true, cap, found);
    sort(found, n);
    size_t kept = 0;
    for (uint32_t i = 0; i < n && kept < cap; i++) {
        uint32_t bytes = 0;
        if (length > 0 && found[i].word == index->words.n_words)
            continue; /* every word begins so; the end does not */
        const uint8_t *text = esp_word_text(&index->words, found[i].word, &bytes);
        if (text != NULL && esp_utf8_check(text, bytes) != bytes)
            return esp_index_damaged(ESP_SEC_VOCA, "V4", found[i].word, err);
        out[kept++] =
            (esp_word){.text = {text, bytes}, .word = found[i].word, .chance = found[i].chance};
    }
    *count = kept;
    return ESP_OK;
}
