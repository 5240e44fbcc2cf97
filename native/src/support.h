/* support.h: how many users stand behind a weight. */
#ifndef ESP_SUPPORT_H
#define ESP_SUPPORT_H

#include "trainer.h"

/* The rows of every context feature of a node, ordered by user. */
typedef struct esp_support {
    const size_t *ptr; /* rows of local feature f: row[ptr[f], ptr[f + 1]) */
    const uint32_t *row;
    const uint32_t *user; /* of a row; NULL: every weight is supported */
    uint32_t least;       /* users a weight needs */
} esp_support;

/* Orders the rows of task, which is gathered in the trainer.  Borrowed from the
 * trainer.  Fails with ESP_E_MEMORY. */
esp_status esp_support_prepare(esp_trainer *trainer, const esp_rank_task *task, uint32_t least,
    esp_support *support, esp_error *err);

/* Do enough distinct users have context feature `id` on rows where `positive`
 * is `side`? */
bool esp_support_holds(
    const esp_support *support, const uint8_t *positive, uint32_t id, uint8_t side);

#endif
