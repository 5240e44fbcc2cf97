/* tails.h: completions nobody has typed before. */
#ifndef ESP_TAILS_H
#define ESP_TAILS_H

#include "context.h"
#include "ngrams.h"

enum {
    ESP_TAILS = 40,       /* completions handed out, at most */
    ESP_TAIL_BEAM = 12,   /* hypotheses kept per word */
    ESP_TAIL_LIKELY = 12, /* words tried after each, of every list */
    ESP_TAIL_WORDS = 6,   /* words generated, the one being typed included */
    ESP_TAIL_BYTES = 120, /* bytes generated */
    ESP_TAIL_NODES = 1 + ESP_TAIL_WORDS * ESP_TAIL_BEAM + ESP_TAILS,
    ESP_TAIL_FOLLOWERS = 32
};

/* What has been typed, up to the word in which the prefix ends. */
typedef struct esp_typed {
    const uint8_t *partial; /* the word being typed: what stands after the last space */
    uint32_t partial_length;
    uint32_t before[2]; /* the two words before it: last, last but one */
    uint32_t last;      /* of the session: number of the last one, or ESP_NOT_THERE */
    uint32_t n_words;   /* complete words */
    uint64_t used;      /* bit i: word i of the session has been typed */
} esp_typed;

/* A word on the way from the prefix to a completion. */
typedef struct esp_tail_node {
    float score; /* log probability with the session in it */
    uint32_t word;
    uint32_t session; /* number among the session's words, or ESP_NOT_THERE */
    uint32_t parent;
    uint32_t before; /* the word before it */
    uint32_t bytes;  /* generated so far */
    uint64_t used;
} esp_tail_node;

typedef struct esp_tails {
    uint32_t n; /* completions, best first */
    uint32_t last[ESP_TAILS];
    float score[ESP_TAILS];
    uint32_t n_nodes;
    esp_tail_node node[ESP_TAIL_NODES + ESP_TAIL_BEAM];
} esp_tails;

/* Probability of one step: the word model, the session's words not used yet, and
 * copying on from where one of them stood (`follower`: of word or end). */
typedef struct esp_step {
    esp_state state;
    float model;   /* share of the word model */
    float unused;  /* probability per weight of an unused word */
    float copied;  /* the same of a follower */
    float related; /* the same of a related word */
    uint32_t n_followers;
    uint8_t follower[ESP_TAIL_FOLLOWERS]; /* session word, or ESP_NOT_THERE: the end */
    float follows[ESP_TAIL_FOLLOWERS];    /* weight */
} esp_step;

void esp_typed_fill(esp_typed *typed, const esp_words *words, const esp_context *context,
    const uint8_t *prefix, size_t length);

/* The step after two words; `last` is the session's number of the last one. */
void esp_step_fill(esp_step *step, const esp_ngrams *ngrams, const esp_context *context,
    uint32_t before, uint32_t word, uint32_t last, uint64_t used);

/* Probability of `word`, which is number `session` of the session's, or no word of
 * it (ESP_NOT_THERE), after `step`.  `model` is its probability in the word model. */
float esp_step_chance(const esp_step *step, const esp_context *context, float model,
    uint32_t session, uint64_t used, bool end);

/* Generates completions by beam search over words, from inside the word being
 * typed.  Deterministic; ties by the order of generation. */
void esp_tails_generate(esp_tails *tails, const esp_ngrams *ngrams, const esp_words *words,
    const esp_context *context, const esp_typed *typed);

/* Writes completion `i`: `prefix` and what was generated.  Returns its bytes, 0 if
 * it does not fit `cap`. */
size_t esp_tails_text(const esp_tails *tails, uint32_t i, const esp_words *words,
    const esp_context *context, const esp_typed *typed, const uint8_t *prefix, size_t length,
    uint8_t *out, size_t cap);

#endif
