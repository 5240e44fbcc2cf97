/* fuzzy.h: the labels that start almost as somebody typed.
 *
 * The distance of a label from a typed prefix is the least restricted
 * Damerau-Levenshtein distance (optimal string alignment: insert, delete,
 * replace, swap neighbours, each 1, nothing edited twice) between the prefix and
 * any beginning of the label, in code points.  The first code point is taken to
 * be right: people seldom miss it, and without it every label is a candidate.
 *
 *   typed "nikke"     n i k k e          n i k . e   one deleted
 *                     nike shoes         distance 1, matched "nike"
 *
 * The sorted texts are walked as a trie.  A state is a range of texts that share
 * the bytes read so far, and for each number of errors the set of places of the
 * prefix reached with it: one bit each, so that a code point costs a few
 * operations on words (Wu and Manber 1992; swaps after Hyyro 2003).
 *
 * Work goes by errors.  First what continues without error is followed; places
 * where an error may be made are written down.  Then an error is made at each of
 * them, and from there again only what continues without another is followed.
 * All labels at distance 1 are found before any work is spent on distance 2, and
 * the cap on work cuts where it hurts least. */
#ifndef ESP_FUZZY_H
#define ESP_FUZZY_H

#include "descent.h"
#include "maxima.h"

enum {
    ESP_FUZZY_DISTANCE = 2, /* errors that can be corrected */
    ESP_FUZZY_POINTS = 64,  /* a prefix of more code points is not corrected */
    ESP_FUZZY_NODES = 6000, /* recommended max_nodes: of the labels that an unlimited search
                               finds at two errors, all but one in two hundred */
    ESP_FUZZY_FOUND = 1024, /* ranges kept before they are ordered */
    ESP_FUZZY_OPEN = 1024,  /* states kept after which a second error may be made */
    /* A state goes on without an error in at most 2 * 2 + 1 ways, and at most 65
     * code points lead to it. */
    ESP_FUZZY_STACK = 4 * 66 + 8
};

/* A place of the texts, and where in the prefix one may be there. */
typedef struct esp_fuzzy_state {
    uint64_t reached[ESP_FUZZY_DISTANCE + 1]; /* [e] bit i: i code points are read with e
                                                 errors and not with fewer */
    uint64_t swapped[ESP_FUZZY_DISTANCE];     /* [e] bit i: so it was before the last code
                                                 point, which is the prefix's next but one */
    esp_place place;
    uint32_t limit; /* more errors than this are of no interest */
} esp_fuzzy_state;

typedef struct esp_fuzzy_found {
    uint32_t lo;
    uint32_t hi;
    uint32_t length; /* bytes */
    uint32_t distance;
} esp_fuzzy_found;

/* Working memory of a search, of fixed size; nothing in it outlives the call. */
typedef struct esp_fuzzy {
    uint64_t ascii[128];              /* bit i: code point i of the prefix is this one */
    uint32_t point[ESP_FUZZY_POINTS]; /* of the prefix, after its first */
    uint32_t n_points;
    uint32_t n_found;
    uint32_t n_stack;
    uint32_t n_once;
    uint32_t n_open;
    esp_visits visits;
    esp_fuzzy_state stack[ESP_FUZZY_STACK];
    esp_fuzzy_state once[ESP_FUZZY_POINTS + 1]; /* after which the first error may be made */
    esp_fuzzy_state open[ESP_FUZZY_OPEN];       /* after which the second may be */
    esp_fuzzy_found found[ESP_FUZZY_FOUND];
} esp_fuzzy;

/* Errors worth correcting in a prefix: 0 below 4 code points and above
 * ESP_FUZZY_POINTS, 1 below 8, then 2.  0 also for what is not UTF-8.
 *
 * Why from 4 on: with an error allowed, 3 letters say no more than 2 do.  On a
 * log of 305,000 labels such a prefix stood for 2,600 of them, the one meant was
 * among the ten most popular in 9 cases of 100, and every third time ten labels
 * started with the mistyped prefix anyway.  With 4 letters it is 380 labels and
 * 20 cases, with 6 letters 25 labels and 56 cases. */
uint32_t esp_fuzzy_distance(const uint8_t *prefix, size_t length);

/* The ranges of labels at a distance of 1 to max_distance (at most
 * ESP_FUZZY_DISTANCE) from the prefix; labels that start with it are left out.
 * Ranges are disjoint and every label of a range has its distance: where labels
 * inside a range are closer, they are cut out of it.  At most `cap`, best first:
 * smallest distance, then the most popular label, then lo.  Stops when max_nodes
 * nodes and labels were looked at, but for the few that finish a step, and says
 * at how many; what was not looked at is not found.  A prefix that is not UTF-8,
 * empty or too long, and an index without labels, give nothing.  Allocates
 * nothing, cannot fail: in a damaged index it finds less, or something else. */
uint32_t esp_fuzzy_find(const esp_index *index, esp_fuzzy *fuzzy, const uint8_t *prefix,
    size_t length, uint32_t max_distance, uint32_t max_nodes, esp_fuzzy_match *out, uint32_t cap,
    uint32_t *visited);

/* The same over the vocabulary: words that start almost like `prefix`.  A word is
 * as good as another at its distance: ties by number. */
uint32_t esp_fuzzy_words(const esp_words *words, esp_fuzzy *fuzzy, const uint8_t *prefix,
    size_t length, uint32_t max_distance, uint32_t max_nodes, esp_fuzzy_match *out, uint32_t cap,
    uint32_t *visited);

/* The same over any sorted texts, with a popularity or without (value NULL). */
uint32_t esp_fuzzy_search(const esp_strings *strings, esp_popularity by, esp_fuzzy *fuzzy,
    const uint8_t *prefix, size_t length, uint32_t max_distance, uint32_t max_nodes,
    esp_fuzzy_match *out, uint32_t cap, uint32_t *visited);

#endif
