/* espalier.h: the whole public C API of the Espalier index.
 *
 * An index is one file (native/FORMAT.md), mapped read-only and shared by any
 * number of threads and processes.  It answers one question: given a typed
 * prefix and the session's previous queries, which labels come next?
 *
 *        prefix ---> label range [lo, hi) ----.
 *                                             v
 *   previous ---> features ---> tree (beam, children outside the range pruned)
 *                                             |            range top by popularity
 *                                             `---> blend <------'
 *                                                     |
 *                                                     v
 *                                            k suggestions, best first
 *
 * What will hurt, before how to call:
 *
 *   - Text given to this library is UTF-8 and already normalised (NFKC, case
 *     folded, plain quotes, nothing invisible, white space collapsed; see
 *     FORMAT.md).  The library checks that it is UTF-8; it cannot know that it
 *     is normalised, and compares bytes.
 *   - Text handed out is borrowed from the index: it lives until
 *     esp_index_close().
 *   - esp_index_open() does not read the file.  A file from a source you do
 *     not control goes through esp_index_verify() (every checksum) first.  Even
 *     without it no byte of the file can make a query read or write outside the
 *     mapping: what the query path trusts is checked at open, and every value
 *     it reads later is bounded before use.  Truncating a file while it is
 *     mapped is fatal (SIGBUS): index files are replaced by rename, never
 *     rewritten.
 *   - One esp_scratch belongs to one thread at a time.  Everything else that is
 *     const may be shared.
 *
 * Conventions: a function that can fail returns esp_status and takes, last, an
 * esp_error that may be NULL.  Outputs are written only on ESP_OK.  Verbs come
 * in pairs and mean ownership: new/free for memory, open/close for files.  free
 * and close accept NULL.  There is no global state, no abort and, but for
 * esp_predict_batch(), no allocation between esp_scratch_new() and
 * esp_scratch_free().
 */
#ifndef ESPALIER_H
#define ESPALIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Everything between the two cffi markers is what Python sees, word for word:
 * plain declarations only, no preprocessor but numbers with a name, no
 * expressions. */
/* cffi: begin */

/* ---- status ------------------------------------------------------------- */

/* Status of a call.  Values are pinned, gapped by ten and never reused. */
typedef enum esp_status {
    ESP_OK = 0,
    ESP_E_ARGUMENT = 10,    /* a value outside its documented range */
    ESP_E_LIMIT = 20,       /* above a cap of the scratch object */
    ESP_E_UTF8 = 30,        /* text that is not UTF-8 */
    ESP_E_MEMORY = 40,      /* allocation failed */
    ESP_E_IO = 50,          /* the operating system refused; message has why */
    ESP_E_FORMAT = 60,      /* not an Espalier index */
    ESP_E_VERSION = 70,     /* an index of a version this library cannot read */
    ESP_E_CORRUPT = 80,     /* a checksum or an invariant of FORMAT.md fails */
    ESP_E_UNSUPPORTED = 90, /* the index lacks the section this call needs */
} esp_status;

/* Evidence of a failure, filled into the caller's memory. */
typedef struct esp_error {
    int32_t status;    /* an esp_status */
    uint32_t section;  /* id of the section concerned, 0 if none */
    uint64_t offset;   /* byte offset in the file, or index of the bad value */
    char check[32];    /* name of the check, as in FORMAT.md: "T3", "H1" */
    char message[160]; /* one sentence; no query text */
} esp_error;

/* Name of a status, "ESP_E_CORRUPT".  Static memory.  Never NULL. */
const char *esp_status_name(int32_t status);

/* Version of this library, "1.0.0".  Static memory. */
const char *esp_version(void);

/* ---- index -------------------------------------------------------------- */

typedef struct esp_index esp_index;

/* What an index holds.  Counts are labels, nodes, features; sizes are bytes. */
typedef struct esp_index_info {
    uint64_t bytes; /* size of the file */
    uint32_t format_major;
    uint32_t format_minor;
    uint32_t n_labels;
    uint32_t n_nodes; /* tree nodes that have children; 0: no model */
    uint32_t n_features;
    uint32_t tree_depth;   /* edges from the root to a label */
    uint32_t max_children; /* widest node of the tree */
    uint32_t n_sections;
    uint64_t fingerprint;    /* of the training run; names the revision */
    uint32_t has_labels;     /* 1: texts, prefix lookup, popularity */
    uint32_t has_features;   /* 1: can turn text into features */
    uint32_t has_model;      /* 1: can rank */
    uint32_t post_processor; /* esp_post_processor */
} esp_index_info;

/* One section of the file. */
typedef struct esp_section_info {
    uint32_t id; /* four ASCII characters, first one lowest */
    uint32_t crc32c;
    uint64_t offset;
    uint64_t length;
} esp_section_info;

/* Maps the file at `path` (NUL-terminated) and checks header, section table and
 * section sizes: constant time whatever the size.  The index must be closed
 * with esp_index_close().
 * Fails with ESP_E_IO, ESP_E_FORMAT, ESP_E_VERSION, ESP_E_CORRUPT,
 * ESP_E_MEMORY.  Since 1.0. */
esp_status esp_index_open(const char *path, esp_index **index, esp_error *err);

/* The same over `length` bytes at `data`, which must be aligned to 64 bytes,
 * stay unchanged and outlive the index.  Nothing is copied.  Since 1.0. */
esp_status esp_index_open_memory(
    const uint8_t *data, size_t length, esp_index **index, esp_error *err);

/* Unmaps and frees.  No scratch made for the index may be in use.  NULL is
 * accepted. */
void esp_index_close(esp_index *index);

/* Compares every section with its checksum.  Reads the whole file once.
 * Fails with ESP_E_CORRUPT naming the section. */
esp_status esp_index_verify(const esp_index *index, esp_error *err);

/* Checks every invariant of FORMAT.md that does not follow from the header:
 * sorted labels, a tree whose leaves partition the labels, chunks within
 * bounds, finite weights.  O(size).  Fails with ESP_E_CORRUPT naming the
 * invariant. */
esp_status esp_index_validate(const esp_index *index, esp_error *err);

/* Fills `info`.  Reads nothing but the header.  Cannot fail. */
void esp_index_get_info(const esp_index *index, esp_index_info *info);

/* Fills `out` with section number `i`, 0 <= i < n_sections.
 * Fails with ESP_E_ARGUMENT. */
