/* siphash.h: SipHash-2-4 (Aumasson, Bernstein 2012), 64 and 128 bits. */
#ifndef ESP_SIPHASH_H
#define ESP_SIPHASH_H

#include "base.h"

typedef struct esp_siphash_key {
    uint64_t k[2]; /* as the 16 key bytes read on a little-endian host */
} esp_siphash_key;

/* 64 bits over `length` bytes. */
uint64_t esp_siphash64(const esp_siphash_key *key, const uint8_t *data, size_t length);

/* 128 bits over `length` bytes into out[0], out[1]. */
void esp_siphash128(
    const esp_siphash_key *key, const uint8_t *data, size_t length, uint64_t out[2]);

#endif
