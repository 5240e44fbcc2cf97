/* rank.h: what the blender knows about a candidate. */
#ifndef ESP_RANK_H
#define ESP_RANK_H

#include "candidates.h"
#include "tails.h"

/* Every feature: name, group.  Their order is the order in a forest; a change
 * changes esp_rank_features_id(), and forests trained before are not used.
 * Logarithms are natural.  q0 is the most recent previous query. */
#define ESP_RANK_FEATURES(F)                                                              \
    F(log_users, POPULARITY)        /* log(1 + users of the label) */                     \
    F(log_share, POPULARITY)        /* log of the share of the prefix's best label */     \
    F(is_label, POPULARITY)         /* 1 for a label */                                   \
    F(log_range, POPULARITY)        /* log(1 + labels that begin with the prefix) */      \
    F(model, MODEL)                 /* log score of the ranking tree */                   \
    F(model_gap, MODEL)             /* the same, less the best candidate's */             \
    F(word_chance, LANGUAGE)        /* log probability of the words still to come */      \
    F(word_chance_gap, LANGUAGE)    /* the same, less the best candidate's */             \
    F(weakest_word, LANGUAGE)       /* the least of its steps */                          \
    F(end_chance, LANGUAGE)         /* the step that ends the query */                    \
    F(new_pairs, LANGUAGE)          /* steps whose pair of words was never seen */        \
    F(session_chance, CONTEXT)      /* word_chance with the session's words mixed in */   \
    F(session_chance_gap, CONTEXT)  /* the same, less the best candidate's */             \
    F(session_lift, CONTEXT)        /* session_chance - word_chance */                    \
    F(shared_words, CONTEXT)        /* words it has in common with q0 */                  \
    F(shared_of_candidate, CONTEXT) /* the same, over its words */                        \
    F(shared_of_previous, CONTEXT)  /* the same, over q0's words */                       \
    F(new_words, CONTEXT)           /* words that no previous query has */                \
    F(related_words, CONTEXT)       /* of those, words related to previous queries */     \
    F(related_weight, CONTEXT)      /* how closely, summed */                             \
    F(followed, CONTEXT)            /* log(1 + users who typed it right after q0) */      \
    F(followed_share, CONTEXT)      /* those users over q0's users */                     \
    F(extends, CONTEXT)             /* 1: q0 and more words */                            \
    F(truncates, CONTEXT)           /* 1: the beginning of q0 */                          \
    F(common_bytes, CONTEXT)        /* bytes it begins with as q0 does */                 \
    F(similarity, CONTEXT)          /* character trigrams in common with q0, Jaccard */   \
    F(similarity_older, CONTEXT)    /* the most, over older previous queries */           \
    F(repeats, CONTEXT)             /* 1 / place of the previous query it equals, or 0 */ \
    F(repeated, CONTEXT)            /* how many previous queries it equals */             \
    F(typed_shared, CONTEXT)        /* typed words that q0 has, over typed words */       \
    F(typed_follows, CONTEXT)       /* bytes of the prefix as in q0, over its bytes */    \
    F(n_previous, CONTEXT)          /* previous queries */                                \
    F(log_age, CONTEXT)             /* log(1 + seconds since q0) */                       \
    F(prefix_bytes, TEXT)                                                                 \
    F(prefix_words, TEXT)                                                                 \
    F(partial_bytes, TEXT) /* of the word being typed */                                  \
    F(bytes, TEXT)         /* of the candidate */                                         \
    F(bytes_left, TEXT)    /* still to type */                                            \
    F(words_left, TEXT)    /* words still to come, the one being typed too */             \
    F(ends_word, TEXT)     /* 1: what was typed is a whole word of it */                  \
    F(is_address, TEXT)    /* 1: has a dot */                                             \
    F(by_model, SOURCE)    /* 1: the tree found it */                                     \
    F(by_popularity, SOURCE)                                                              \
    F(by_tail, SOURCE)                                                                    \
    F(edits, SOURCE) /* between the prefix and its beginning */

enum {
#define ESP_RANK_ONE(name, group) ESP_RANK_##name,
    ESP_RANK_FEATURES(ESP_RANK_ONE)
#undef ESP_RANK_ONE
        ESP_RANK_COUNT
};

/* Bits of esp_query.groups_off. */
enum {
    ESP_GROUP_POPULARITY,
    ESP_GROUP_MODEL,
    ESP_GROUP_LANGUAGE,
    ESP_GROUP_CONTEXT,
    ESP_GROUP_TEXT,
    ESP_GROUP_SOURCE,
    ESP_GROUP_COUNT
};

enum { ESP_SIGNATURE = 4, ESP_CANDIDATE_WORDS = 32 };

/* Character trigrams of a text, hashed into bits. */
typedef struct esp_signature {
    uint64_t bits[ESP_SIGNATURE];
    uint32_t n; /* that are set */
} esp_signature;

/* A word of a text: its numbers in the vocabulary and in the session. */
typedef struct esp_word_of {
    uint32_t word;    /* or ESP_NO_WORD */
    uint32_t session; /* or ESP_NOT_THERE */
} esp_word_of;

/* What is the same for every candidate of a query. */
typedef struct esp_rank_query {
    const esp_index *index;
    const esp_context *context;
    const esp_typed *typed;
    const esp_tails *tails; /* what was generated, whose words need not be looked up */
    esp_steps *steps;
    const uint8_t *prefix;
    const esp_text *previous; /* all of them, most recent first */
    uint32_t n_previous;
    uint32_t prefix_length;
    uint32_t range_labels;
    bool has_model;    /* the tree was asked */
    float first_users; /* of q0, at least 1 */
    float log_age;     /* of q0; NaN: not known */
    float one_user;    /* popularity of a label of one user */
    uint32_t n_typed;  /* complete words of the prefix */
    float typed_shared;
    float typed_follows;
    uint64_t words_of_first;                     /* bit i: q0 has word i of the session */
    esp_word_of typed_word[ESP_CANDIDATE_WORDS]; /* those that are complete */
    esp_signature signature[ESP_CONTEXT_QUERIES];
} esp_rank_query;

void esp_rank_start(esp_rank_query *query, const esp_index *index, esp_steps *steps,
    const esp_typed *typed, const esp_tails *tails, const uint8_t *prefix, uint32_t length);

/* Fills the ESP_RANK_COUNT features of each of `n` candidates, rows of `x`. */
void esp_rank_fill(
    const esp_rank_query *query, const esp_candidate *const *candidates, uint32_t n, float *x);

/* Sets the features of the groups in `off` to NaN: nothing is known of them. */
void esp_rank_forget(uint32_t off, uint32_t n, float *x);

/* Name and group of a feature, NULL beyond the last. */
const char *esp_rank_name(uint32_t feature);
uint32_t esp_rank_group(uint32_t feature);

/* Identifies the list of features. */
uint32_t esp_rank_features_id(void);

#endif