esp_status esp_index_get_section(
    const esp_index *index, uint32_t i, esp_section_info *out, esp_error *err);

/* Bytes of the section with the given id, borrowed; NULL and length 0 where
 * the index has none.  Cannot fail. */
const uint8_t *esp_index_section(const esp_index *index, uint32_t id, uint64_t *length);

/* ---- labels ------------------------------------------------------------- */

/* A borrowed run of bytes. */
typedef struct esp_text {
    const uint8_t *data;
    uint64_t length;
} esp_text;

/* Normalised text of a label, and the form it is shown in.  Borrowed from the
 * index.  Fails with ESP_E_ARGUMENT (no such label), ESP_E_UNSUPPORTED. */
esp_status esp_label_text(
    const esp_index *index, uint32_t label, esp_text *text, esp_text *display, esp_error *err);

/* The labels that start with `prefix` are [*lo, *hi), in byte order.  An empty
 * prefix gives all.  Fails with ESP_E_UNSUPPORTED.  O(length). */
esp_status esp_prefix_range(const esp_index *index, const uint8_t *prefix, size_t length,
    uint32_t *lo, uint32_t *hi, esp_error *err);

/* Labels [lo, hi) that start almost as somebody typed. */
typedef struct esp_fuzzy_match {
    uint32_t lo;
    uint32_t hi;
    uint32_t popularity; /* of the most popular of them, as completion counts it */
    uint16_t length;     /* bytes, shared by all of them, that match the prefix */
    uint8_t distance;    /* errors between these bytes and the prefix: 1 or 2 */
    uint8_t reserved;
} esp_fuzzy_match;

/* The labels that start with a text whose distance to `prefix` is 1 to
 * max_distance (2 at most), as disjoint ranges, at most `cap`, best first:
 * smallest distance, then the most popular label.  Distance is restricted
 * Damerau-Levenshtein in code points, the first of which must be right; a label
 * has that of its closest beginning.  max_distance 0: what completion corrects, 1
 * from 4 code points and 2 from 8 on.  At most max_nodes nodes and labels are
 * looked at, 0: as completion does; *visited says how many.  Prefixes above 64
 * code points have no ranges.  Allocates its working memory for the call.
 * Fails with ESP_E_UNSUPPORTED, ESP_E_UTF8, ESP_E_MEMORY.  Since 1.0. */
esp_status esp_fuzzy_ranges(const esp_index *index, const uint8_t *prefix, size_t length,
    uint32_t max_distance, uint32_t max_nodes, esp_fuzzy_match *out, uint32_t cap, size_t *count,
    uint32_t *visited, esp_error *err);

/* Distinct users who typed the label.  0 for a label that does not exist. */
uint32_t esp_label_users(const esp_index *index, uint32_t label);

/* ---- attributes --------------------------------------------------------- */

/* What is known of a label besides its text: values such as "locale:de" or
 * "category:shoes", a name and a value with a colon between them.  They are numbered
 * in byte order. */

/* Number of a value that the index has not. */
#define ESP_NO_VALUE 0xFFFFFFFF

/* How many values there are; 0 for an index without attributes. */
uint32_t esp_attribute_count(const esp_index *index);

/* Number of the value `text`, normalised; ESP_NO_VALUE if no label has it.  Cannot
 * fail.  O(log values).  Since 1.0. */
uint32_t esp_attribute_find(const esp_index *index, const uint8_t *text, size_t length);

/* Text of a value, borrowed from the index, and how many labels have it.  Fails with
 * ESP_E_ARGUMENT (no such value), ESP_E_CORRUPT.  Since 1.0. */
esp_status esp_attribute_text(
    const esp_index *index, uint32_t value, esp_text *text, uint32_t *n_labels, esp_error *err);

/* Values of a label: at most `cap` into `values`, ascending.  Returns how many there
 * are, 16 at most; 0 for a label that does not exist.  Since 1.0. */
uint32_t esp_label_attributes(
    const esp_index *index, uint32_t label, uint32_t *values, uint32_t cap);

/* ---- words -------------------------------------------------------------- */

/* A word of the word model after some others. */
typedef struct esp_word {
    esp_text text; /* borrowed from the index; empty: the end of the query */
    uint32_t word; /* its number; that of the end is how many words there are */
    float chance;  /* probability */
} esp_word;

/* Probability that `word` comes next in a query that begins with the words
 * before[0, n_before), of which the last two count.  A word is what stands between
 * two spaces; an empty one is the end of the query.  One that the index has not
 * gets what all such words share.  The session plays no part.
 * Fails with ESP_E_UNSUPPORTED where the index has no word model.  Since 1.0. */
esp_status esp_word_chance(const esp_index *index, const esp_text *before, size_t n_before,
    const uint8_t *word, size_t length, float *chance, esp_error *err);

/* Words that begin with `prefix` (empty: all, and the end where it was seen) and are
 * likely after before[0, n_before), at most `cap`, most probable first, equals by
 * number: the best of those seen after both words, after the last one, and anywhere.
 * A word that is behind `cap` others in its shorter context may be left out.
 * Fails with ESP_E_UNSUPPORTED, ESP_E_CORRUPT; ESP_E_LIMIT for a cap above 64.
 * Since 1.0. */
esp_status esp_word_likely(const esp_index *index, const esp_text *before, size_t n_before,
    const uint8_t *prefix, size_t length, esp_word *out, uint32_t cap, size_t *count,
    esp_error *err);

/* Whether the index keeps `text`, which is normalised, from being put together out of
 * words: it is a blocked query, has a blocked word, or, where the index was trained to
 * keep those out, has an e-mail address or a long number.  A label may be kept out so
 * and is suggested all the same.  Cannot fail.  O(length).  Since 1.0. */
bool esp_index_blocks(const esp_index *index, const uint8_t *text, size_t length);

/* ---- completion --------------------------------------------------------- */

typedef struct esp_scratch esp_scratch;

/* Caps of a scratch object.  0 means the default in brackets. */
typedef struct esp_scratch_options {
    uint32_t struct_size;       /* sizeof(esp_scratch_options) */
    uint32_t max_k;             /* suggestions in one answer [100] */
    uint32_t max_beam;          /* nodes kept per level [100] */
    uint32_t max_pool;          /* labels kept before filtering [2048] */
    uint32_t max_prefix_bytes;  /* [1024] */
    uint32_t max_context_bytes; /* all previous queries together [8192] */
    uint32_t max_previous;      /* previous queries [32] */
    uint32_t reserved;
} esp_scratch_options;

