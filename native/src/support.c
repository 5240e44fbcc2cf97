/* support.c: how many users stand behind a weight.
 *
 * A context feature is a word of somebody's previous query.  Its weight may stay
 * only if enough users support it, or a rare query could be read back out of the
 * index.  The rows of each such feature are listed once per node in the order of
 * their users, so that distinct users are counted by looking at neighbours and
 * the count stops as soon as it suffices.
 */
#include "support.h"

esp_status esp_support_prepare(esp_trainer *trainer, const esp_rank_task *task, uint32_t least,
    esp_support *support, esp_error *err) {
    const esp_local *local = &trainer->local;
    *support = (esp_support){.least = least};
    /* With one user asked for and no negative values, a weight above 0 has a
     * positive row behind it by how it came about, one below a negative row. */
    if (task->user == NULL || task->is_context == NULL || least == 0 ||
        (least == 1 && !local->has_negative))
        return ESP_OK;
    const uint32_t n = task->n_rows;
    uint32_t *user = esp_trainer_room(trainer, ESP_ROOM_USER, 2 * (size_t)n, sizeof *user);
    uint32_t *order = esp_trainer_room(trainer, ESP_ROOM_USER_ORDER, n, sizeof *order);
    size_t *ptr =
        esp_trainer_room(trainer, ESP_ROOM_POST_PTR, (size_t)local->n_ids + 2, sizeof *ptr);
    if (user == NULL || order == NULL || ptr == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to count users of %u rows", n);
    for (uint32_t i = 0; i < n; i++) {
        user[i] = user[n + i] = task->user[task->rows[i]];
        order[i] = i;
    }
    ESP_TRY(esp_sort_pairs(trainer, user + n, order, n, err));

    memset(ptr, 0, ((size_t)local->n_ids + 2) * sizeof *ptr);
    for (size_t j = 0; j < local->ptr[n]; j++)
        if (task->is_context[local->feature[local->entry[j].id]] != 0)
            ptr[local->entry[j].id + 2]++;
    for (uint32_t f = 0; f < local->n_ids; f++)
        ptr[f + 2] += ptr[f + 1];
    uint32_t *post = esp_trainer_room(trainer, ESP_ROOM_POST, ptr[local->n_ids + 1], sizeof *post);
    if (post == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "memory", n, "no memory to count users of %u rows", n);
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = order[k];
        for (size_t j = local->ptr[i]; j < local->ptr[i + 1]; j++) {
            const uint32_t id = local->entry[j].id;
            if (task->is_context[local->feature[id]] != 0)
                post[ptr[id + 1]++] = i;
        }
    }
    support->ptr = ptr;
    support->row = post;
    support->user = user;
    return ESP_OK;
}

bool esp_support_holds(
    const esp_support *support, const uint8_t *positive, uint32_t id, uint8_t side) {
    if (support->user == NULL)
        return true;
    uint32_t users = 0, last = 0;
    for (size_t j = support->ptr[id]; j < support->ptr[id + 1]; j++) {
        const uint32_t row = support->row[j];
        if (positive[row] != side || (users > 0 && support->user[row] == last))
            continue;
        last = support->user[row];
        if (++users >= support->least)
            return true;
    }
    return false;
}
