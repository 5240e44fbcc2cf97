/* trainer.c: memory of the training kernels, gathering, sorting, selecting. */
#include "trainer.h"

#include <math.h>

esp_status esp_trainer_new(uint32_t n_features, esp_trainer **trainer, esp_error *err) {
    if (trainer == NULL)
        ESP_FAIL(err, ESP_E_ARGUMENT, "null", 0, "no place to put the trainer");
    esp_trainer *made = calloc(1, sizeof *made);
    if (made == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", 0, "no memory for a trainer");
    made->n_features = n_features;
    made->local_of = calloc((size_t)n_features + 1, sizeof *made->local_of);
    if (made->local_of == NULL) {
        esp_trainer_free(made);
        ESP_FAIL(err, ESP_E_MEMORY, "memory", 0, "no memory for %u features", n_features);
    }
    *trainer = made;
    return ESP_OK;
}

void esp_trainer_free(esp_trainer *trainer) {
    if (trainer == NULL)
        return;
    for (size_t i = 0; i < ESP_ROOMS; i++)
        free(trainer->block[i].data);
    free(trainer->local_of);
    free(trainer);
}

/* Bytes to ask for: half as much again as before, so that a walk over ever
 * larger nodes allocates a few times only. */
static size_t grown(size_t needed, size_t had) {
    const size_t more = had <= SIZE_MAX / 2 ? had + had / 2 : had;
    return needed > more ? needed : more;
}

void *esp_trainer_room(esp_trainer *trainer, esp_room room, size_t count, size_t size) {
    esp_block *block = &trainer->block[room];
    size_t needed = 0;
    if (!esp_mul_size(count, size, &needed))
        return NULL;
    if (block->data != NULL && needed <= block->bytes)
        return block->data;
    const size_t bytes = grown(needed, block->bytes);
    free(block->data);
    *block = (esp_block){0};
    block->data = esp_alloc(bytes, 1);
    if (block->data != NULL)
        block->bytes = bytes;
    return block->data;
}

void *esp_trainer_extend(esp_trainer *trainer, esp_room room, size_t count, size_t size) {
    esp_block *block = &trainer->block[room];
    size_t needed = 0;
    if (!esp_mul_size(count, size, &needed))
        return NULL;
    if (block->data != NULL && needed <= block->bytes)
        return block->data;
    const size_t bytes = grown(needed, block->bytes);
    void *data = realloc(block->data, bytes == 0 ? 1 : bytes);
    if (data == NULL)
        return NULL;
    *block = (esp_block){.data = data, .bytes = bytes};
    return data;
}

/* Entries of the rows together, after checking that the rows are in x. */
static esp_status count_entries(
    const esp_csr *x, const uint32_t *rows, uint32_t n_rows, size_t *count, esp_error *err) {
    const uint64_t stored = x->n_rows == 0 ? 0 : x->row_ptr[x->n_rows];
    size_t sum = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        const uint32_t row = rows[i];
        if (row >= x->n_rows)
            ESP_FAIL(
                err, ESP_E_ARGUMENT, "row", i, "row %u of a matrix of %u rows", row, x->n_rows);
        const uint64_t begin = x->row_ptr[row];
        const uint64_t end = x->row_ptr[row + 1];
        if (begin > end || end > stored || end - begin > x->n_cols)
            ESP_FAIL(err, ESP_E_ARGUMENT, "row_ptr", row, "row %u has impossible bounds", row);
        sum += (size_t)(end - begin);
    }
    *count = sum;
    return ESP_OK;
}

esp_status esp_gather(
    esp_trainer *trainer, const esp_csr *x, const uint32_t *rows, uint32_t n_rows, esp_error *err) {
    if (x->n_cols > trainer->n_features)
        ESP_FAIL(err, ESP_E_ARGUMENT, "n_cols", x->n_cols,
            "a matrix of %u columns for a trainer of %u features", x->n_cols, trainer->n_features);
    size_t count = 0;
    ESP_TRY(count_entries(x, rows, n_rows, &count, err));
    const size_t most_ids = count < x->n_cols ? count : x->n_cols;
    size_t *ptr = esp_trainer_room(trainer, ESP_ROOM_PTR, (size_t)n_rows + 1, sizeof *ptr);
    esp_entry *entry = esp_trainer_room(trainer, ESP_ROOM_ENTRY, count, sizeof *entry);
    uint32_t *feature = esp_trainer_room(trainer, ESP_ROOM_FEATURE, most_ids, sizeof *feature);
    if (ptr == NULL || entry == NULL || feature == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", count, "no memory for %zu entries", count);

    uint32_t *local_of = trainer->local_of;
    uint32_t n_ids = 0;
    size_t used = 0;
    bool has_negative = false;
    esp_status status = ESP_OK;
    for (uint32_t i = 0; i < n_rows && status == ESP_OK; i++) {
        ptr[i] = used;
        for (uint64_t j = x->row_ptr[rows[i]]; j < x->row_ptr[rows[i] + 1]; j++) {
            const uint32_t column = x->col[j];
            const float value = x->val[j];
            if (column >= x->n_cols || !isfinite(value)) {
                status = esp_error_set(err, ESP_E_ARGUMENT, 0, rows[i],
                    column >= x->n_cols ? "column" : "value",
                    "entry %llu of row %u is not a finite number in one of %u columns",
                    (unsigned long long)(j - x->row_ptr[rows[i]]), rows[i], x->n_cols);
                break;
            }
            if (value == 0)
                continue;
            has_negative |= value < 0;
            uint32_t id = local_of[column];
            if (id == 0) {
                feature[n_ids] = column;
                id = local_of[column] = ++n_ids;
            }
            entry[used++] = (esp_entry){.id = id - 1, .value = value};
        }
    }
    ptr[n_rows] = used;
    for (uint32_t i = 0; i < n_ids; i++)
        local_of[feature[i]] = 0;
    trainer->local = (esp_local){
        .ptr = ptr,
        .entry = entry,
        .feature = feature,
        .n_rows = n_rows,
        .n_ids = n_ids,
        .has_negative = has_negative,
    };
    return status;
}

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, FEW = 48 };