/* Where a suggestion was found first; also bits of esp_query.sources. */
typedef enum esp_source {
    ESP_SOURCE_MODEL = 1,
    ESP_SOURCE_POPULAR = 2,
    ESP_SOURCE_TAIL = 4,
    ESP_SOURCE_CORRECTED = 8,
} esp_source;

/* How the beam meets the prefix. */
typedef enum esp_matcher {
    ESP_MATCH_DEFAULT = 0,       /* as the index was trained for */
    ESP_MATCH_CONSTRAINED = 1,   /* children outside the range are pruned */
    ESP_MATCH_UNCONSTRAINED = 2, /* the whole tree; `pool` best, then filtered */
} esp_matcher;

/* Blocks, pins and boosts that hold beside an index; immutable once made. */
typedef struct esp_overlay esp_overlay;

/* Bits of esp_query.flags. */
typedef enum esp_query_flag {
    ESP_QUERY_FEATURES = 2,      /* give candidates their features whatever orders them,
                                    for esp_scratch_get_ranked() */
    ESP_QUERY_KEEP_VARIANTS = 1, /* also suggestions that differ only by plural,
                                    word order or spacing from a better one */
} esp_query_flag;

/* Values in one list of a filter, at most. */
#define ESP_FILTER_VALUES 32

/* Which labels may be suggested: those that have every value of all_of, some value of
 * any_of (unless that is empty), and no value of none_of.  ESP_NO_VALUE stands for a
 * value the index has not: in all_of nothing passes; in any_of it counts only if there
 * is no other, and then nothing passes; in none_of it says nothing.  What is no label,
 * generated or pinned, has no values: it passes where all_of and any_of are empty, or
 * with keep_generated.  Pins are filtered like everything else. */
typedef struct esp_filter {
    const uint32_t *all_of; /* each may be NULL if it is empty */
    const uint32_t *any_of;
    const uint32_t *none_of;
    uint32_t n_all;
    uint32_t n_any;
    uint32_t n_none;
    uint32_t keep_generated; /* 1: what is no label passes */
} esp_filter;

/* One question.  Zero in k, beam, pool, sources or matcher means the default: of
 * sources all, but TAIL only where the index has learned to rank what it generates. */
typedef struct esp_query {
    uint32_t struct_size; /* sizeof(esp_query) */
    uint32_t n_previous;
    esp_text prefix;              /* may be empty */
    const esp_text *previous;     /* most recent first; NULL if n_previous is 0 */
    const uint32_t *previous_age; /* seconds since each; NULL: not known */
    const esp_overlay *overlay;   /* NULL: none */
    const esp_filter *filter;     /* NULL: none */
    uint32_t k;                   /* suggestions wanted */
    uint32_t beam;                /* nodes kept per level */
    uint32_t pool;                /* labels the model hands to the blend */
    uint32_t sources;             /* esp_source bits */
    uint32_t matcher;             /* esp_matcher */
    uint32_t flags;               /* esp_query_flag bits */
    uint32_t groups_off;          /* bit g: features of group g count as unknown */
    uint32_t reserved;
} esp_query;

/* Label of a suggestion that is none: generated, or pinned.  Above the range of
 * an enum in C17. */
#define ESP_NO_LABEL 0xFFFFFFFF

/* One answer.  `text` and `display` are borrowed: of a label from the index, of
 * a pin from the overlay, of others from the scratch, until its next query. */
typedef struct esp_suggestion {
    esp_text text;
    esp_text display;
    uint32_t label;   /* ESP_NO_LABEL: not in the index */
    uint32_t source;  /* an esp_source: the first that found it */
    float score;      /* of the blend; higher is better */
    float model;      /* log score of the tree, 0 without a model */
    float popularity; /* users, decayed where the index has that, over those of the prefix's top;
                         of what is corrected perhaps above 1 */
    uint32_t matched; /* bytes of `text` that the prefix accounts for */
    uint32_t pinned;  /* 1: stands here because the overlay says so */
    uint32_t reserved;
} esp_suggestion;

/* What one call did, for explanations and measurements. */
typedef struct esp_work {
    uint32_t range_labels;    /* labels that start with the prefix */
    uint32_t n_features;      /* features of the query that the index knows */
    uint32_t nodes_scored;    /* tree nodes whose children were scored */
    uint32_t candidates;      /* texts that were considered */
    uint32_t corrected_nodes; /* looked at to correct the prefix */
} esp_work;

/* Allocates everything that queries on `index` need, once.  `options` may be
 * NULL.  A scratch serves one thread at a time and only this index; free it
 * before the index is closed.  Fails with ESP_E_ARGUMENT, ESP_E_MEMORY. */
esp_status esp_scratch_new(const esp_index *index, const esp_scratch_options *options,
    esp_scratch **scratch, esp_error *err);

void esp_scratch_free(esp_scratch *scratch);

/* Fills `out` with at most query->k suggestions, best first.  Those that start with
 * the prefix come before those with source CORRECTED, which start almost so; each
 * kind by score, ties by label id, then by text, so the order is total.  The query
 * submitted last (`previous[0]`), what the overlay blocks and, unless
 * ESP_QUERY_KEEP_VARIANTS, variants of better suggestions are left out, and so is what
 * the filter does not let through.  If k other labels start with the prefix, k
 * suggestions come back as long as POPULAR is among the sources: the model alone may
 * have spent its beam elsewhere.  Pins stand where the overlay puts them.  `out` has
 * room for `cap`.
 * Fails with ESP_E_ARGUMENT, ESP_E_LIMIT (a cap of the scratch), ESP_E_UTF8,
 * ESP_E_UNSUPPORTED (no label texts; a filter, and no attributes).  O(beam * depth *
 * features); with a filter, at worst, also O(labels of the prefix that have the rarest
 * of the values it asks for).  Since 1.0. */
esp_status esp_complete(const esp_index *index, esp_scratch *scratch, const esp_query *query,
    esp_suggestion *out, size_t cap, size_t *count, esp_error *err);

/* Writes `n` suggestions as a repeated field of a Protocol Buffers message: number
 * `field` (1 to 15), of messages as `espalier.v1.Suggestion` is, without contributions.
 * `prefix` is what was completed.  `*bytes` is what that takes; above `cap` nothing
 * in `out` is of use.  `by_source` gets four counts: suggestions by source, in the order
 * of esp_source.  Fails with ESP_E_ARGUMENT, ESP_E_CORRUPT. */
