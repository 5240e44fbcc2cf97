/* catalogue.h: the words of products' titles, as numbers of features (FORMAT.md,
 * CATA). */
#ifndef ESP_CATALOGUE_H
#define ESP_CATALOGUE_H

#include "format.h"

typedef struct esp_catalogue {
    const esp_catalogue_header *head; /* NULL: none */
    const uint32_t *begin;            /* n_labels + 1 */
    const uint16_t *word_u16;         /* n_words; one of the two is NULL */
    const uint32_t *word_u32;
} esp_catalogue;

/* Resolves a section aligned to 4 over n_labels labels.  Constant time.  False if
 * its length is not what its numbers say. */
bool esp_catalogue_open(
    const uint8_t *data, uint64_t length, uint32_t n_labels, esp_catalogue *catalogue);

/* NULL, or the invariant of CATA that does not hold and the place of the bad value. */
const char *esp_catalogue_validate(
    const esp_catalogue *catalogue, uint32_t n_features, uint64_t *where);

/* The first words of a label below n_labels, `cap` at most; none where its bounds
 * leave the section.  Returns how many. */
static inline uint32_t esp_catalogue_words(
    const esp_catalogue *catalogue, uint32_t label, uint32_t *words, uint32_t cap) {
    const uint32_t begin = catalogue->begin[label];
    const uint32_t end = catalogue->begin[label + 1];
    if (ESP_UNLIKELY(begin > end || end > catalogue->head->n_words))
        return 0;
    const uint32_t n = esp_min_u32(end - begin, cap);
    for (uint32_t i = 0; i < n; i++)
        words[i] = catalogue->word_u16 != NULL ? catalogue->word_u16[begin + i]
                                               : catalogue->word_u32[begin + i];
    return n;
}

#endif
