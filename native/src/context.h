/* context.h: what the session says, cut into words once per query. */
#ifndef ESP_CONTEXT_H
#define ESP_CONTEXT_H

#include "blocklist.h"
#include "ngrams.h"

enum {
    ESP_CONTEXT_QUERIES = 8, /* previous queries whose words count */
    ESP_CONTEXT_OWN = 40,    /* distinct words of them; more are not looked at */
    ESP_CONTEXT_WORDS = 64,  /* with those related to them: bits of a mask */
    ESP_CONTEXT_MADE = 512,  /* bytes of related words that no text holds */
    ESP_CONTEXT_TOKENS = 128,
    ESP_CONTEXT_SLOTS = 256,
    ESP_NOT_THERE = 0xFF
};

typedef struct esp_context_word {
    const uint8_t *text;
    uint32_t length;
    uint32_t hash;
    uint32_t word; /* in the vocabulary, or ESP_NO_WORD */
    float weight;  /* of the queries it stands in; of a related word, its own */
    uint32_t like; /* the word it is a form of, itself if it is no form */
} esp_context_word;

/* The session: distinct words, and the queries as sequences of their numbers. */
typedef struct esp_context {
    uint32_t n_queries;
    uint32_t n_own;   /* words that stand in the queries */
    uint32_t n_words; /* and, from n_own on, those related to them */
    float trust;      /* how far the session counts at all: 1 where it is fresh */
    float query_weight[ESP_CONTEXT_QUERIES];
    esp_text query[ESP_CONTEXT_QUERIES];
    uint16_t begin[ESP_CONTEXT_QUERIES + 1]; /* of each query's tokens */
    uint8_t token[ESP_CONTEXT_TOKENS];
    esp_context_word word[ESP_CONTEXT_WORDS];
    uint8_t slot[ESP_CONTEXT_SLOTS];       /* number of a word by its hash */
    uint64_t some[ESP_CONTEXT_SLOTS / 64]; /* bits of vocabulary numbers that are there */
    uint8_t made[ESP_CONTEXT_MADE];
    uint32_t n_made;
    const esp_blocklist *blocked; /* words kept out of it, or NULL; stays as it is */
} esp_context;

/* How many of the newest queries are not too old to count: after ten half-lives
 * (0, or ages NULL: never) there is a thousandth left. */
uint32_t esp_context_fresh(const uint32_t *age, uint32_t n_previous, float half_life);

/* Cuts `previous` (most recent first) into words.  A query counts `decay` times
 * the one after it, and half for every `half_life` seconds of its age (0, or ages
 * NULL: not).  Of that, what has faded from all of them becomes `trust`, so that an
 * old session counts less against the word model, and not only its old queries
 * against its new ones. */
void esp_context_fill(esp_context *context, const esp_words *words, const esp_text *previous,
    const uint32_t *age, uint32_t n_previous, float decay, float half_life);

/* Lets words that stand in queries of every kind ("of", "the") count less: that one was
 * said before says little about what comes, and the word model knows them. */
void esp_context_dampen(esp_context *context, const esp_ngrams *ngrams);

/* Adds a word, or finds it; its number, ESP_NOT_THERE if there is no room.  `limit`
 * is how many words there may be. */
uint32_t esp_context_add(esp_context *context, const esp_words *words, const uint8_t *text,
    uint32_t length, uint32_t limit);

/* Number of a word among the session's, ESP_NOT_THERE if it is none of them. */
uint32_t esp_context_find(
    const esp_context *context, const uint8_t *text, uint32_t length, uint32_t hash);

/* The same by number in the vocabulary. */
uint32_t esp_context_find_word(const esp_context *context, uint32_t word);

/* The words of the session that are used up by using number `session` (may be
 * ESP_NOT_THERE): itself, and the word it is a form of. */
static inline uint64_t esp_context_bits(const esp_context *context, uint32_t session) {
    return session == ESP_NOT_THERE
               ? 0
               : (uint64_t)1 << session | (uint64_t)1 << context->word[session].like;
}

#endif
