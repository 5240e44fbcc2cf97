/* blocklist.h: what an index never generates.
 *
 * Labels were filtered when the index was trained; this is for texts put together
 * from words, the words of the session among them.  A list without a head, as of an
 * index without the section, blocks nothing. */
#ifndef ESP_BLOCKLIST_H
#define ESP_BLOCKLIST_H

#include "words.h"

/* The BLCK section, resolved. */
typedef struct esp_blocklist {
    const esp_block_header *head; /* NULL where the index has none */
    const uint64_t *hash;
    const uint32_t *first;
    uint32_t n;
} esp_blocklist;

/* Resolves a section.  false if its length contradicts its numbers. */
bool esp_blocklist_open(const uint8_t *data, uint64_t length, esp_blocklist *list);

/* Whether a text is kept out: it is a blocked query, has a blocked word, or, where
 * the index says so, an address or a long number (FORMAT.md, BLCK). */
bool esp_blocklist_blocks(const esp_blocklist *list, const uint8_t *text, size_t length);

/* The same where the words are known to be fine, one by one: the vocabulary has no
 * blocked word (K5), and words of the session were asked about when they came in. */
bool esp_blocklist_blocks_whole(const esp_blocklist *list, const uint8_t *text, size_t length);

/* Whether a text has a blocked word. */
bool esp_blocklist_blocks_words(const esp_blocklist *list, const uint8_t *text, size_t length);

/* Whether numbers are kept out and a text has an address or a long number. */
bool esp_blocklist_finds_number(const esp_blocklist *list, const uint8_t *text, size_t length);

/* Whether a word of a query gives no support: it is kept out by itself or, with
 * `in_number`, may be a part of the number found in the query. */
bool esp_blocklist_hides(
    const esp_blocklist *list, const uint8_t *word, size_t length, bool in_number);

/* Checks the content of the section (FORMAT.md, K2 to K5). */
esp_status esp_blocklist_validate(
    const esp_blocklist *list, const esp_words *words, esp_error *err);

#endif
