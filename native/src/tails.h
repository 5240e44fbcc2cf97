/* tails.h: completions nobody has typed before. */
#ifndef ESP_TAILS_H
#define ESP_TAILS_H

#include "step.h"

enum {
    ESP_TAILS = 40,       /* completions handed out, at most */
    ESP_TAIL_BEAM = 12,   /* hypotheses kept per word */
    ESP_TAIL_LIKELY = 12, /* words tried after each, of every list */
    ESP_TAIL_WORDS = 6,   /* words generated, the one being typed included */
    ESP_TAIL_BYTES = 120, /* bytes generated */
    ESP_TAIL_NODES = 1 + ESP_TAIL_WORDS * ESP_TAIL_BEAM + ESP_TAILS
};

/* A word on the way from the prefix to a completion. */
typedef struct esp_tail_node {
    double chance; /* probability with the session in it */
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
    double chance[ESP_TAILS];
    uint32_t n_nodes;
    esp_tail_node node[ESP_TAIL_NODES + ESP_TAIL_BEAM];
} esp_tails;

/* Generates completions by beam search over words, from inside the word being
 * typed.  Deterministic; ties by the order of generation. */
void esp_tails_generate(
    esp_tails *tails, esp_steps *steps, const esp_words *words, const esp_typed *typed);

/* The nodes of completion `i` in the order of its words, into `path`.  Returns how many. */
uint32_t esp_tails_path(const esp_tails *tails, uint32_t i, const esp_tail_node **path);

/* Writes completion `i`: `prefix` and what was generated.  Returns its bytes, 0 if
 * it does not fit `cap`. */
size_t esp_tails_text(const esp_tails *tails, uint32_t i, const esp_words *words,
    const esp_context *context, const esp_typed *typed, const uint8_t *prefix, size_t length,
    uint8_t *out, size_t cap);

#endif
