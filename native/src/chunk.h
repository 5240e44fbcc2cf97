/* chunk.h: the weights of sibling columns, laid out for one intersection.
 *
 * A query has some forty features, a chunk some hundreds of rows (features) and
 * up to 256 columns (siblings).  Rows are stored by feature, so that one look-up
 * per query feature serves all siblings (MSCM: Etter et al., WWW 2022).
 *
 *   feature number --mix--> m = [ bucket | rest ]        b + r bits
 *   directory[bucket] .. directory[bucket + 1]  ->  keys: the rests, 16 bits
 *   pointers[row] .. pointers[row + 1]          ->  (column, value) entries
 *
 * Mixing is a bijection on the b + r bits of feature numbers, so bucket and rest
 * together name the feature exactly; buckets hold about four rows, whatever the
 * chunk, so a look-up touches two or three cache lines and compares 2-byte keys. */
#ifndef ESP_CHUNK_H
#define ESP_CHUNK_H

#include "format.h"

/* A chunk with its arrays resolved and within bounds. */
typedef struct esp_chunk {
    const esp_chunk_header *head;
    const float *bias;
    const float *value_f32; /* one of the two is NULL */
    const int16_t *value_i16;
    const void *directory; /* u32 if wide, else u16 */
    const void *pointer;
    const uint16_t *key;
    const uint8_t *col;
} esp_chunk;

/* A mixed feature number and its value in the query. */
typedef struct esp_feature {
    uint32_t mixed;
    float value;
} esp_feature;

/* Bits of mixed feature numbers of a space of n features. */
static inline uint32_t esp_feature_bits(uint32_t n_features) {
    return esp_bits_for(n_features);
}

/* A bijection on numbers below 2^bits whose high bits depend on all low ones. */
static inline uint32_t esp_feature_mix(uint32_t feature, uint32_t bits) {
    return bits == 0 ? 0 : (feature * 0x9E3779B1u) & (0xFFFFFFFFu >> (32 - bits));
}

/* Resolves the chunk at `data`; `room` bytes follow.  False if it does not fit
 * its own header, the room, or a space of `bits` bits. */
bool esp_chunk_open(const uint8_t *data, uint64_t room, uint32_t bits, esp_chunk *chunk);

/* Adds up bias and weights: out[c] is the margin of column c, c < n_cols.  Any
 * content of an opened chunk is safe; one whose directory or pointers leave
 * their arrays gives false. */
bool esp_chunk_score(const esp_chunk *chunk, uint32_t bits, const esp_feature *features,
    uint32_t n_features, float out[ESP_CHUNK_COLUMNS]);

/* Checks what opening does not: sorted directory, pointers and keys, columns in
 * range, finite numbers, zero padding.  NULL, or the name of the invariant. */
const char *esp_chunk_validate(const esp_chunk *chunk, uint32_t bits, uint32_t n_features);

/* Bytes of the fixed part before `bytes` is known to be valid. */
static inline uint32_t esp_chunks_for(uint32_t n_children) {
    return (n_children + ESP_CHUNK_COLUMNS - 1) / ESP_CHUNK_COLUMNS;
}

#endif
