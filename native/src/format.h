/* format.h: the index file as C structs.  FORMAT.md is the specification; a
 * test compares its tables with these. */
#ifndef ESP_FORMAT_H
#define ESP_FORMAT_H

#include "base.h"

/* Little-endian hosts map the file as it is; others are refused at open. */
#define ESP_MAGIC \
    "\x93"        \
    "ESPL\r\n\x1a"
#define ESP_FORMAT_MAJOR 1u
#define ESP_FORMAT_MINOR 1u
#define ESP_ENDIAN_MARK 0x01020304u
#define ESP_ALIGNMENT 64u
#define ESP_MAX_SECTIONS 256u

/* Section ids: four characters, the first in the lowest byte. */
#define ESP_ID(a, b, c, d) \
    ((uint32_t)(a) | ((uint32_t)(b) << 8) | ((uint32_t)(c) << 16) | ((uint32_t)(d) << 24))

#define ESP_SEC_META ESP_ID('M', 'E', 'T', 'A') /* JSON for people */
#define ESP_SEC_PARM ESP_ID('P', 'A', 'R', 'M') /* esp_params */
#define ESP_SEC_LOFF ESP_ID('L', 'O', 'F', 'F') /* u32[n_labels + 1] into LTXT */
#define ESP_SEC_LTXT ESP_ID('L', 'T', 'X', 'T') /* label texts, sorted */
#define ESP_SEC_DIDS ESP_ID('D', 'I', 'D', 'S') /* u32[]: labels shown differently */
#define ESP_SEC_DOFF ESP_ID('D', 'O', 'F', 'F') /* u32[|DIDS| + 1] into DTXT */
#define ESP_SEC_DTXT ESP_ID('D', 'T', 'X', 'T') /* their display texts */
#define ESP_SEC_TRIE ESP_ID('T', 'R', 'I', 'E') /* esp_trie_node[] */
#define ESP_SEC_USER ESP_ID('U', 'S', 'E', 'R') /* u32[n_labels]: distinct users */
#define ESP_SEC_PMAX ESP_ID('P', 'M', 'A', 'X') /* range maxima over USER */
#define ESP_SEC_RCNT ESP_ID('R', 'C', 'N', 'T') /* u32[n_labels]: decayed popularity */
#define ESP_SEC_RMAX ESP_ID('R', 'M', 'A', 'X') /* range maxima over RCNT */
#define ESP_SEC_FKEY ESP_ID('F', 'K', 'E', 'Y') /* u32[n_features] hashes, ascending */
#define ESP_SEC_FIDF ESP_ID('F', 'I', 'D', 'F') /* f32[n_features] */
#define ESP_SEC_TREE ESP_ID('T', 'R', 'E', 'E') /* esp_tree_node[] */
#define ESP_SEC_LPOS ESP_ID('L', 'P', 'O', 'S') /* u32[n_labels]: position -> label */
#define ESP_SEC_POSL ESP_ID('P', 'O', 'S', 'L') /* u32[n_labels]: label -> position */
#define ESP_SEC_WGHT ESP_ID('W', 'G', 'H', 'T') /* chunks */
#define ESP_SEC_VOCA ESP_ID('V', 'O', 'C', 'A') /* words of the tail model */
#define ESP_SEC_NGRM ESP_ID('N', 'G', 'R', 'M') /* what follows what */
#define ESP_SEC_RELA ESP_ID('R', 'E', 'L', 'A') /* what comes after what, query to query */
#define ESP_SEC_BLCK ESP_ID('B', 'L', 'C', 'K') /* what is never generated */
#define ESP_SEC_CATA ESP_ID('C', 'A', 'T', 'A') /* words of products */
#define ESP_SEC_FRST ESP_ID('F', 'R', 'S', 'T') /* scores candidates */
#define ESP_SEC_ATTR ESP_ID('A', 'T', 'T', 'R') /* attributes of labels */

typedef struct esp_file_header {
    uint8_t magic[8];
    uint16_t major;
    uint16_t minor;
    uint32_t endian;
    uint64_t file_bytes;
    uint64_t fingerprint;
    uint64_t table_offset;
    uint32_t n_sections;
    uint32_t table_crc;
    uint32_t reserved[3];
    uint32_t header_crc; /* of the 60 bytes before it */
} esp_file_header;