esp_status esp_suggestions_encode(const esp_suggestion *found, size_t n, const uint8_t *prefix,
    size_t length, uint32_t field, uint8_t *out, size_t cap, size_t *bytes, uint32_t *by_source,
    esp_error *err);

/* What the last esp_complete() on this scratch did.  Cannot fail. */
void esp_scratch_get_work(const esp_scratch *scratch, esp_work *work);

/* What esp_complete() considered last on this scratch, before ranking cut it to k:
 * at most `cap` labels into `out`, unordered, ESP_NO_LABEL for a text that is none.
 * Returns how many there were.  For candidate recall. */
size_t esp_scratch_get_candidates(const esp_scratch *scratch, uint32_t *out, size_t cap);

/* Text of number `i` of those; borrowed until the next query.
 * Fails with ESP_E_ARGUMENT (no such number), ESP_E_CORRUPT (the text is not UTF-8). */
esp_status esp_scratch_get_candidate_text(
    const esp_scratch *scratch, size_t i, esp_text *text, esp_error *err);

/* One candidate the last esp_complete() on this scratch ranked. */
typedef struct esp_ranked {
    esp_text text;   /* borrowed until the next query of the scratch */
    uint32_t label;  /* or ESP_NO_LABEL */
    uint32_t source; /* an esp_source */
    float score;
    uint32_t reserved;
} esp_ranked;

/* What the last esp_complete() on this scratch ranked: `*features` points to one row
 * of esp_feature_count() numbers per candidate, borrowed until the next query.
 * Returns the number of rows. */
size_t esp_scratch_get_ranked(const esp_scratch *scratch, const float **features);

/* Candidate number `i` of those.
 * Fails with ESP_E_ARGUMENT (no such number), ESP_E_CORRUPT (the text is not UTF-8). */
esp_status esp_scratch_get_ranked_candidate(
    const esp_scratch *scratch, size_t i, esp_ranked *out, esp_error *err);

/* The row of the candidate with this text, SIZE_MAX if none has it. */
size_t esp_scratch_find_ranked(const esp_scratch *scratch, const uint8_t *text, size_t length);

/* Features of a candidate: how many, and the name and the group (a bit number of
 * esp_query.groups_off) of each; NULL for a number beyond the last. */
uint32_t esp_feature_count(void);
const char *esp_feature_name(uint32_t feature);
uint32_t esp_feature_group(uint32_t feature);

/* Fingerprint of that list: a forest trained on another one is not used. */
uint32_t esp_features_id(void);

/* What each feature adds to the score of row `i` of esp_scratch_get_ranked(): one
 * number per feature into `out`, and last the score of an average candidate.  Zeros
 * where no forest ordered, as for the most popular queries of an empty prefix.  Fails with ESP_E_ARGUMENT (no such row). */
esp_status esp_scratch_explain(const esp_scratch *scratch, size_t i, float *out, esp_error *err);

/* The k labels of the prefix with most users, best first, ties by label id:
 * "most frequent completion", the baseline, without any model. */
esp_status esp_popular(const esp_index *index, esp_scratch *scratch, const uint8_t *prefix,
    size_t length, uint32_t *out, size_t cap, size_t *count, esp_error *err);

/* ---- overlays ----------------------------------------------------------- */

/* What a rule of an overlay does.  A block beats every pin and boost. */
typedef enum esp_rule_kind {
    ESP_RULE_BLOCK_QUERY = 1, /* the query `text` is never suggested */
    ESP_RULE_BLOCK_WORD = 2,  /* no query with the word `text` is */
    ESP_RULE_PIN_QUERY = 3,   /* the query `text` stands at `position` */
    ESP_RULE_BOOST_QUERY = 4, /* `boost` is added to the score of the query */
    ESP_RULE_BOOST_WORD = 5,  /* and to that of every query with the word */
} esp_rule_kind;

/* One rule.  Texts are copied.
 *
 * The word of a rule has no space in it.  A text has the word if it is
 *   1. what stands between two spaces,
 *   2. the same without what is neither letter, mark nor digit at its ends,
 *   3. a longest run of letters, marks and digits in it, or the part of such a
 *      run that is of scripts written with spaces, or of those without,
 *   4. a part of a run of a script written without spaces, if the word is of
 *      such a script throughout and has at most 64 code points.
 * So "word" stands in "foo-word", "(word)" and "word's", not in "words".  A
 * blocked query is compared as a whole: its words in another order are another
 * query. */
typedef struct esp_rule {
    uint32_t kind;       /* an esp_rule_kind */
    uint32_t position;   /* of a pin: 1 is the best place */
    uint32_t min_prefix; /* of a pin: shorter prefixes, in code points, go without */
    float boost;         /* of a boost: within 1e6 of 0; negative demotes */
    esp_text text;       /* normalised, 1 to 4096 bytes */
    esp_text display;    /* of a pin: up to 4096 bytes; empty for `text` */
} esp_rule;

/* A pinned query.  Texts are borrowed from the overlay. */
typedef struct esp_pin {
    esp_text text;
    esp_text display;
    uint32_t position; /* 1 is the best place */
    uint32_t reserved;
} esp_pin;

/* Makes an overlay of `n` rules, for esp_query.overlay; free it with
 * esp_overlay_free().  It belongs to no index and is never written to again: any
 * number of threads may use it, and rules change by making another and
 * exchanging the pointer.  Of two boosts or two pins of one text the later
 * counts.  A pinned query that is blocked is left out.
 * Fails with ESP_E_ARGUMENT and ESP_E_UTF8 (offset: the rule), ESP_E_LIMIT (more
 * than 4,194,304 rules, 2 GiB of text), ESP_E_MEMORY.  Since 1.0. */
esp_status esp_overlay_new(const esp_rule *rules, size_t n, esp_overlay **overlay, esp_error *err);

/* No query may be using it.  NULL is accepted. */
void esp_overlay_free(esp_overlay *overlay);

/* Whether the query `text` is blocked, as a whole or for one of its words.
 * `overlay` may be NULL here and below.  Cannot fail.  O(length). */
bool esp_overlay_blocks(const esp_overlay *overlay, const uint8_t *text, size_t length);

