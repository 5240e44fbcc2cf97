/* hash.h: a 64-bit hash of bytes, for tables that compare the bytes as well, and for
 * the blocked texts of an index file, which does not hold them (FORMAT.md, BLCK).
 *
 * Eight bytes at a time, since words and queries are short; the length goes in
 * first, so that the overlapping loads of the tail are unambiguous. */
#ifndef ESP_HASH_H
#define ESP_HASH_H

#include "base.h"

/* Spreads every bit of x over all bits of the result (Stafford's variant 13 of
 * the finaliser of MurmurHash3); a bijection. */
static inline uint64_t esp_hash_mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9u;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static inline uint64_t esp_hash_bytes(const uint8_t *text, size_t length) {
    uint64_t hash = 0x9E3779B97F4A7C15u ^ ((uint64_t)length * 0xD6E8FEB86659FD93u);
    uint64_t word = 0;
    size_t i = 0;
    for (; length - i >= 8; i += 8) {
        memcpy(&word, text + i, 8);
        hash = esp_hash_mix(hash ^ word);
    }
    const size_t rest = length - i;
    if (rest >= 4) {
        uint32_t first = 0;
        uint32_t last = 0;
        memcpy(&first, text + i, 4);
        memcpy(&last, text + length - 4, 4);
        word = (uint64_t)first | (uint64_t)last << 32;
    } else if (rest > 0) {
        word = (uint64_t)text[i] | (uint64_t)text[i + rest / 2] << 8 |
               (uint64_t)text[length - 1] << 16;
    } else {
        return hash;
    }
    return esp_hash_mix(hash ^ word);
}

#endif