typedef struct esp_file_section {
    uint32_t id;
    uint32_t crc;
    uint64_t offset;
    uint64_t length;
    uint64_t reserved;
} esp_file_section;

typedef struct esp_params {
    uint32_t n_labels;
    uint32_t n_nodes;
    uint32_t n_features;
    uint32_t tree_depth;
    uint32_t max_children;
    uint32_t post_processor;
    uint32_t prefix_features;
    uint32_t max_context;
    float context_decay;
    float blend_model;      /* weight of the model's log score */
    float blend_popularity; /* weight of the logarithm of popularity */
    uint32_t default_beam;
    uint32_t default_pool;
    uint32_t default_matcher;
    uint32_t reserved[2];
} esp_params;

/* One node of the prefix trie: the labels [lo, hi) that share `depth` bytes,
 * hi being the next sibling's lo or the parent's hi. */
typedef struct esp_trie_node {
    uint32_t lo;
    uint32_t first_child; /* number of a node */
    uint16_t depth;
    uint16_t n_children; /* 0: a bucket, searched by bisection */
    uint8_t byte;        /* the byte at the parent's depth */
    uint8_t reserved[3];
} esp_trie_node;

/* What a catalogue knows of its products' titles.  Followed by where each label's
 * words begin, u32[n_labels + 1], and the words, of word_bytes each: numbers of
 * features, in the order of the title. */
typedef struct esp_catalogue_header {
    uint32_t n_labels;
    uint32_t n_words;
    uint32_t word_kinds; /* bits (1 << esp_feature_kind) of the query's words, ... */
    uint32_t text_kinds; /* ... and of its text: the features of the tree */
    float k1;            /* of BM25: where repeating a word stops to count, ... */
    float b;             /* ... how much a long title is held against it */
    float average;       /* words of a title */
    uint32_t pool;       /* products the tree hands to the scorer */
    uint8_t stemmer[16]; /* name of what made the words, ASCII, zeros behind it */
    uint32_t word_bytes; /* 2 or 4 */
    uint32_t reserved[3];
} esp_catalogue_header;

/* Range maxima: a sparse table over blocks of 64 labels. */
typedef struct esp_maxima_header {
    uint32_t n_labels;
    uint32_t n_blocks;
    uint32_t n_levels;
    uint32_t reserved;
} esp_maxima_header; /* then u32[n_levels][n_blocks] */

/* One node of the ranking tree, breadth first.  Node 0 is the root.  A node
 * has child nodes [child_begin, child_end), or, where those are equal, the
 * labels at positions [pos_begin, pos_end). */
typedef struct esp_tree_node {
    uint32_t child_begin;
    uint32_t child_end;
    uint32_t pos_begin;
    uint32_t pos_end;
    uint32_t label_min; /* smallest label below it */
    uint32_t label_max; /* largest */
    uint64_t chunk;     /* offset of its first chunk in WGHT */
} esp_tree_node;

/* A chunk: the weights of up to 256 sibling columns, row-major.  Followed by
 * f32 bias[n_cols]; f32 values[nnz] if ESP_CHUNK_F32; the directory
 * [2^dir_bits + 1] and the row pointers [n_rows + 1], u32 if ESP_CHUNK_WIDE,
 * else u16; u16 keys[n_rows]; i16 values[nnz] unless ESP_CHUNK_F32; u8
 * cols[nnz]; zeros up to a multiple of 8. */
typedef struct esp_chunk_header {
    uint32_t bytes; /* of the whole chunk */
    uint32_t n_rows;
    uint32_t nnz;
    uint16_t n_cols;
    uint8_t dir_bits;
    uint8_t flags;
    float scale; /* a 16-bit value times this is the weight */
    uint32_t reserved;
} esp_chunk_header;

/* Vocabulary: followed by u32 offset[n_words + 1], u32 slot[n_slots] and the
 * texts. */
