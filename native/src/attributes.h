/* attributes.h: what is known of a label besides its text: "locale:de", "category:shoes".
 *
 * The values are sorted texts, numbered in their order.  A label has a few of them;
 * a value has its labels, so that a rare one leads to them without reading the range. */
#ifndef ESP_ATTRIBUTES_H
#define ESP_ATTRIBUTES_H

#include "format.h"

/* The ATTR section, resolved. */
typedef struct esp_attributes {
    const esp_attribute_header *head; /* NULL where the index has none */
    uint32_t n_labels;
    const uint32_t *text_ptr;  /* n_values + 1, into text */
    const uint32_t *label_ptr; /* n_labels + 1, into value */
    const uint32_t *value_ptr; /* n_values + 1, into label */
    const uint32_t *label;     /* n_entries: labels of each value, ascending */
    const uint16_t *value;     /* n_entries: values of each label, ascending */
    const uint8_t *text;
} esp_attributes;

/* Resolves a section.  Returns the check that fails (FORMAT.md, A1), NULL if none does. */
const char *esp_attributes_open(
    const uint8_t *data, uint64_t length, uint32_t n_labels, esp_attributes *attributes);

/* Values of a label below n_labels, at most ESP_LABEL_VALUES of any file. */
static inline uint32_t esp_attributes_of(
    const esp_attributes *a, uint32_t label, const uint16_t **values) {
    const uint32_t begin = a->label_ptr[label];
    const uint32_t end = a->label_ptr[label + 1];
    if (ESP_UNLIKELY(begin > end || end > a->head->n_entries))
        return 0;
    *values = a->value + begin;
    return esp_min_u32(end - begin, ESP_LABEL_VALUES);
}

/* Labels of [lo, hi) that have a value below n_values, ascending.  Returns how many; in
 * a damaged file others may be among them. */
uint32_t esp_attributes_labels(
    const esp_attributes *a, uint32_t value, uint32_t lo, uint32_t hi, const uint32_t **labels);

/* Checks the content of the section (FORMAT.md, A2 to A6). */
esp_status esp_attributes_validate(const esp_attributes *a, esp_error *err);

#endif
