/* base.h: what every file may use.  Depends on nothing but espalier.h. */
#ifndef ESP_BASE_H
#define ESP_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../include/espalier.h"

#if defined(__GNUC__)
#define ESP_LIKELY(x) __builtin_expect(!!(x), 1)
#define ESP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ESP_PREFETCH(p) __builtin_prefetch(p)
#define ESP_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define ESP_LIKELY(x) (x)
#define ESP_UNLIKELY(x) (x)
#define ESP_PREFETCH(p) ((void)(p))
#define ESP_PRINTF(a, b)
#endif

/* Fills `err` (may be NULL) and returns `status`.  `section` 0: none. */
esp_status esp_error_set(esp_error *err, esp_status status, uint32_t section, uint64_t offset,
    const char *check, const char *format, ...) ESP_PRINTF(6, 7);

/* Returns from the calling function with a failure: status, name of the check,
 * offset or index of the bad value, then a printf format and its arguments.  The
 * status is returned here, not what esp_error_set() returns, so that compilers
 * see, file by file, that it is not ESP_OK. */
#define ESP_FAIL(err, status, check, offset, ...) \
    ESP_FAIL_IN(err, status, 0, check, offset, __VA_ARGS__)

/* The same about a section of an index file. */
#define ESP_FAIL_IN(err, status, section, check, offset, ...)                                \
    do {                                                                                     \
        esp_error_set((err), (status), (section), (uint64_t)(offset), (check), __VA_ARGS__); \
        return (status);                                                                     \
    } while (0)

/* Forwards a failure. */
#define ESP_TRY(expr)                                \
    do {                                             \
        const esp_status esp_try_status_ = (expr);   \
        if (ESP_UNLIKELY(esp_try_status_ != ESP_OK)) \
            return esp_try_status_;                  \
    } while (0)

/* a * b into *out; false where it does not fit a size_t. */
static inline bool esp_mul_size(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

/* malloc for `count` elements, never 0 bytes, NULL on overflow. */
static inline void *esp_alloc(size_t count, size_t size) {
    size_t bytes = 0;
    if (!esp_mul_size(count, size, &bytes))
        return NULL;
    return malloc(bytes == 0 ? 1 : bytes);
}

static inline uint32_t esp_min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static inline uint32_t esp_max_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* Bits needed to write the numbers below n: 0 for n <= 1. */
static inline uint32_t esp_bits_for(uint32_t n) {
    uint32_t bits = 0;
    while (bits < 32 && ((uint64_t)1 << bits) < n)
        bits++;
    return bits;
}

/* Bits that are set (Warren, Hacker's Delight, 5-1): without a special instruction
 * the compiler's own is a call. */
static inline uint32_t esp_count_bits(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (uint32_t)(x * 0x0101010101010101u >> 56);
}

/* splitmix64 (Steele, Lea, Flood 2014): the next number of the stream at
 * *state.  Counter based, so any node or label can have a stream of its own. */
static inline uint64_t esp_random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#endif
