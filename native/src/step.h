/* step.h: which word comes now, given the words before it and the session. */
#ifndef ESP_STEP_H
#define ESP_STEP_H

#include "context.h"
#include "ngrams.h"

enum {
    ESP_TYPED_WORDS = 32,  /* typed words that are remembered one by one */
    ESP_FOLLOWERS_OF = 32, /* words of the session that may copy on from one */
    ESP_STEPS = 256        /* steps remembered; a power of two */
};

/* What has been typed, up to the word in which the prefix ends. */
typedef struct esp_typed {
    const uint8_t *partial; /* the word being typed: what stands after the last space */
    uint32_t partial_length;
    uint32_t before[2];             /* the two words before it: last, last but one */
    uint32_t last;                  /* of the session: number of the last one, or ESP_NOT_THERE */
    uint32_t n_words;               /* complete words */
    bool strange;                   /* one of them is a word that neither log nor session knows */
    uint64_t said;                  /* bit i: word i of the session has been typed */
    uint64_t used;                  /* the same, and the words that it is a form of */
    uint32_t word[ESP_TYPED_WORDS]; /* complete words, in the vocabulary */
} esp_typed;

/* Where a query stands: what the next word depends on. */
typedef struct esp_moment {
    uint32_t before; /* the word before the last */
    uint32_t word;   /* the last word */
    uint32_t last;   /* its number among the session's, or ESP_NOT_THERE */
    uint64_t used;   /* words of the session that were used */
} esp_moment;

/* Probability of one step: the word model, the session's words not used yet, words
 * related to them, and copying on from where the last one stood (`follower`). */
typedef struct esp_step {
    esp_moment moment;
    uint32_t stamp; /* of the query it was made for */
    uint32_t n_followers;
    esp_state state;
    float model;                        /* share of the word model */
    float unused;                       /* probability per weight of an unused word */
    float copied;                       /* the same of a follower */
    float related;                      /* the same of a related word */
    float follows[ESP_FOLLOWERS_OF];    /* weight */
    uint8_t follower[ESP_FOLLOWERS_OF]; /* session word, or ESP_NOT_THERE: the end */
} esp_step;

/* The steps of one query, remembered: those of a few moments are asked for by the
 * generator and again by every candidate that has the same words there. */
typedef struct esp_steps {
    const esp_ngrams *ngrams;
    const esp_context *context;
    uint32_t stamp;
    esp_step item[ESP_STEPS];
} esp_steps;

void esp_typed_fill(esp_typed *typed, const esp_words *words, const esp_context *context,
    const uint8_t *prefix, size_t length);

static inline esp_moment esp_typed_moment(const esp_typed *typed) {
    return (esp_moment){.before = typed->before[1],
        .word = typed->before[0],
        .last = typed->last,
        .used = typed->used};
}

/* Forgets the steps of the query before. */
void esp_steps_start(esp_steps *steps, const esp_ngrams *ngrams, const esp_context *context);

/* The step after `moment`; valid until the next call. */
const esp_step *esp_steps_get(esp_steps *steps, const esp_moment *moment);

/* Probability of `word`, which is number `session` of the session's, or no word of
 * it (ESP_NOT_THERE), after `step`.  `model` is its probability in the word model. */
float esp_step_chance(
    const esp_step *step, const esp_context *context, float model, uint32_t session, bool end);

#endif
