/* catalogue.h: the words of products' titles, as numbers of features (FORMAT.md,
 * CATA). */
#ifndef ESP_CATALOGUE_H
#define ESP_CATALOGUE_H

#include "format.h"

typedef struct esp_catalogue {
    const esp_catalogue_header *head; /* NULL: none */
    const uint32_t *begin;            /* n_labels + 1 */
    const uint32_t *word;             /* n_words */
} esp_catalogue;

/* Resolves a section aligned to 4 over n_labels labels.  Constant time.  False if
 * its length is not what its numbers say. */
bool esp_catalogue_open(
    const uint8_t *data, uint64_t length, uint32_t n_labels, esp_catalogue *catalogue);

/* NULL, or the invariant of CATA that does not hold and the place of the bad value. */
const char *esp_catalogue_validate(
    const esp_catalogue *catalogue, uint32_t n_features, uint64_t *where);

/* Words of a label below n_labels; none where its bounds leave the section. */
static inline uint32_t esp_catalogue_words(
    const esp_catalogue *catalogue, uint32_t label, const uint32_t **words) {
    const uint32_t begin = catalogue->begin[label];
    const uint32_t end = catalogue->begin[label + 1];
    if (ESP_UNLIKELY(begin > end || end > catalogue->head->n_words))
        return 0;
    *words = catalogue->word + begin;
    return end - begin;
}

#endif