typedef struct esp_words_header {
    uint32_t n_words;
    uint32_t n_slots; /* a power of two above n_words */
    uint32_t text_bytes;
    uint32_t reserved;
} esp_words_header;

/* N-grams.  Followed by u64 has_next[ceil((n_bigrams + n_words) / 64)], then in
 * u32: rank[the same + 1], pair_ptr[n_words + 1], pair[n_bigrams],
 * triple_ptr[n_contexts + 1], triple[n_trigrams]; then in u8: word[n_words],
 * first[n_words], the smallest of each 64 of either, rest_of_word[n_words],
 * rest_of_context[n_contexts].  An entry of a pair or triple list is a word
 * number (n_words: the end of the query) in 24 bits and, above them, its
 * probability.  A u8 q stands for the probability exp(-q * step). */
typedef struct esp_ngram_header {
    uint32_t n_words;
    uint32_t n_bigrams;
    uint32_t n_contexts;
    uint32_t n_trigrams;
    float step;
    float mix_context; /* share of the session's words in every step */
    float mix_follow;  /* of that, the share of copying on */
    float decay;       /* weight of a previous query against the one after it */
    float mix_related; /* share of words related to the session's in every step */
    uint32_t end;      /* q of the end of a query, of any context */
    uint32_t unknown;  /* q of a word outside the vocabulary */
    float half_life;   /* seconds after which a previous query counts half; 0: never */
} esp_ngram_header;

/* What people type after what, from one query to the next.  Followed by
 * esp_affix_rule[n_rules]; then in u32: word[n_sources] ascending,
 * word_ptr[n_sources + 1], related[n_related]; label[n_heads] ascending,
 * label_ptr[n_heads + 1], follower[n_followers], users[n_followers].  A related
 * entry is a word number in 24 bits and q above them, as in NGRM, best first:
 * how often the word comes after a query with that source word.  A follower is a
 * label, ascending, with the users who typed it right after. */
typedef struct esp_relation_header {
    uint32_t n_rules;
    uint32_t n_sources;
    uint32_t n_related;
    uint32_t n_heads;
    uint32_t n_followers;
    uint32_t reserved[3];
} esp_relation_header;

/* A word of a query and what the next query made of it: `strip` bytes less and
 * `add` more, at its end or its beginning. */
typedef struct esp_affix_rule {
    float chance; /* against the word being used again as it was */
    uint8_t at_end;
    uint8_t n_strip;
    uint8_t n_add;
    uint8_t reserved;
    uint8_t strip[8];
    uint8_t add[8];
} esp_affix_rule;

enum {
    ESP_WORD_LIMIT = 1 << 24, /* word numbers are stored in 24 bits */
    ESP_WORD_BYTES = 255,     /* of a word, at most */
    ESP_WORD_PROBES = 1024,   /* slots in which a word may stand */
    ESP_WORD_BLOCK = 64,
    ESP_LIST_LONG = 32, /* a list longer than this ... */
    ESP_LIST_HEAD = 16, /* ... begins with its best, best first; else by number */
    ESP_MOST_RULES = 64,
    ESP_MOST_RELATED = 255 /* entries of a word */
};

/* What is never generated.  Followed by u64 hash[n_queries + n_words], ascending, and
 * u32 first[2^bits + 1]: hashes with the upper bits b are [first[b], first[b + 1]). */
typedef struct esp_block_header {
    uint32_t n_queries; /* blocked as a whole */
    uint32_t n_words;   /* each blocks any query it stands in */
    uint32_t bits;
    uint32_t flags;
} esp_block_header;

enum {
    ESP_BLOCK_FLAGS = ESP_BLOCK_NUMBERS,
    ESP_BLOCK_BITS = 24,
    ESP_BLOCK_LIMIT = 1 << ESP_BLOCK_BITS
};

/* Scorer of candidates: weights and boosted trees.  Followed by
 * esp_forest_feature[n_features], esp_forest_column[n_columns],
 * f32 threshold[n_thresholds], esp_forest_tree[n_trees],
 * esp_forest_test[n_tests], f32 leaf[n_leaves], f32 expected[n_leaves -
 * n_trees], u8 names[name_bytes]. */
