/* small_attributes.h: an ATTR section made of what each label is to have. */
#ifndef ESP_SMALL_ATTRIBUTES_H
#define ESP_SMALL_ATTRIBUTES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/attributes.h"

enum { SMALL_TEXT = 3 }; /* bytes of a value: "a:0", "a:1", ... */

/* Label i has value v if bit v of has[i] is set; at most ten values, every value at least
 * once.  The caller frees the section. */
static inline uint8_t *small_attributes(
    const uint32_t *has, uint32_t n_labels, uint32_t n_values, size_t *length) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_labels; i++)
        for (uint32_t v = 0; v < n_values; v++)
            n += has[i] >> v & 1;
    const esp_attribute_header head = {
        .n_values = n_values, .n_entries = n, .text_bytes = n_values * SMALL_TEXT};
    *length = sizeof head + 4 * (2 * ((size_t)n_values + 1) + n_labels + 1) + 6 * (size_t)n +
              head.text_bytes;
    uint8_t *made = aligned_alloc(ESP_ALIGNMENT, (*length + 63) / 64 * 64);
    memcpy(made, &head, sizeof head);
    uint32_t *text_ptr = (uint32_t *)(void *)(made + sizeof head);
    uint32_t *label_ptr = text_ptr + n_values + 1;
    uint32_t *value_ptr = label_ptr + n_labels + 1;
    uint32_t *label = value_ptr + n_values + 1;
    uint16_t *value = (uint16_t *)(void *)(label + n);
    char *text = (char *)(value + n);
    text_ptr[0] = label_ptr[0] = value_ptr[0] = 0;
    for (uint32_t v = 0; v < n_values; v++) {
        text_ptr[v + 1] = (v + 1) * SMALL_TEXT;
        value_ptr[v + 1] = value_ptr[v];
        for (uint32_t i = 0; i < n_labels; i++)
            if ((has[i] >> v & 1) != 0)
                label[value_ptr[v + 1]++] = i;
        memcpy(text + (size_t)v * SMALL_TEXT, "a:", 2);
        text[v * SMALL_TEXT + 2] = (char)('0' + v);
    }
    for (uint32_t i = 0; i < n_labels; i++) {
        label_ptr[i + 1] = label_ptr[i];
        for (uint32_t v = 0; v < n_values; v++)
            if ((has[i] >> v & 1) != 0)
                value[label_ptr[i + 1]++] = (uint16_t)v;
    }
    return made;
}

#endif
