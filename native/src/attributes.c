/* attributes.c: see attributes.h. */
#include "index.h"
#include "utf8.h"

const char *esp_attributes_open(
    const uint8_t *data, uint64_t length, uint32_t n_labels, esp_attributes *attributes) {
    const esp_attribute_header *head = (const void *)data;
    if (length < sizeof *head)
        return "A1";
    const uint64_t bounds = 2 * ((uint64_t)head->n_values + 1) + (uint64_t)n_labels + 1;
    if (head->n_values > ESP_MOST_VALUES ||
        length != sizeof *head + 4 * bounds + 6 * (uint64_t)head->n_entries + head->text_bytes)
        return "A1";
    const uint32_t *text_ptr = (const void *)(head + 1);
    const uint32_t *label_ptr = text_ptr + head->n_values + 1;
    const uint32_t *value_ptr = label_ptr + n_labels + 1;
    const uint32_t *label = value_ptr + head->n_values + 1;
    const uint16_t *value = (const void *)(label + head->n_entries);
    *attributes = (esp_attributes){.head = head,
        .n_labels = n_labels,
        .text_ptr = text_ptr,
        .label_ptr = label_ptr,
        .value_ptr = value_ptr,
        .label = label,
        .value = value,
        .text = (const uint8_t *)(value + head->n_entries)};
    return NULL;
}

