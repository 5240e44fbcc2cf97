/* session_view.h: what a session table says about one session at one moment. */
#ifndef ESP_SESSION_VIEW_H
#define ESP_SESSION_VIEW_H

#include "session_table.h"

/* How often an operation tries again because another writer was faster.  Each
 * failure is somebody's success, so this bounds what a damaged file can cost. */
enum { ESP_SESSION_ATTEMPTS = 1000 };

/* What the two buckets of a key say.  Two entries of one key exist only where
 * two writers began the same session at the same time. */
typedef struct esp_view {
    uint64_t key[2];
    esp_homes homes;
    uint32_t n_found;
    esp_seen found[2];
    bool has_empty;
    esp_place empty; /* in the bucket with more room */
} esp_view;

/* Starts a view with the key of a session id.  Fails with ESP_E_ARGUMENT. */
esp_status esp_view_begin(
    const esp_sessions *table, const uint8_t *id, size_t id_length, esp_view *v, esp_error *err);

/* Looks at both buckets. */
void esp_view_look(const esp_sessions *table, esp_view *v);

/* Removes what an entry leads to; false if others were faster. */
bool esp_view_remove(esp_sessions *table, const esp_place *place, uint64_t owner);

/* Takes expired sessions out of the table and of the view. */
void esp_view_drop_expired(esp_sessions *table, esp_view *v, uint64_t now);

static inline void esp_count(_Atomic uint64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
