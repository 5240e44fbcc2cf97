/* small_words.h: a vocabulary and a word model in memory, of pairs alone. */
#ifndef ESP_SMALL_WORDS_H
#define ESP_SMALL_WORDS_H

#include <stdlib.h>
#include <string.h>

#include "../src/ngrams.h"

/* "`word` comes after `left` with probability exp(-q * 0.05)"; ascending by left, then
 * word, which may be the number of words: the end. */
typedef struct small_pair {
    uint32_t left;
    uint32_t word;
    uint32_t q;
} small_pair;

typedef struct small_words {
    uint8_t *vocabulary;
    size_t vocabulary_length;
    uint8_t *model;
    size_t model_length;
    esp_words words;
    esp_ngrams ngrams;
} small_words;

enum { SMALL_Q = 60, SMALL_END = 20, SMALL_UNKNOWN = 200, SMALL_REST = 10 };

/* `text` ascends.  Every word has SMALL_Q anywhere, its number more at the start. */
static inline small_words small_words_make(
    const char *const *text, uint32_t n, const small_pair *pair, uint32_t n_pairs) {
    small_words made = {0};
    uint64_t *offset = calloc((size_t)n + 1, sizeof *offset);
    uint8_t *blob = malloc((size_t)n * ESP_WORD_BYTES + 1);
    for (uint32_t i = 0; i < n; i++) {
        const size_t length = strlen(text[i]);
        memcpy(blob + offset[i], text[i], length);
        offset[i + 1] = offset[i] + length;
    }
    esp_words_build(blob, offset, n, &made.vocabulary, &made.vocabulary_length, NULL);
    esp_words_open(made.vocabulary, made.vocabulary_length, &made.words);
    const uint32_t blocks = (n + ESP_WORD_BLOCK - 1) / ESP_WORD_BLOCK;
    const uint32_t masks = (n_pairs + n + 63) / 64;
    made.model_length = sizeof(esp_ngram_header) + masks * 8 +
                        ((size_t)masks + 1 + n + 1 + n_pairs + 1) * 4 + (size_t)n * 3 + blocks * 2;
    made.model = calloc(1, made.model_length + 8);
    const esp_ngram_header head = {.n_words = n,
        .n_bigrams = n_pairs,
        .step = 0.05f,
        .mix_context = 0.4f,
        .mix_follow = 0.5f,
        .decay = 0.5f,
        .mix_related = 0.2f,
        .end = SMALL_END,
        .unknown = SMALL_UNKNOWN,
        .half_life = 100};
    memcpy(made.model, &head, sizeof head);
    uint32_t *ptr =
        (void *)(made.model + sizeof head + (size_t)masks * 8 + ((size_t)masks + 1) * 4);
    uint32_t *entry = ptr + n + 1;
    for (uint32_t i = 0; i < n_pairs; i++) {
        ptr[pair[i].left + 1]++;
        entry[i] = pair[i].word | pair[i].q << 24;
    }
    for (uint32_t i = 0; i < n; i++)
        ptr[i + 1] += ptr[i];
    uint8_t *q = (uint8_t *)(entry + n_pairs + 1); /* one bound of no list of triples */
    memset(q, SMALL_Q, n);
    for (uint32_t i = 0; i < n; i++)
        q[n + i] = (uint8_t)(SMALL_Q + i);
    for (uint32_t b = 0; b < blocks; b++) {
        q[2 * n + b] = SMALL_Q;
        q[2 * n + blocks + b] = (uint8_t)(SMALL_Q + b * ESP_WORD_BLOCK);
    }
    memset(q + 2 * n + 2 * blocks, SMALL_REST, n);
    esp_ngrams_open(made.model, made.model_length, n, &made.ngrams);
    free(offset);
    free(blob);
    return made;
}

static inline void small_words_free(small_words *made) {
    esp_buffer_free(made->vocabulary);
    free(made->model);
    *made = (small_words){0};
}

static inline esp_text small_text(const char *text) {
    return (esp_text){(const uint8_t *)text, strlen(text)};
}

#endif
