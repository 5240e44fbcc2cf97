/* descent.h: sorted texts as a trie of code points.
 *
 * A place in that trie is a range of texts and how many of their bytes have been
 * read; from there one goes on by a given code point, or asks for every way on.
 * The trie of an index splits bytes, leaves chains out and ends in buckets; texts
 * without a trie are one bucket.  Whoever descends sees none of this.
 *
 * Nothing read from a file is trusted: offsets and nodes are bounded where they
 * are met, and what is damaged leads nowhere. */
#ifndef ESP_DESCENT_H
#define ESP_DESCENT_H

#include "index.h"
#include "utf8.h"

/* Texts sorted by their bytes: text i is data[offset[i], offset[i + 1]). */
typedef struct esp_strings {
    const uint32_t *offset; /* count + 1 */
    esp_section data;
    uint32_t count;
    uint32_t n_trie; /* 0: there is none */
    const esp_trie_node *trie;
} esp_strings;

typedef struct esp_place {
    uint32_t lo; /* texts [lo, hi), not empty */
    uint32_t hi;
    uint32_t node;   /* of the trie; ESP_NO_NODE: a bucket */
    uint32_t shared; /* bytes that all of them are known to share */
    uint32_t at;     /* bytes read, at most `shared` */
} esp_place;

/* Work done, in nodes and texts looked at, and how much is allowed. */
typedef struct esp_visits {
    uint32_t n;
    uint32_t most;
} esp_visits;

#define ESP_NO_NODE UINT32_MAX

enum {
    ESP_NO_POINT = 0x110000, /* for a byte that is no UTF-8: equal to nothing */
    ESP_DESCENT_BYTES = 512  /* no text is read further */
};

/* Ways on from a place, one by one. */
typedef struct esp_ways {
    esp_place node[4]; /* a code point has four bytes at most, so nodes nest no deeper */
    uint32_t child[4]; /* the next of each */
    uint32_t n_nodes;
    uint32_t at;
    esp_place run; /* a bucket, whose texts are told apart one by one */
    uint32_t next; /* of them; run.hi: none left */
} esp_ways;

static inline bool esp_visits_spent(const esp_visits *visits) {
    return visits->n >= visits->most;
}

/* Text `i` < count; false if its offsets leave the data. */
static inline bool esp_strings_text(
    const esp_strings *strings, uint32_t i, const uint8_t **text, uint32_t *length) {
    const uint32_t begin = strings->offset[i];
    const uint32_t end = strings->offset[i + 1];
    if (ESP_UNLIKELY(begin > end || end > strings->data.length))
        return false;
    *text = strings->data.data + begin;
    *length = end - begin;
    return true;
}

/* Code point at text[0..length), length > 0, and how many bytes it has. */
static inline uint32_t esp_point_at(const uint8_t *text, size_t length, uint32_t *bytes) {
    uint32_t point = text[0];
    *bytes = 1;
    if (ESP_LIKELY(point < 0x80))
        return point;
    const uint32_t step = esp_utf8_step(text, length, &point);
    *bytes = step == 0 ? 1 : step;
    return step == 0 ? ESP_NO_POINT : point;
}

/* All texts; false if there are none. */
bool esp_place_start(const esp_strings *strings, esp_place *place);

/* Finds out which bytes the texts of a place share.  Every other function wants
 * a settled place and returns places that are not.  False: damaged. */
bool esp_place_settle(const esp_strings *strings, esp_place *place);

/* Goes on over `n` bytes, the encoding of a code point.  False if no text does. */
bool esp_place_seek(const esp_strings *strings, esp_place *place, const uint8_t *bytes, uint32_t n,
    esp_visits *visits);

void esp_ways_start(esp_ways *ways, const esp_place *from);

/* The next way on and its code point; places of different code points do not
 * overlap.  False when there is none left or all visits are spent. */
bool esp_ways_next(
    const esp_strings *strings, esp_ways *ways, esp_visits *visits, esp_place *to, uint32_t *point);

#endif
