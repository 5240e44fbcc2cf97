/* siphash.c: see siphash.h.  Written from the paper; the vectors of its authors
 * are in the tests. */
#include "siphash.h"

typedef struct sip {
    uint64_t v[4];
} sip;

static inline uint64_t rotate(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

static inline void mix(sip *s, int rounds) {
    uint64_t a = s->v[0];
    uint64_t b = s->v[1];
    uint64_t c = s->v[2];
    uint64_t d = s->v[3];
    for (int i = 0; i < rounds; i++) {
        a += b;
        c += d;
        b = rotate(b, 13) ^ a;
        d = rotate(d, 16) ^ c;
        a = rotate(a, 32);
        c += b;
        a += d;
        b = rotate(b, 17) ^ c;
        d = rotate(d, 21) ^ a;
        c = rotate(c, 32);
    }
    s->v[0] = a;
    s->v[1] = b;
    s->v[2] = c;
    s->v[3] = d;
}

/* Everything up to the finalisation, which is where 64 and 128 bits part. */
static sip absorb(
    const esp_siphash_key *key, const uint8_t *data, size_t length, uint64_t difference) {
    sip s = {{key->k[0] ^ 0x736F6D6570736575u, key->k[1] ^ 0x646F72616E646F6Du ^ difference,
        key->k[0] ^ 0x6C7967656E657261u, key->k[1] ^ 0x7465646279746573u}};
    const size_t whole = length - length % 8;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = 0;
        memcpy(&word, data + i, 8);
        s.v[3] ^= word;
        mix(&s, 2);
        s.v[0] ^= word;
    }
    uint64_t last = 0;
    if (length > whole)
        memcpy(&last, data + whole, length - whole);
    last |= (uint64_t)length << 56;
    s.v[3] ^= last;
    mix(&s, 2);
    s.v[0] ^= last;
    return s;
}

static uint64_t finish(sip *s) {
    mix(s, 4);
    return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

uint64_t esp_siphash64(const esp_siphash_key *key, const uint8_t *data, size_t length) {
    sip s = absorb(key, data, length, 0);
    s.v[2] ^= 0xFF;
    return finish(&s);
}

void esp_siphash128(
    const esp_siphash_key *key, const uint8_t *data, size_t length, uint64_t out[2]) {
    sip s = absorb(key, data, length, 0xEE);
    s.v[2] ^= 0xEE;
    out[0] = finish(&s);
    s.v[1] ^= 0xDD;
    out[1] = finish(&s);
}
