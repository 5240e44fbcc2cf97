/* sessions.c: opening, reading and forgetting; session_write.c records. */
#include "session_file.h"
#include "session_view.h"

enum {
    DEFAULT_QUERIES = 5,
    DEFAULT_CAPACITY = 1000000,
    DEFAULT_TTL_MS = 1800000,
};

/* ---- opening ---------------------------------------------------------------- */

/* All processes of one boot count from one start, whatever happens to the wall
 * clock meanwhile; another boot goes on where the last one stopped, at least. */
static void start_clock(esp_sessions *table, const esp_sessions_options *options) {
    esp_sessions_header *head = table->head;
    if (options->boot == 0 || atomic_load(&head->boot) == options->boot)
        return;
    int64_t before = atomic_load(&head->clock_base);
    const uint64_t latest = atomic_load(&head->latest);
    const uint64_t now = options->wall_ms > latest ? options->wall_ms : latest;
    atomic_compare_exchange_strong(
        &head->clock_base, &before, (int64_t)now - (int64_t)options->boot_ms);
    atomic_store(&head->boot, options->boot);
}

esp_status esp_sessions_open(const char *path, const esp_sessions_options *options,
    esp_sessions **sessions, esp_error *err) {
    esp_sessions_options wanted = {.struct_size = sizeof wanted};
    if (options != NULL && options->struct_size != sizeof wanted)
        ESP_FAIL(err, ESP_E_ARGUMENT, "struct_size", options->struct_size,
            "options of another version of this library");
    if (options != NULL)
        wanted = *options;
    const uint64_t capacity = wanted.capacity == 0 ? DEFAULT_CAPACITY : wanted.capacity;
    if (capacity > ESP_SESSIONS_MAX_CAPACITY || wanted.max_queries > ESP_RECORD_QUERIES)
        ESP_FAIL(err, ESP_E_ARGUMENT, "options", capacity,
            "at most %d sessions of at most %d queries", ESP_SESSIONS_MAX_CAPACITY,
            ESP_RECORD_QUERIES);
    esp_sessions *table = calloc(1, sizeof *table);
    if (table == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "alloc", sizeof *table, "no memory for a session table");
    esp_status status = esp_session_file_map(table, path, capacity, err);
    if (status == ESP_OK)
        status = esp_session_file_join(table, err);
    if (status != ESP_OK) {
        esp_session_file_unmap(table);
        free(table);
        return status;
    }
    table->max_queries = wanted.max_queries == 0 ? DEFAULT_QUERIES : wanted.max_queries;
    table->ttl = wanted.ttl_ms == 0 ? DEFAULT_TTL_MS : wanted.ttl_ms;
    /* Openings begin their search for free slots in different places. */
    atomic_store(&table->hint, (table->me * 2654435761u) % table->n_words);
    start_clock(table, &wanted);
    /* Writers that died may have left this a few off. */
    atomic_store(&table->head->n_free, (int64_t)esp_table_count_free(table));
    *sessions = table;
    return ESP_OK;
}

void esp_sessions_close(esp_sessions *sessions) {
    if (sessions == NULL)
        return;
    esp_session_file_unmap(sessions);
    free(sessions);
}

void esp_sessions_get_info(const esp_sessions *sessions, esp_sessions_info *info) {
    *info = (esp_sessions_info){
        .bytes = sessions->bytes,
        .capacity = sessions->capacity,
        .records = sessions->n_slots,
        .sessions = sessions->n_slots - esp_table_count_free(sessions),
        .found = atomic_load(&sessions->found),
        .missed = atomic_load(&sessions->missed),
        .expired = atomic_load(&sessions->expired),
        .evicted = atomic_load(&sessions->evicted),
        .reclaimed = atomic_load(&sessions->reclaimed),
        .damaged = atomic_load(&sessions->damaged),
        .clock_base = atomic_load(&sessions->head->clock_base),
        .backing = sessions->backing,
        .os_error = sessions->os_error,
        .descriptor = sessions->fd,
    };
}

uint32_t esp_sessions_count_openings(const esp_sessions *sessions) {
    return esp_session_file_openings(sessions);
}

/* ---- reading -------------------------------------------------------------------- */

/* Starts the time of a session anew.  A compare-and-swap, because the slot may
 * be another session's by now: then this changes nothing. */
static void touch(esp_sessions *table, const esp_seen *seen, uint64_t now) {
    uint64_t used = seen->used;
    if (used != now)
        atomic_compare_exchange_strong(
            &table->slot[esp_entry_slot(seen->place.entry)].used, &used, now);
}

static void copy_out(const esp_record *record, uint64_t now, esp_session *out) {
    esp_record_query query[ESP_RECORD_QUERIES];
    out->n_queries = esp_record_list(record, query);
    out->cut = record->cut;
    uint32_t at = 0;
    for (uint32_t i = 0; i < out->n_queries; i++) {
        const uint64_t seconds = now > query[i].time ? (now - query[i].time) / 1000 : 0;
        out->age[i] = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
        out->offset[i] = at;
        memcpy(out->text + at, query[i].text, query[i].length);
        at += query[i].length;
    }
    out->offset[out->n_queries] = at;
}

static uint64_t newest_time(const esp_record *record) {
    esp_record_query query[ESP_RECORD_QUERIES];
    return esp_record_list(record, query) > 0 ? query[0].time : 0;
}

esp_status esp_sessions_read(esp_sessions *sessions, const uint8_t *id, size_t id_length,
    uint64_t now_ms, esp_session *out, esp_error *err) {
    esp_view v;
    ESP_TRY(esp_view_begin(sessions, id, id_length, &v, err));
    const uint64_t now = esp_table_now(sessions, now_ms);
    esp_view_look(sessions, &v);
    const esp_seen *best = NULL;
    for (uint32_t i = 0; i < v.n_found; i++) {
        esp_seen *seen = &v.found[i];
        if (esp_table_over(sessions, seen->used, now)) {
            if (esp_view_remove(sessions, &seen->place, seen->owner))
                esp_count(&sessions->expired);
        } else if (best == NULL || newest_time(&seen->record) > newest_time(&best->record)) {
            best = seen;
        }
    }
    esp_count(best != NULL ? &sessions->found : &sessions->missed);
    out->n_queries = 0;
    out->cut = 0;
    out->offset[0] = 0;
    if (best != NULL) {
        touch(sessions, best, now);
        copy_out(&best->record, now, out);
    }
    return ESP_OK;
}

/* ---- forgetting ---------------------------------------------------------------------- */

esp_status esp_sessions_delete(esp_sessions *sessions, const uint8_t *id, size_t id_length,
    uint64_t now_ms, uint32_t *existed, esp_error *err) {
    esp_view v;
    ESP_TRY(esp_view_begin(sessions, id, id_length, &v, err));
    const uint64_t now = esp_table_now(sessions, now_ms);
    uint32_t any = 0;
    for (uint32_t i = 0; i < ESP_SESSION_ATTEMPTS; i++) {
        esp_view_look(sessions, &v);
        if (v.n_found == 0) {
            *existed = any;
            return ESP_OK;
        }
        for (uint32_t j = 0; j < v.n_found; j++) {
            const bool over = esp_table_over(sessions, v.found[j].used, now);
            if (!esp_view_remove(sessions, &v.found[j].place, v.found[j].owner))
                continue;
            any |= !over;
            if (over)
                esp_count(&sessions->expired);
        }
    }
    ESP_FAIL(err, ESP_E_LIMIT, "attempts", ESP_SESSION_ATTEMPTS,
        "the session changed under every attempt");
}