/* What the rules add to the score of `text`: the boost of the query and that of
 * every boosted word in it, each word once however often it stands there, and
 * no more than the first 32 words.  Cannot fail.  O(length). */
float esp_overlay_boost(const esp_overlay *overlay, const uint8_t *text, size_t length);

/* The pins for `prefix`: at most `cap` into `out`, those of the best positions,
 * ascending; of one position in the order of their rules.  Returns how many.
 * Cannot fail.  O(length + pins that start with the prefix). */
uint32_t esp_overlay_pins(
    const esp_overlay *overlay, const uint8_t *prefix, size_t length, esp_pin *out, uint32_t cap);

/* ---- extreme multi-label ranking on given features ---------------------- */

/* A sparse matrix in rows.  Columns of a row are strictly ascending. */
typedef struct esp_csr {
    const uint64_t *row_ptr; /* n_rows + 1 */
    const uint32_t *col;
    const float *val;
    uint32_t n_rows;
    uint32_t n_cols;
} esp_csr;

/* How a node's margin v becomes a score, and scores combine along the path
 * (PECOS, post-processors).  l1 to l3: exp(-max(0, 1 - v)^p), multiplied. */
typedef enum esp_post_processor {
    ESP_POST_NOOP = 0,
    ESP_POST_SIGMOID = 1,
    ESP_POST_LOG_SIGMOID = 2,
    ESP_POST_L1_HINGE = 11,
    ESP_POST_L2_HINGE = 12,
    ESP_POST_L3_HINGE = 13,
    ESP_POST_LOG_L1_HINGE = 21,
    ESP_POST_LOG_L2_HINGE = 22,
    ESP_POST_LOG_L3_HINGE = 23,
} esp_post_processor;

/* The `k` best labels for row `row` of `x` by beam search, without prefix.
 * Writes at most k labels and scores, best first, ties by label id.
 * Fails with ESP_E_ARGUMENT, ESP_E_LIMIT, ESP_E_UNSUPPORTED. */
esp_status esp_predict(const esp_index *index, esp_scratch *scratch, const esp_csr *x, uint32_t row,
    uint32_t beam, uint32_t k, uint32_t *labels, float *scores, size_t *count, esp_error *err);

/* The same for the rows [begin, end) of `x`, many times faster together than one
 * by one: labels and scores are (end - begin) rows of k, counts says how many of
 * a row's k are filled.  Answers are those of esp_predict(), bit for bit.  Threads:
 * the caller gives each a range and a scratch of its own.  Allocates its buffers
 * for the call.  After a failure the outputs hold no answer.
 * Fails as esp_predict() does, and with ESP_E_MEMORY. */
esp_status esp_predict_batch(const esp_index *index, esp_scratch *scratch, const esp_csr *x,
    uint32_t begin, uint32_t end, uint32_t beam, uint32_t k, uint32_t *labels, float *scores,
    uint32_t *counts, esp_error *err);

/* ---- products for a query ----------------------------------------------- */

/* How esp_retrieve() answers; bits of esp_retrieval.flags. */
typedef enum esp_retrieval_flag {
    ESP_RETRIEVAL_MODEL_ONLY = 1, /* by the tree's score, whatever scorer there is */
    ESP_RETRIEVAL_FEATURES = 2,   /* give candidates their features whatever orders them */
    ESP_RETRIEVAL_POPULAR = 4,    /* where nothing is found: what was paired most often */
} esp_retrieval_flag;

/* A query for products: an index whose labels are products and that has their
 * titles' words (FORMAT.md, CATA). */
typedef struct esp_retrieval {
    uint32_t struct_size; /* sizeof(esp_retrieval) */
    uint32_t k;           /* products wanted, 1 to max_k of the scratch */
    uint32_t beam;        /* nodes kept per level, 0: the index's own */
    uint32_t pool;        /* products the tree hands on, 0: the index's own */
    uint32_t flags;       /* esp_retrieval_flag */
    uint32_t n_host;
    const uint32_t *host;     /* labels another engine found, distinct, best first, or NULL */
    esp_text words;           /* the query's words as the index was trained for: stems, with
                           * a space between two */
    esp_text text;            /* the query itself, normalised */
    const esp_filter *filter; /* on products, NULL: none; keep_generated says nothing */
    /* Queries before this one, most recent first: twice n_previous texts, words and text
     * of each in turn, together of at most half the scratch's max_context_bytes. */
    const esp_text *previous;
    uint32_t n_previous;   /* at most max_previous of the scratch */
    float previous_weight; /* of the features of the first, 0 to 1; each next has half */
} esp_retrieval;

/* One product. */
typedef struct esp_product {
    uint32_t label;
    uint32_t host_rank; /* place in the list of the other engine from 1, 0: not in it */
    float score;        /* what orders */
    float model;        /* of the tree */
} esp_product;

/* Fills `out` with at most query->k products, best first, ties by label: what the
 * tree's beam search finds and what another engine found, ordered by the index's
 * scorer, or by the tree where it has none.  A query without a known feature has no
 * product but the host's, in its order, whatever was asked before, or the popular ones, whose score is
 * how many queries they were paired with.  A filter holds for all of them: fewer than k
 * come back only if fewer share a feature with the query, or, where more than a few
 * thousand products pass, where the beam does not come.  `out` has room for `cap`.
 * Fails with ESP_E_ARGUMENT, ESP_E_LIMIT (k above max_k; pool and host's list above
 * max_pool, or together above max_k + 160 where candidates get features), ESP_E_UTF8,
 * ESP_E_UNSUPPORTED (no catalogue; a filter, and no attributes).  Allocates nothing.
 * Since 1.1. */
esp_status esp_retrieve(const esp_index *index, esp_scratch *scratch, const esp_retrieval *query,
    esp_product *out, size_t cap, size_t *count, esp_error *err);

/* What the last esp_retrieve() on this scratch ranked with features: `*labels` points
 * to their labels, `*features` to one row of esp_retrieval_feature_count() numbers for
 * each; both borrowed until the next query.  Returns how many. */
size_t esp_scratch_get_retrieved(
    const esp_scratch *scratch, const uint32_t **labels, const float **features);

/* Features of a product for a query: how many, the name of each (NULL beyond the
 * last), and the fingerprint of that list. */
uint32_t esp_retrieval_feature_count(void);
const char *esp_retrieval_feature_name(uint32_t feature);
uint32_t esp_retrieval_features_id(void);