typedef struct esp_forest_header {
    uint32_t n_features;
    uint32_t features_id; /* of the list of features it was trained for */
    uint32_t n_columns;
    uint32_t n_thresholds;
    uint32_t n_trees;
    uint32_t n_leaves; /* of all trees */
    uint32_t n_tests;  /* of all trees */
    uint32_t name_bytes;
    float bias;
    uint32_t reserved[7];
} esp_forest_header;

typedef struct esp_forest_feature {
    float weight;
    float fill; /* what a value that is not finite counts as under `weight` */
} esp_forest_feature;

/* A feature as trees see it: the number of thresholds below its value. */
typedef struct esp_forest_column {
    float missing; /* what a NaN counts as: -inf, 0 or inf */
    uint8_t feature;
    uint8_t n_blocks; /* of ESP_FOREST_BLOCK thresholds */
    uint16_t reserved;
} esp_forest_column;

typedef struct esp_forest_tree {
    uint8_t n_leaves;
    uint8_t n_tests[4]; /* of leaves 0 to 7, 8 to 15, 16 to 23, 24 to 31 */
    uint8_t reserved[3];
} esp_forest_tree;

/* An inner node, as far as it concerns eight leaves. */
typedef struct esp_forest_test {
    uint8_t column;
    uint8_t limit; /* left where fewer thresholds than this are below the value */
    uint8_t keep;  /* bit i: leaf i of the eight can still be reached on the right */
    uint8_t first; /* first leaf on the left */
} esp_forest_test;

/* Attributes of labels.  Followed by u32 text_ptr[n_values + 1], label_ptr[n_labels + 1],
 * value_ptr[n_values + 1], label[n_entries]; u16 value[n_entries]; u8 texts[text_bytes].
 * `value` has the values of each label, `label` the labels of each value, both
 * ascending. */
typedef struct esp_attribute_header {
    uint32_t n_values;
    uint32_t n_entries;
    uint32_t text_bytes;
    uint32_t reserved;
} esp_attribute_header;

enum {
    ESP_MOST_VALUES = 65535,
    ESP_LABEL_VALUES = 16, /* of a label, at most */
    ESP_VALUE_BYTES = 128  /* of a value, at most */
};

enum {
    ESP_CHUNK_F32 = 1,
    ESP_CHUNK_WIDE = 2,
    ESP_CHUNK_COLUMNS = 256,
    ESP_TRIE_BUCKET = 16,
    ESP_MAXIMA_BLOCK = 64,
    ESP_MAX_FEATURE_BITS = 28,
    ESP_FOREST_FEATURES = 64,
    ESP_FOREST_COLUMNS = 128,
    ESP_FOREST_TREES = 1024,
    ESP_FOREST_LEAVES = 32,
    ESP_FOREST_BLOCK = 8,
    ESP_FOREST_BLOCKS = 32
};

static_assert(sizeof(esp_file_header) == 64, "header is one cache line");
static_assert(sizeof(esp_file_section) == 32, "");
static_assert(sizeof(esp_params) == 64, "");
static_assert(sizeof(esp_trie_node) == 16, "");
static_assert(sizeof(esp_maxima_header) == 16, "");
static_assert(sizeof(esp_tree_node) == 32, "");
static_assert(sizeof(esp_chunk_header) == 24, "");
static_assert(sizeof(esp_words_header) == 16, "");
static_assert(sizeof(esp_ngram_header) == 48, "");
static_assert(sizeof(esp_relation_header) == 32, "");
static_assert(sizeof(esp_affix_rule) == 24, "");
static_assert(sizeof(esp_block_header) == 16, "");
static_assert(sizeof(esp_forest_header) == 64, "");
static_assert(sizeof(esp_forest_feature) == 8, "");
static_assert(sizeof(esp_forest_column) == 8, "");
static_assert(sizeof(esp_forest_tree) == 8, "");
static_assert(sizeof(esp_forest_test) == 4, "");
static_assert(sizeof(esp_attribute_header) == 16, "");
static_assert(sizeof(float) == 4, "");

#endif