static uint32_t lower_bound(const uint32_t *array, uint32_t n, uint32_t value) {
    uint32_t lo = 0;
    uint32_t hi = n;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (array[middle] < value)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

uint32_t esp_attributes_labels(
    const esp_attributes *a, uint32_t value, uint32_t lo, uint32_t hi, const uint32_t **labels) {
    const uint32_t begin = a->value_ptr[value];
    const uint32_t end = a->value_ptr[value + 1];
    if (begin > end || end > a->head->n_entries)
        return 0;
    const uint32_t *list = a->label + begin;
    const uint32_t first = lower_bound(list, end - begin, lo);
    *labels = list + first;
    return lower_bound(*labels, end - begin - first, hi);
}

/* Text of a value below n_values; false if its bounds leave the section. */
static bool text_of(const esp_attributes *a, uint32_t value, esp_text *text) {
    const uint32_t begin = a->text_ptr[value];
    const uint32_t end = a->text_ptr[value + 1];
    if (begin > end || end > a->head->text_bytes)
        return false;
    *text = (esp_text){a->text + begin, end - begin};
    return true;
}

/* Byte order, a text before those it begins. */
static int compare(const esp_text *a, const uint8_t *b, size_t length) {
    const size_t n = (size_t)a->length < length ? (size_t)a->length : length;
    const int order = n == 0 ? 0 : memcmp(a->data, b, n);
    return order != 0 ? order : (a->length > length) - (a->length < length);
}

/* ---- asking ------------------------------------------------------------- */

uint32_t esp_attribute_count(const esp_index *index) {
    return index->attributes.head == NULL ? 0 : index->attributes.head->n_values;
}

uint32_t esp_attribute_find(const esp_index *index, const uint8_t *text, size_t length) {
    const esp_attributes *a = &index->attributes;
    uint32_t lo = 0;
    uint32_t hi = esp_attribute_count(index);
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        esp_text found = {0};
        if (!text_of(a, middle, &found))
            return ESP_NO_VALUE;
        const int order = compare(&found, text, length);
        if (order == 0)
            return middle;
        if (order < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    return ESP_NO_VALUE;
}

esp_status esp_attribute_text(
    const esp_index *index, uint32_t value, esp_text *text, uint32_t *n_labels, esp_error *err) {
    const esp_attributes *a = &index->attributes;
    const uint32_t n = esp_attribute_count(index);
    if (value >= n)
        ESP_FAIL(err, ESP_E_ARGUMENT, "value", value, "attribute value %u of %u", value, n);
    esp_text found = {0};
    if (!text_of(a, value, &found) ||
        esp_utf8_check(found.data, (size_t)found.length) != found.length)
        return esp_index_damaged(ESP_SEC_ATTR, "A3", value, err);
    const uint32_t *labels = NULL;
    *n_labels = esp_attributes_labels(a, value, 0, a->n_labels, &labels);
    *text = found;
    return ESP_OK;
}

uint32_t esp_label_attributes(
    const esp_index *index, uint32_t label, uint32_t *values, uint32_t cap) {
    const uint16_t *found = NULL;
    if (index->attributes.head == NULL || label >= index->params->n_labels)
        return 0;
    const uint32_t n = esp_attributes_of(&index->attributes, label, &found);
    uint32_t known = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (found[i] >= index->attributes.head->n_values)
            continue; /* a damaged file */
        if (known < cap)
            values[known] = found[i];
        known++;
    }
    return known;
}

/* ---- checking ----------------------------------------------------------- */

/* Bounds that begin with 0, ascend by `least` to `most`, and end with `end`; the number
 * of bounds if they do, else that of the first that is wrong. */
static uint32_t check_bounds(
    const uint32_t *bound, uint32_t n, uint32_t least, uint32_t most, uint32_t end) {
    if (bound[0] != 0)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        if (bound[i] > bound[i + 1] || bound[i + 1] - bound[i] < least ||
            bound[i + 1] - bound[i] > most || bound[i + 1] > end)
            return i + 1;
    return bound[n] == end ? n + 1 : n;
}

static esp_status check_texts(const esp_attributes *a, esp_error *err) {
    const uint32_t n = a->head->n_values;
    const uint32_t bad = check_bounds(a->text_ptr, n, 1, ESP_VALUE_BYTES, a->head->text_bytes);
    if (bad != n + 1)
        return esp_index_damaged(ESP_SEC_ATTR, "A3", bad, err);
    esp_text before = {0};
    for (uint32_t v = 0; v < n; v++) {
        esp_text text = {0};
        if (!text_of(a, v, &text) || compare(&before, text.data, (size_t)text.length) >= 0 ||
            esp_utf8_check(text.data, (size_t)text.length) != text.length)
            return esp_index_damaged(ESP_SEC_ATTR, "A3", v, err);
        before = text;
    }
    return ESP_OK;
}

static esp_status check_labels(const esp_attributes *a, esp_error *err) {
    const uint32_t bad =
        check_bounds(a->label_ptr, a->n_labels, 0, ESP_LABEL_VALUES, a->head->n_entries);
    if (bad != a->n_labels + 1)
        return esp_index_damaged(ESP_SEC_ATTR, "A4", bad, err);
    for (uint32_t label = 0; label < a->n_labels; label++)
        for (uint32_t i = a->label_ptr[label]; i < a->label_ptr[label + 1]; i++)
            if (a->value[i] >= a->head->n_values ||
                (i > a->label_ptr[label] && a->value[i - 1] >= a->value[i]))
                return esp_index_damaged(ESP_SEC_ATTR, "A5", label, err);
    return ESP_OK;
}

static bool has_value(const esp_attributes *a, uint32_t label, uint32_t value) {
    const uint16_t *values = NULL;
    const uint32_t n = esp_attributes_of(a, label, &values);
    for (uint32_t i = 0; i < n; i++)
        if (values[i] == value)
            return true;
    return false;
}

/* As many entries, none of them twice, each also the label's: so they are the same. */
static esp_status check_lists(const esp_attributes *a, esp_error *err) {
    const uint32_t n = a->head->n_values;
    const uint32_t bad = check_bounds(a->value_ptr, n, 1, a->n_labels, a->head->n_entries);
    if (bad != n + 1)
        return esp_index_damaged(ESP_SEC_ATTR, "A6", bad, err);
    for (uint32_t v = 0; v < n; v++)
        for (uint32_t i = a->value_ptr[v]; i < a->value_ptr[v + 1]; i++)
            if (a->label[i] >= a->n_labels ||
                (i > a->value_ptr[v] && a->label[i - 1] >= a->label[i]) ||
                !has_value(a, a->label[i], v))
                return esp_index_damaged(ESP_SEC_ATTR, "A6", v, err);
    return ESP_OK;
}

esp_status esp_attributes_validate(const esp_attributes *a, esp_error *err) {
    if (a->head->reserved != 0)
        return esp_index_damaged(ESP_SEC_ATTR, "A2", 0, err);
    ESP_TRY(check_texts(a, err));
    ESP_TRY(check_labels(a, err));
    return check_lists(a, err);
}
