/* relations.h: what people type after what, from one query to the next. */
#ifndef ESP_RELATIONS_H
#define ESP_RELATIONS_H

#include "format.h"

/* The RELA section, resolved. */
typedef struct esp_relations {
    const esp_relation_header *head; /* NULL where the index has none */
    const esp_affix_rule *rule;
    const uint32_t *word;
    const uint32_t *word_ptr;
    const uint32_t *related;
    const uint32_t *label;
    const uint32_t *label_ptr;
    const uint32_t *follower;
    const uint32_t *users;
} esp_relations;

/* Resolves a section.  Returns the check that fails (FORMAT.md, Q1 or Q2), NULL if
 * none does. */
const char *esp_relations_open(const uint8_t *data, uint64_t length, esp_relations *relations);

/* Words that come after queries with `word`, best first: entries as in FORMAT.md.
 * Returns how many. */
uint32_t esp_related_words(const esp_relations *relations, uint32_t word, const uint32_t **entries);

/* Labels of [lo, hi) typed right after `label`, ascending, and their users.  Returns
 * how many; in a damaged file others may be among them. */
uint32_t esp_followers(const esp_relations *relations, uint32_t label, uint32_t lo, uint32_t hi,
    const uint32_t **followers, const uint32_t **users);

/* Applies a rule to a word: bytes of the result in `out`, 0 if it does not apply or
 * does not fit `cap`. */
uint32_t esp_affix_apply(
    const esp_affix_rule *rule, const uint8_t *word, uint32_t length, uint8_t *out, uint32_t cap);

/* Checks the content of the section (FORMAT.md, Q3 to Q8). */
esp_status esp_relations_validate(
    const esp_relations *relations, uint32_t n_words, uint32_t n_labels, esp_error *err);

#endif
