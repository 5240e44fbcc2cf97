/* session_view.c: see session_view.h. */
#include "session_view.h"

/* Looks at one entry; false if it changed while we looked. */
static bool look_at(const esp_sessions *table, esp_view *v, esp_place place) {
    if (v->n_found == 2 || esp_entry_tag(place.entry) != v->homes.tag)
        return true;
    esp_seen *seen = &v->found[v->n_found];
    seen->place = place;
    const esp_sight sight = esp_table_look(table, seen);
    if (sight == ESP_SIGHT_CHANGED)
        return false;
    v->n_found += sight == ESP_SIGHT_RECORD && seen->record.key[0] == v->key[0] &&
                  seen->record.key[1] == v->key[1];
    return true;
}

void esp_view_look(const esp_sessions *table, esp_view *v) {
    ESP_PREFETCH(&table->bucket[v->homes.bucket[0]]);
    ESP_PREFETCH(&table->bucket[v->homes.bucket[1]]);
    v->n_found = 0;
    v->has_empty = false;
    uint32_t most = 0;
    for (uint32_t b = 0; b < 2; b++) {
        uint32_t room = 0;
        esp_place empty = {0};
        for (uint32_t way = 0; way < ESP_SESSIONS_WAYS; way++) {
            esp_place place = {v->homes.bucket[b], way, 0};
            _Atomic uint64_t *entry = esp_entry_at(table, place.bucket, way);
            for (uint32_t i = 0; i < ESP_SESSION_ATTEMPTS; i++) {
                place.entry = atomic_load(entry);
                if (esp_entry_empty(place.entry) || look_at(table, v, place))
                    break;
            }
            if (esp_entry_empty(place.entry)) {
                empty = place;
                room++;
            }
        }
        if (room > most) {
            most = room;
            v->empty = empty;
            v->has_empty = true;
        }
    }
}

esp_status esp_view_begin(
    const esp_sessions *table, const uint8_t *id, size_t id_length, esp_view *v, esp_error *err) {
    if (id_length == 0)
        ESP_FAIL(err, ESP_E_ARGUMENT, "id", 0, "the session id is empty");
    esp_siphash128(&table->secret, id, id_length, v->key);
    v->homes = esp_homes_of(table, v->key);
    return ESP_OK;
}

bool esp_view_remove(esp_sessions *table, const esp_place *place, uint64_t owner) {
    if (!esp_table_unlink(table, place))
        return false;
    const uint32_t slot = esp_entry_slot(place->entry);
    if (esp_table_retire(table, slot, owner))
        esp_table_free(table, slot);
    return true;
}

void esp_view_drop_expired(esp_sessions *table, esp_view *v, uint64_t now) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->n_found; i++) {
        if (!esp_table_over(table, v->found[i].used, now)) {
            if (kept != i)
                v->found[kept] = v->found[i];
            kept++;
        } else if (esp_view_remove(table, &v->found[i].place, v->found[i].owner)) {
            esp_count(&table->expired);
        }
    }
    v->n_found = kept;
}