/* ---- scoring candidates ------------------------------------------------- */

/* Scores of `n` rows under a scorer: `section` are the bytes of a FRST section,
 * aligned to 4, row i is x[i * stride] and the values after it, one per feature.
 * A value may be NaN (not known); a score never is.  The section is read as a
 * query reads it, without checking its invariants: any bytes are safe.
 * Fails with ESP_E_ARGUMENT (a stride below the number of features),
 * ESP_E_CORRUPT.  O(n * trees).  Since 1.0. */
esp_status esp_forest_predict(const uint8_t *section, uint64_t length, const float *x, uint32_t n,
    uint32_t stride, float *score, esp_error *err);

/* What each feature adds to the score of one row of `n_values` values, and last
 * the score of an average row: n_values + 1 numbers, whose sum is the score but
 * for rounding.  Fails with ESP_E_ARGUMENT (n_values is not the number of
 * features), ESP_E_CORRUPT. */
esp_status esp_forest_contributions(const uint8_t *section, uint64_t length, const float *row,
    uint32_t n_values, float *contribution, esp_error *err);

/* ---- features ----------------------------------------------------------- */

/* Features of the typed prefix (Yadav et al. 2021, section 4: character
 * 1- to 3-grams; position weighted: an n-gram at offset i counts 1/(i+1)). */
typedef enum esp_prefix_features {
    ESP_PREFIX_NONE = 0,
    ESP_PREFIX_CHAR_TFIDF = 1,
    ESP_PREFIX_POSITION_WEIGHTED = 2,
} esp_prefix_features;

/* A feature space: the hashed n-grams an index knows and their idf.  Feature
 * number i is the n-gram with the i-th smallest key. */
typedef struct esp_space {
    const uint32_t *keys; /* strictly ascending */
    const float *idf;
    uint32_t n_features;
    uint32_t prefix_features; /* esp_prefix_features */
    float context_decay;      /* weight of query i + 1 against query i */
    uint32_t max_context;     /* previous queries that count */
} esp_space;

/* What esp_features_hash() counts. */
typedef enum esp_feature_kind {
    ESP_FEATURE_WORDS = 0,          /* words, each counted as often as it stands */
    ESP_FEATURE_CHARS = 1,          /* character 1- to 3-grams */
    ESP_FEATURE_CHARS_POSITION = 2, /* the same, weighted by position */
    ESP_FEATURE_WORD_PAIRS = 3,     /* two words that follow one another */
    ESP_FEATURE_WORD_TRIPLES = 4,   /* three */
    ESP_FEATURE_WORD_CHARS_3 = 5,   /* three characters of a word, its ends being one each */
    ESP_FEATURE_WORD_CHARS_4 = 6,   /* four */
    ESP_FEATURE_WORD_CHARS_5 = 7,   /* five */
} esp_feature_kind;

/* Hashes the features of `n` texts: text i is blob[offsets[i], offsets[i] +
 * lengths[i]).  Row i of the result is out_key/out_weight[out_ptr[i],
 * out_ptr[i+1]), keys ascending and distinct.  `cap` is the room in out_key and
 * out_weight; 3 entries per byte of text always suffice.
 * Fails with ESP_E_UTF8 (offset: the row), ESP_E_LIMIT, ESP_E_MEMORY. */
esp_status esp_features_hash(const uint8_t *blob, const uint64_t *offsets, const uint32_t *lengths,
    size_t n, uint32_t kind, uint32_t *out_key, float *out_weight, uint64_t *out_ptr, size_t cap,
    esp_error *err);

/* One training row: which texts are its previous queries, and its prefix. */
typedef struct esp_rows {
    const uint8_t *blob;
    const uint64_t *offsets; /* text i starts here ... */
    const uint32_t *lengths; /* ... and has so many bytes */
    uint32_t n_texts;
    uint32_t n_rows;
    const uint64_t *context_ptr;  /* n_rows + 1, into context */
    const uint32_t *context;      /* text numbers, most recent first */
    const uint32_t *prefix_text;  /* n_rows: the prefix is the beginning ... */
    const uint32_t *prefix_bytes; /* n_rows: ... so many bytes of this text */
} esp_rows;

/* The feature vectors a query path sees, in rows: exactly what esp_complete()
 * computes for the same texts.  out_col/out_val have room for `cap`;
 * out_ptr for n_rows + 1.
 * Fails with ESP_E_ARGUMENT, ESP_E_UTF8, ESP_E_LIMIT, ESP_E_MEMORY. */
esp_status esp_features_vectorise(const esp_space *space, const esp_rows *rows, uint64_t *out_ptr,
    uint32_t *out_col, float *out_val, size_t cap, esp_error *err);

/* ---- training kernels --------------------------------------------------- */

/* Buffers one thread needs to cluster or to rank.  Grows on demand. */
typedef struct esp_trainer esp_trainer;

esp_status esp_trainer_new(uint32_t n_features, esp_trainer **trainer, esp_error *err);
void esp_trainer_free(esp_trainer *trainer);

typedef struct esp_split_options {
    uint32_t struct_size;
    uint32_t parts;      /* 2 to 256 */
    uint32_t iterations; /* at most, per bisection */
    uint32_t reserved;
    uint64_t seed;
} esp_split_options;

/* Splits the points of `members` (row numbers of `points`, distinct) into
 * `parts` groups of nearly equal weight by balanced spherical 2-means,
 * bisecting.  `weight` is one number per member, or NULL for 1 each; with equal
 * weights group sizes differ by at most one.  On return `members` is permuted
 * so that group j is [bounds[j], bounds[j+1]); inside a group numbers ascend.
 * Same input and seed: same result, on any number of threads.
 * Fails with ESP_E_ARGUMENT, ESP_E_MEMORY. */
esp_status esp_cluster_split(esp_trainer *trainer, const esp_csr *points, uint32_t *members,
    const uint32_t *weight, uint32_t n_members, const esp_split_options *options, uint32_t *bounds,
    esp_error *err);

typedef struct esp_rank_options {
    uint32_t struct_size;
    uint32_t max_iterations; /* passes over the rows, per column */
    float cp;                /* cost of a positive */
    float cn;                /* cost of a negative */
    float epsilon;           /* stop when no projected gradient is larger */
    float bias;              /* value of the constant feature; 0: none */
    float threshold;         /* smaller weights are dropped */
    uint32_t max_nonzeros;   /* weights kept per column, 0: all */
    uint32_t min_support;    /* users behind a context weight, see below */
    uint32_t weight_bits;    /* 16 or 32 */
    uint64_t seed;
} esp_rank_options;

