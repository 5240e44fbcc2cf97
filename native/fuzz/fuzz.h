/* fuzz.h: what a fuzz target gives and what the driver offers it. */
#ifndef ESP_FUZZ_H
#define ESP_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The target: must return 0 whatever the bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* The target's own inputs to start from, given to fuzz_seed(). */
void fuzz_seeds(void);

/* Keeps a copy of an input to mutate. */
void fuzz_seed(const uint8_t *data, size_t length);

#endif
