/* ngrams.h: the word model, which words follow which.
 *
 * An interpolated trigram model: P(w | u, v) is in the list of (u, v); if not
 * there it is rest(u, v) times P(w | v), which is in the list of v or rest(v)
 * times P(w).  A query begins at ESP_START and ends with the word n_words. */
#ifndef ESP_NGRAMS_H
#define ESP_NGRAMS_H

#include "format.h"
#include "words.h"

#define ESP_START 0xFFFFFFFEu /* the beginning of a query */

typedef struct esp_ngrams {
    const esp_ngram_header *head; /* NULL where the index has none */
    const uint64_t *has_next;
    const uint32_t *rank;
    const uint32_t *pair_ptr;
    const uint32_t *pair;
    const uint32_t *triple_ptr;
    const uint32_t *triple;
    const uint8_t *word;
    const uint8_t *first;
    const uint8_t *word_best; /* smallest q of each block: its most probable word */
    const uint8_t *first_best;
    const uint8_t *rest_of_word;
    const uint8_t *rest_of_context;
    float chance[256]; /* of q */
} esp_ngrams;

/* What may come after two words: the two lists and what they leave over. */
typedef struct esp_state {
    const uint32_t *triple;
    const uint32_t *pair;
    uint32_t n_triple;
    uint32_t n_pair;
    float rest_triple; /* 1 where there is no such list */
    float rest_pair;
    bool at_start; /* single words are those that begin queries */
} esp_state;

/* Words found, with their probability in the list they were found in. */
typedef struct esp_found_word {
    uint32_t word;
    float chance;
} esp_found_word;

/* Resolves a section for a vocabulary of `n_words`.  Returns the check that fails
 * (FORMAT.md, G1 or G2), NULL if none does. */
const char *esp_ngrams_open(
    const uint8_t *data, uint64_t length, uint32_t n_words, esp_ngrams *ngrams);

/* The state after words `u` and `v` (v last).  u and v may be ESP_START or
 * ESP_NO_WORD. */
esp_state esp_ngram_state(const esp_ngrams *ngrams, uint32_t u, uint32_t v);

/* Probability of `word` (n_words: the end; ESP_NO_WORD: some unknown one).  *listed
 * (may be NULL): whether it was seen after the word before it. */
float esp_ngram_chance(
    const esp_ngrams *ngrams, const esp_state *state, uint32_t word, bool *listed);

/* Whether `word` was seen after the two words before it. */
bool esp_ngram_seen(const esp_state *state, uint32_t word);

/* Whether `word` (may be ESP_NO_WORD) stands in queries of every kind, as "of" and "the". */
bool esp_ngram_is_common(const esp_ngrams *ngrams, uint32_t word);

/* Whether it is common, but queries seldom begin with it: "of", not "how". */
bool esp_ngram_is_filler(const esp_ngrams *ngrams, uint32_t word);

/* What `word` has at least: its probability if nothing is known of it and the words
 * before.  No list is searched. */
float esp_ngram_least(const esp_ngrams *ngrams, const esp_state *state, uint32_t word);

/* The most probable words of [lo, hi) after `state` (of all words: the end among
 * them) into `out`: up to `cap` from each of its lists and, with `singles`, from the
 * words whatever came before, so at most 3 * cap, some of them twice.  Returns how
 * many. */
uint32_t esp_ngram_likely(const esp_ngrams *ngrams, const esp_state *state, uint32_t lo,
    uint32_t hi, bool singles, uint32_t cap, esp_found_word *out);

/* Checks the content of the section (FORMAT.md, G3 to G7). */
esp_status esp_ngrams_validate(const esp_ngrams *ngrams, esp_error *err);

#endif