/* The rows on which one node of the tree is trained, and which of them belong
 * to which child. */
typedef struct esp_rank_task {
    const uint32_t *rows; /* row numbers of x, distinct, ascending */
    uint32_t n_rows;
    uint32_t n_children;          /* any number above 0 */
    const uint32_t *positive_ptr; /* n_children + 1 */
    const uint32_t *positive;     /* places in `rows`, ascending per child */
    const float *cost;            /* per place in `rows`, factor on its cost, or NULL */
    const uint32_t *user;         /* per row of x, or NULL: no support rule */
    const uint8_t *is_context;    /* per feature: 1 where the support rule holds */
} esp_rank_task;

/* Trains the children of one node: a linear classifier each, squared hinge,
 * dual coordinate descent with shrinking (Hsieh et al. 2008), every row that is
 * not positive being negative.  A weight on a context feature is kept only if
 * at least min_support distinct users stand behind it: users of positive rows
 * for a weight above 0, of negative rows for one below.
 * `*chunk` receives the encoded chunk or chunks (FORMAT.md, "Chunks"), allocated
 * here, to be released with esp_buffer_free().
 * Fails with ESP_E_ARGUMENT, ESP_E_MEMORY. */
esp_status esp_rank_node(esp_trainer *trainer, const esp_csr *x, const esp_rank_task *task,
    const esp_rank_options *options, uint8_t **chunk, size_t *chunk_bytes, esp_error *err);

/* Encodes given weights as the chunks of one node: column `c` holds
 * row/val[col_ptr[c], col_ptr[c+1]), rows ascending; bias[c] beside it.  For
 * imports.  weight_bits is 16 or 32.  Release with esp_buffer_free().
 * Fails with ESP_E_ARGUMENT (also for a value that is not finite). */
esp_status esp_chunk_encode(uint32_t n_children, uint32_t n_features, const uint64_t *col_ptr,
    const uint32_t *row, const float *val, const float *bias, uint32_t weight_bits, uint8_t **chunk,
    size_t *chunk_bytes, esp_error *err);

void esp_buffer_free(uint8_t *buffer);

/* ---- sessions ------------------------------------------------------------- */

/* What people typed last, in a table that processes share (native/SESSIONS.md):
 * a file of fixed size, mapped by all, with a record of 512 bytes per session.
 * Nothing here depends on an index.
 *
 *   - Any number of threads and processes may call at once; nothing blocks.  A
 *     process may be killed at any instruction: the call it was in did happen
 *     or did not, every other session stays as it was, and no lock is left.
 *   - A session id is any run of bytes; only a keyed hash of it is kept.  The
 *     key and the queries are in the file, in the clear: the file has mode 0600.
 *   - Time is given by the caller in milliseconds of any clock, the same for
 *     all.  A step back loses no session: while it is no longer than the
 *     time-to-live, time stands still; after a longer one, sessions from the
 *     future count as used now.
 *   - Truncating the file while it is mapped is fatal, as with an index. */
typedef struct esp_sessions esp_sessions;

/* How a table is opened.  Zero means the default in brackets. */
typedef struct esp_sessions_options {
    uint32_t struct_size; /* sizeof(esp_sessions_options) */
    uint32_t max_queries; /* remembered per session, at most 32 [5] */
    uint64_t capacity;    /* sessions, at most 100,000,000 [1,000,000] */
    uint64_t ttl_ms;      /* without use until a session is over [1,800,000] */
    uint64_t boot;        /* names this boot of the machine; 0: no clock wanted */
    uint64_t boot_ms;     /* milliseconds since it, now */
    uint64_t wall_ms;     /* milliseconds since 1970, now */
} esp_sessions_options;

/* Where a table lies. */
typedef enum esp_sessions_backing {
    ESP_SESSIONS_FILE = 1,   /* in the file asked for */
    ESP_SESSIONS_MEMORY = 2, /* in memory that ends with whoever has it open */
} esp_sessions_backing;

/* What a table is and what this opening of it has done. */
typedef struct esp_sessions_info {
    uint64_t bytes;
    uint64_t capacity;  /* of the file, whatever the options said */
    uint64_t records;   /* capacity, and some that writers need */
    uint64_t sessions;  /* held now, those not in use any more included */
    uint64_t found;     /* reads that found a session */
    uint64_t missed;    /* reads that found none */
    uint64_t expired;   /* sessions removed because their time was up */
    uint64_t evicted;   /* live sessions removed to make room */
    uint64_t reclaimed; /* records taken back from processes that died */
    uint64_t damaged;   /* records or entries that held no session, removed */
    int64_t clock_base; /* to add to milliseconds since boot */
    uint32_t backing;   /* an esp_sessions_backing */
    int32_t os_error;   /* errno of why memory stands in for the file, or 0 */
    int32_t descriptor; /* of the open file: /proc/PID/fd/N opens memory too */
    uint32_t reserved;
} esp_sessions_info;

/* A session as it was read: query i, newest first, is text[offset[i],
 * offset[i + 1]) and was recorded age[i] seconds ago. */
typedef struct esp_session {
    uint32_t n_queries; /* 0: there is no such session */
    uint32_t cut;       /* 1: of the newest only the beginning was kept */
    uint32_t age[32];
    uint32_t offset[33];
    uint8_t text[468];
} esp_session;

/* What esp_sessions_check() found.  While others write, counts are near. */
typedef struct esp_sessions_report {
    uint64_t sessions;   /* entries that lead to a whole record */
    uint64_t queries;    /* in them */
    uint64_t free_slots; /* records that are free */
    uint64_t held;       /* records that a writer holds, or held when it died */
    uint64_t lost;       /* records that nobody holds and no entry names */
    uint64_t damaged;    /* entries that lead to no whole record of theirs */
    uint64_t unlisted;   /* free records that the bitmap does not show */
    uint64_t twice;      /* sessions that two entries name */
    uint64_t dirty;      /* free records with bytes that are not zero */
} esp_sessions_report;

