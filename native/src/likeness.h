/* likeness.h: what a query knows of a product, number by number. */
#ifndef ESP_LIKENESS_H
#define ESP_LIKENESS_H

#include "features.h"
#include "index.h"

/* Every feature of a product for a query.  Their order is the order in a forest; a
 * change changes esp_retrieval_features_id(), and forests trained before are not
 * used.  A word is known if a title has it; its weight is that of BM25,
 * ln(1 + (n - df + 0.5) / (df + 0.5)). */
#define ESP_LIKENESS_FEATURES(F)                                                       \
    F(model)           /* score of the tree; of what only the host found, the least */ \
    F(model_gap)       /* the same, less the best */                                   \
    F(model_rank)      /* log of its place by the tree, from 1 */                      \
    F(words)           /* BM25 of the title's words */                                 \
    F(words_gap)       /* the same, less the best */                                   \
    F(beyond_words)    /* model - words: what n-grams and paired queries add */        \
    F(matched)         /* share of the query's words that the title has */             \
    F(matched_weight)  /* the same by weight */                                        \
    F(heaviest_missed) /* weight of the heaviest word that it has not */               \
    F(first_matched)   /* 1: it has the query's first word */                          \
    F(last_matched)    /* 1: it has the query's last word */                           \
    F(first_place)     /* place of the first matched word in the title, -1: none */    \
    F(last_place)      /* place of the query's last word in it, -1: none */            \
    F(from_end)        /* words behind that place, -1: none */                         \
    F(span)            /* between its first and last matched words, -1: none */        \
    F(pairs)           /* share of the query's word pairs side by side in it */        \
    F(numbers)         /* share of the query's words with a digit that it has, or 1 */ \
    F(title_words)                                                                     \
    F(query_words)                                                                     \
    F(query_weight)  /* of all its words */                                            \
    F(query_unknown) /* words of it that no title has */                               \
    F(like_3)        /* words in common with the tree's three best, by weight */       \
    F(like_10)       /* with its ten best */                                           \
    F(log_pairs)     /* log(1 + queries it was paired with) */                         \
    F(host)          /* 1 / place in the other engine's list, 0: not in it */

enum {
#define ESP_LIKENESS_ONE(name) ESP_LIKENESS_##name,
    ESP_LIKENESS_FEATURES(ESP_LIKENESS_ONE)
#undef ESP_LIKENESS_ONE
        ESP_LIKENESS_COUNT
};

enum {
    ESP_QUERY_WORDS = 32, /* that count; further ones are only features of the tree */
    ESP_TITLE_WORDS = 64, /* the same for a title */
    ESP_BEST_TITLES = 10, /* whose words are compared with */
    ESP_FEW_TITLES = 3,   /* and the best of them */
    ESP_PROFILE_SLOTS = 2048,
};

/* A word of the query. */
typedef struct esp_query_word {
    uint32_t feature; /* its number, ESP_NO_FEATURE: no title has it */
    float weight;
    bool has_digit;
} esp_query_word;

#define ESP_NO_FEATURE UINT32_MAX

/* How often a word stands in the best titles. */
typedef struct esp_profile_word {
    uint32_t feature; /* + 1; 0: free */
    uint16_t in_few;
    uint16_t in_best;
} esp_profile_word;

/* What is the same for every product of a query. */
typedef struct esp_likeness {
    const esp_index *index;
    esp_query_word word[ESP_QUERY_WORDS];
    uint32_t n_words;
    uint32_t n_best; /* titles in the profile */
    float weight;
    esp_profile_word profile[ESP_PROFILE_SLOTS];
} esp_likeness;

/* A product to be described. */
typedef struct esp_candidate_product {
    uint32_t label;
    uint32_t rank;      /* by the tree, from 0; places behind the last are the host's own */
    uint32_t host_rank; /* from 1, 0: none */
    float model;
} esp_candidate_product;

/* Starts a query of words, with one space between two; all checked UTF-8. */
esp_status esp_likeness_begin(const esp_index *index, const uint8_t *words, size_t length,
    esp_terms *spare, esp_likeness *likeness, esp_error *err);

/* Adds the title of the next best product by the tree, while fewer than
 * ESP_BEST_TITLES are in. */
void esp_likeness_best(esp_likeness *likeness, uint32_t label);

/* Writes the ESP_LIKENESS_COUNT features but the gaps, which need all products. */
void esp_likeness_row(
    const esp_likeness *likeness, const esp_candidate_product *product, float *row);

/* Completes the rows of a query: what compares with the best. */
void esp_likeness_finish(float *rows, uint32_t n);

#endif