esp_status esp_sort_pairs(
    esp_trainer *trainer, uint32_t *key, uint32_t *value, size_t n, esp_error *err) {
    uint32_t *other_key = esp_trainer_room(trainer, ESP_ROOM_SORT_KEY, n, sizeof *other_key);
    uint32_t *other_value = esp_trainer_room(trainer, ESP_ROOM_SORT_VALUE, n, sizeof *other_value);
    if (other_key == NULL || other_value == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to sort %zu numbers", n);
    uint32_t *from = key, *from_value = value, *to = other_key, *to_value = other_value;
    for (uint32_t shift = 0; shift < 32; shift += DIGIT_BITS) {
        size_t start[DIGITS] = {0};
        for (size_t i = 0; i < n; i++)
            start[(from[i] >> shift) & (DIGITS - 1)]++;
        if (n == 0 || start[(from[0] >> shift) & (DIGITS - 1)] == n)
            continue; /* one digit for all: nothing to do */
        size_t sum = 0;
        for (size_t d = 0; d < DIGITS; d++) {
            const size_t here = start[d];
            start[d] = sum;
            sum += here;
        }
        for (size_t i = 0; i < n; i++) {
            const size_t place = start[(from[i] >> shift) & (DIGITS - 1)]++;
            to[place] = from[i];
            to_value[place] = from_value[i];
        }
        uint32_t *const swap = from, *const swap_value = from_value;
        from = to;
        from_value = to_value;
        to = swap;
        to_value = swap_value;
    }
    if (from != key && n != 0) {
        memcpy(key, from, n * sizeof *key);
        memcpy(value, from_value, n * sizeof *value);
    }
    return ESP_OK;
}

static uint64_t weight_of(const uint32_t *weight, uint64_t key) {
    return weight == NULL ? 1 : weight[(uint32_t)key];
}

esp_status esp_select(esp_trainer *trainer, const uint64_t *keys, size_t n, const uint32_t *weight,
    uint64_t target, uint64_t *key, uint64_t *before, esp_error *err) {
    uint64_t *few = esp_trainer_room(trainer, ESP_ROOM_CANDIDATE, n, sizeof *few);
    if (few == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to select among %zu keys", n);
    uint64_t sum = 0; /* weight of all keys below the candidates */
    uint32_t shift = 64;
    while (n > FEW && shift > 0) {
        const uint32_t bits = shift < DIGIT_BITS ? shift : DIGIT_BITS;
        const uint64_t mask = ((uint64_t)1 << bits) - 1;
        shift -= bits;
        uint64_t weights[DIGITS] = {0};
        for (size_t i = 0; i < n; i++)
            weights[(keys[i] >> shift) & mask] += weight_of(weight, keys[i]);
        uint64_t digit = 0;
        while (sum + weights[digit] <= target) {
            sum += weights[digit++];
            assert(digit <= mask && "all weights together exceed the target");
        }
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            if (((keys[i] >> shift) & mask) == digit)
                few[kept++] = keys[i]; /* in place from the second round on */
        }
        keys = few;
        n = kept;
    }
    assert(n > 0 && "all weights together exceed the target");
    if (keys != few)
        memcpy(few, keys, n * sizeof *few);
    for (size_t i = 1; i < n; i++) {
        const uint64_t moved = few[i];
        size_t j = i;
        for (; j > 0 && few[j - 1] > moved; j--)
            few[j] = few[j - 1];
        few[j] = moved;
    }
    size_t at = 0;
    while (sum + weight_of(weight, few[at]) <= target) {
        sum += weight_of(weight, few[at++]);
        assert(at < n && "all weights together exceed the target");
    }
    *key = few[at];
    *before = sum;
    return ESP_OK;
}
