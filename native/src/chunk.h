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
 * chunk, so their 2-byte keys are compared at once.
 *
 * A look-up is some ten instructions and three dependent cache misses, directory,
 * row, entries.  So many look-ups go through these steps together, of one chunk
 * or of several: each step asks for the lines of the next (group prefetching:
 * Chen et al., ICDE 2004). */
#ifndef ESP_CHUNK_H
#define ESP_CHUNK_H

#include "format.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
    bool by_eight; /* eight keys can be read from any row on, the end included */
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

/* Bit i of the result, i < 8: keys[i] is `wanted`.  Reads 16 bytes. */
static inline uint32_t esp_match_eight_scalar(const uint16_t *keys, uint16_t wanted) {
    uint32_t mask = 0;
    for (uint32_t i = 0; i < 8; i++)
        mask |= (uint32_t)(keys[i] == wanted) << i;
    return mask;
}

/* The same.  SSE2 is part of every x86-64, so nothing is asked at run time. */
static inline uint32_t esp_match_eight(const uint16_t *keys, uint16_t wanted) {
#if defined(__SSE2__)
    const __m128i found = _mm_cmpeq_epi16(
        _mm_loadu_si128((const __m128i *)(const void *)keys), _mm_set1_epi16((short)wanted));
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(found, _mm_setzero_si128()));
#else
    return esp_match_eight_scalar(keys, wanted);
#endif
}

/* Resolves the chunk at `data`; `room` bytes follow.  False if it does not fit
 * its own header, the room, or a space of `bits` bits. */
bool esp_chunk_open(const uint8_t *data, uint64_t room, uint32_t bits, esp_chunk *chunk);

/* The margins of one chunk's columns for one query. */
typedef struct esp_chunk_job {
    esp_chunk chunk;
    const esp_feature *features;
    uint32_t n_features;
    float *out; /* room for ESP_CHUNK_COLUMNS */
} esp_chunk_job;

enum { ESP_CHUNK_JOBS = 16 };

/* Adds up bias and weights for up to ESP_CHUNK_JOBS jobs at once, because a
 * look-up is mostly waiting for memory: out[c] of a job is the margin of its
 * column c.  Any content of an opened chunk is safe; one whose directory or
 * pointers leave their arrays gives false. */
bool esp_chunk_score(const esp_chunk_job *jobs, uint32_t n_jobs, uint32_t bits);

/* Checks what opening does not: sorted directory, pointers and keys, columns in
 * range, finite numbers, zero padding.  NULL, or the name of the invariant. */
const char *esp_chunk_validate(const esp_chunk *chunk, uint32_t bits);

/* Chunks that a node of so many children needs. */
static inline uint32_t esp_chunks_for(uint32_t n_children) {
    return (n_children + ESP_CHUNK_COLUMNS - 1) / ESP_CHUNK_COLUMNS;
}

#endif
