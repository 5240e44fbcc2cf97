/* variants.h: suggestions that a person takes for the same.
 *
 * Two texts are variants of each other if they have the same words, in any
 * order and each a plural or not, or the same letters, however they are spaced
 * and with a plural at the end or not.  Hyphens and apostrophes count as nothing, or, like spaces, as a
 * boundary between two digits: "t-shirt" is "tshirt", "1 2 inch" is not
 * "12 inch".  The order of words does count beside "to" or "from": "inches to mm"
 * is another question than "mm to inches".
 *
 * The plural rule knows English spelling and no dictionary.  It looks at words
 * of four letters or more, all of a to z:
 *
 *   -s        goes, but not from -ss, -us, -is     shoes, glass, bus, tennis
 *   -xe, -che, -she, -sse, -oe, as left by -es     boxes, watches, dresses, potatoes
 *             lose the e, in singulars as well      (shoe, cache: both forms alike)
 *   -ie       becomes -y                            batteries, movies and movie
 *
 * What it leaves apart: knife and knives, bus and buses, child and children, lens
 * and lenses, and everything with a letter beyond a to z.  What it wrongly joins
 * differs by an s and is no plural: new and news, good and goods.
 *
 * Keys are compared without the texts: two unlike texts of one answer share one
 * with a probability of about 2^-64. */
#ifndef ESP_VARIANTS_H
#define ESP_VARIANTS_H

#include "base.h"

/* What a text is, to a person who reads a list of suggestions. */
typedef struct esp_variant {
    uint64_t words;   /* of the words, whatever their order */
    uint64_t letters; /* of the letters, whatever stands between them */
} esp_variant;

/* Fills `out` for a text, which need not be UTF-8.  Cannot fail.  O(length). */
void esp_variant_of(const uint8_t *text, size_t length, esp_variant *out);

/* Whether two texts are variants.  Not transitive: "sun glasses red" is one of
 * "sunglasses red" and of "red sun glasses", which are none of each other. */
static inline bool esp_variant_same(const esp_variant *a, const esp_variant *b) {
    return a->words == b->words || a->letters == b->letters;
}

#endif