/* Opens the table at `path` (NUL-terminated), or makes it, allocated whole, with
 * mode 0600, complete before it has its name.  On a full disk, and where `path`
 * is NULL, the table is made in memory instead (esp_sessions_info.backing): it
 * is then shared with others only through esp_sessions_info.descriptor.  A file
 * that exists keeps its capacity.  Constant time, but for making the file.
 * Fails with ESP_E_ARGUMENT, ESP_E_IO, ESP_E_MEMORY; ESP_E_LIMIT (1,024 openings);
 * ESP_E_FORMAT (no table, or another user's), ESP_E_VERSION, ESP_E_CORRUPT (its
 * header), after which the caller may put the file aside.  Since 1.0. */
esp_status esp_sessions_open(
    const char *path, const esp_sessions_options *options, esp_sessions **sessions, esp_error *err);

/* Unmaps and frees; the file stays.  NULL is accepted. */
void esp_sessions_close(esp_sessions *sessions);

/* Makes `text` the newest query of the session, beginning it if need be, and
 * sets *known to whether there was one.  The newest query again is not stored
 * twice, only its time moves.  Kept are the newest queries that fit whole, or
 * the beginning of the newest.  Where the table is full, the least recently
 * used of at least 16 sessions makes room.
 * Fails with ESP_E_ARGUMENT (no id, no text), ESP_E_UTF8; ESP_E_LIMIT if others
 * changed the session a thousand times in between. */
esp_status esp_sessions_record(esp_sessions *sessions, const uint8_t *id, size_t id_length,
    const uint8_t *text, size_t length, uint64_t now_ms, uint32_t *known, esp_error *err);

/* Reads the session and starts its time anew.  A record that is not whole counts
 * as none.  Fails with ESP_E_ARGUMENT. */
esp_status esp_sessions_read(esp_sessions *sessions, const uint8_t *id, size_t id_length,
    uint64_t now_ms, esp_session *out, esp_error *err);

/* Forgets the session: when this returns, no read finds it and its bytes are
 * zero, except in records that processes died with, until the sweep has been
 * there.  *existed: whether there was one.  Fails as esp_sessions_record(). */
esp_status esp_sessions_delete(esp_sessions *sessions, const uint8_t *id, size_t id_length,
    uint64_t now_ms, uint32_t *existed, esp_error *err);

/* Visits the next `records` records, of all processes together one after the
 * other: zeroes sessions whose time is up, takes back what died with a process,
 * removes what is damaged.  Call it so that the whole table is visited once in a
 * time-to-live.  Cannot fail. */
void esp_sessions_sweep(esp_sessions *sessions, uint64_t now_ms, uint64_t records);

/* Fills `info`.  O(capacity / 64).  Cannot fail. */
void esp_sessions_get_info(const esp_sessions *sessions, esp_sessions_info *info);

/* Openings of the table by all processes, this one included.  A thousand calls
 * into the kernel.  Cannot fail. */
uint32_t esp_sessions_count_openings(const esp_sessions *sessions);

/* Reads every record and entry and changes nothing.  O(size).  Cannot fail. */
void esp_sessions_check(const esp_sessions *sessions, esp_sessions_report *report);

/* ---- writing ------------------------------------------------------------ */

typedef struct esp_writer esp_writer;

/* Starts an index file: writes go to a temporary file beside `path`, which
 * esp_writer_finish() syncs and renames over it.  Whatever happens before that,
 * the file at `path` stays as it was.  Fails with ESP_E_IO, ESP_E_MEMORY. */
esp_status esp_writer_open(
    const char *path, uint64_t fingerprint, esp_writer **writer, esp_error *err);

/* Appends one section.  Ids are written once each.  Fails with ESP_E_ARGUMENT,
 * ESP_E_IO (also a full disk). */
esp_status esp_writer_add(
    esp_writer *writer, uint32_t id, const uint8_t *data, uint64_t length, esp_error *err);

/* Header, checksums, fsync, rename, fsync of the folder; frees the writer on
 * success and on failure. */
esp_status esp_writer_finish(esp_writer *writer, esp_error *err);

/* Gives up: removes the temporary file and frees the writer.  NULL accepted. */
void esp_writer_abort(esp_writer *writer);

/* Builds the prefix trie over sorted distinct label texts: label i is
 * blob[offsets[i], offsets[i+1]).  The result is the TRIE section; release with
 * esp_buffer_free().  Fails with ESP_E_ARGUMENT (offset: the first label that is
 * not above the one before it), ESP_E_MEMORY. */
esp_status esp_trie_build(const uint8_t *blob, const uint64_t *offsets, uint32_t n_labels,
    uint8_t **section, size_t *section_bytes, esp_error *err);

/* Builds the range-maximum directory over one number per label: the PMAX
 * section over users, the RMAX section over decayed ones. */
esp_status esp_maxima_build(const uint32_t *value, uint32_t n_labels, uint8_t **section,
    size_t *section_bytes, esp_error *err);

/* Builds the vocabulary over sorted distinct words, laid out as for
 * esp_trie_build(): the VOCA section; release with esp_buffer_free().  Fails with
 * ESP_E_ARGUMENT (offset: the first word that is not above the one before it, or
 * has not 1 to 255 bytes), ESP_E_MEMORY; ESP_E_LIMIT for words made to collide. */
esp_status esp_words_build(const uint8_t *blob, const uint64_t *offsets, uint32_t n_words,
    uint8_t **section, size_t *section_bytes, esp_error *err);

/* What esp_blocklist_build() takes beside texts. */
typedef enum esp_block_flags {
    ESP_BLOCK_NUMBERS = 1, /* e-mail addresses and long numbers are blocked too */
} esp_block_flags;

/* Builds the BLCK section: what is never put together out of words.  Of the texts
 * blob[offsets[i], offsets[i + 1]), normalised and distinct, the first n_queries block
 * that query, the other n_words every query with that word; `flags` are of
 * esp_block_flags.  Only hashes of them are kept.  Release with esp_buffer_free().
 * Fails with ESP_E_ARGUMENT (a text is there twice), ESP_E_LIMIT (more than 16,777,216
 * texts), ESP_E_MEMORY. */
esp_status esp_blocklist_build(const uint8_t *blob, const uint64_t *offsets, uint32_t n_queries,
    uint32_t n_words, uint32_t flags, uint8_t **section, size_t *section_bytes, esp_error *err);

/* CRC-32C (Castagnoli) of `length` bytes, continuing from `crc` (0 to start). */
uint32_t esp_crc32c(uint32_t crc, const uint8_t *data, size_t length);

/* cffi: end */

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* ESPALIER_H */
