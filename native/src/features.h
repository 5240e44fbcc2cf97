/* features.h: from text to a sparse vector, the same code at training and at
 * serving.
 *
 * A feature is an n-gram, known by a 32-bit hash ("key"); feature number i is
 * the i-th smallest key of the space.  Words of the previous queries and
 * characters of the prefix are hashed with different seeds, so they share one
 * space without meeting.  Two n-grams with one key are one feature: at a
 * million features some hundred pairs, which the weights absorb. */
#ifndef ESP_FEATURES_H
#define ESP_FEATURES_H

#include "base.h"

typedef struct esp_term {
    uint32_t key; /* a hash, later a feature number */
    float weight;
} esp_term;

/* A list of terms with room for `cap`. */
typedef struct esp_terms {
    esp_term *item;
    size_t n;
    size_t cap;
} esp_terms;

/* Entries of esp_terms that one text of so many bytes can fill: three n-grams a
 * character, or a word every other byte. */
static inline size_t esp_terms_for(size_t bytes) {
    return 3 * bytes + 1;
}

/* Appends the features of `kind` of checked UTF-8 text, each weighing `factor`
 * (times its position weight), not merged. */
esp_status esp_terms_add(esp_terms *terms, uint32_t kind, const uint8_t *text, size_t length,
    float factor, esp_error *err);

/* Sorts by key from item `from` on and adds up equal keys. */
void esp_terms_merge(esp_terms *terms, size_t from);

/* Turns keys from item `from` on into feature numbers, each once, ascending, and
 * multiplies their weights with idf; those the space does not know go. */
void esp_terms_known(const esp_space *space, esp_terms *terms, size_t from);

/* Gives the items from `from` on unit length together; false, and they go, if they
 * have none. */
bool esp_terms_unit(esp_terms *terms, size_t from);

/* Number of the feature with this key; false if the space does not know it. */
bool esp_feature_number(const esp_space *space, uint32_t key, uint32_t *number);

/* The feature vector of (previous queries, prefix), as published: the words'
 * TF-IDF and the prefix's TF-IDF, each of unit length, side by side, the whole
 * of unit length (Yadav et al. 2021, section 4.1).  On return the keys are
 * feature numbers, ascending.  All text must be checked UTF-8. */
esp_status esp_vectorise(const esp_space *space, const esp_text *previous, uint32_t n_previous,
    const uint8_t *prefix, size_t prefix_length, esp_terms *terms, esp_error *err);

#endif
