/* session_write.c: recording a query, and making room for it. */
#include "session_view.h"
#include "utf8.h"

enum {
    CANDIDATES = 16, /* sessions looked at to find one to evict, at least */
    NEIGHBOURS = 32, /* buckets looked through for them, at most */
};

/* ---- making room ------------------------------------------------------------------ */

/* The least recently used of the sessions in the buckets of a key and, until
 * there are enough to choose from, those after them.  `spare` is not chosen. */
static bool oldest(const esp_sessions *table, const esp_view *v, const esp_place *spare,
    uint32_t n_buckets, esp_place *victim, uint64_t *owner) {
    uint32_t candidates = 0;
    uint64_t age = UINT64_MAX;
    for (uint32_t i = 0; i < n_buckets && (i < 2 || candidates < CANDIDATES); i++) {
        uint32_t bucket = v->homes.bucket[i % 2];
        if (i >= 2)
            bucket = (uint32_t)(((uint64_t)bucket + i / 2) % table->n_buckets);
        for (uint32_t way = 0; way < ESP_SESSIONS_WAYS; way++) {
            const uint64_t entry = atomic_load(esp_entry_at(table, bucket, way));
            if (esp_entry_empty(entry) ||
                (spare != NULL && spare->bucket == bucket && spare->way == way))
                continue;
            candidates++;
            const uint32_t slot = esp_entry_slot(entry);
            const uint64_t used = slot < table->n_slots ? atomic_load(&table->slot[slot].used) : 0;
            if (used < age) {
                age = used;
                *owner = esp_table_owner(table, slot);
                *victim = (esp_place){bucket, way, entry};
            }
        }
    }
    return age != UINT64_MAX;
}

/* A slot for this session, taken from the free ones or from another session. */
static uint32_t take_slot(esp_sessions *table, const esp_view *v, uint64_t now) {
    const esp_place *own = v->n_found > 0 ? &v->found[0].place : NULL;
    const int64_t reserve = (int64_t)(table->n_slots - table->capacity);
    /* A session that exists may use the reserve: it gives a slot back at once. */
    const bool may_claim = own != NULL || atomic_load(&table->head->n_free) > reserve;
    for (uint32_t i = 0; i < ESP_SESSION_ATTEMPTS; i++) {
        if (may_claim || i > 0) {
            const uint32_t slot = esp_table_claim(table);
            if (slot != ESP_NO_SLOT)
                return slot;
        }
        esp_place victim;
        uint64_t owner = 0;
        if (!oldest(table, v, own, esp_min_u32(NEIGHBOURS, 2 * table->n_buckets), &victim, &owner))
            continue;
        const uint32_t slot = esp_entry_slot(victim.entry);
        const bool over = slot < table->n_slots &&
                          esp_table_over(table, atomic_load(&table->slot[slot].used), now);
        if (!esp_table_unlink(table, &victim))
            continue;
        esp_count(over ? &table->expired : &table->evicted);
        if (esp_table_retire(table, slot, owner))
            return slot;
    }
    return ESP_NO_SLOT;
}

/* ---- recording -------------------------------------------------------------------- */

static bool same_text(const esp_record_query *a, const esp_record_query *b) {
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* Adds the queries of the found records, newest first, after what is there.  Two
 * records of one session are one history told by two. */
static void add_found(
    const esp_sessions *table, const esp_view *v, esp_record_query last, esp_record *record) {
    esp_record_query query[2][ESP_RECORD_QUERIES];
    uint32_t n[2] = {0, 0};
    uint32_t at[2] = {0, 0};
    for (uint32_t i = 0; i < v->n_found; i++)
        n[i] = esp_record_list(&v->found[i].record, query[i]);
    while (record->count < table->max_queries && (at[0] < n[0] || at[1] < n[1])) {
        const uint32_t from =
            at[1] == n[1] || (at[0] < n[0] && query[0][at[0]].time >= query[1][at[1]].time) ? 0 : 1;
        const esp_record_query *next = &query[from][at[from]++];
        if (record->count > 0 && same_text(next, &last))
            continue;
        if (!esp_record_add(record, next->text, next->length, next->time))
            return;
        last = *next;
    }
}

/* Puts `slot` where the session is or may be; false if the place was taken. */
static bool put(esp_sessions *table, const esp_view *v, uint32_t slot, uint64_t now) {
    esp_place place = v->empty;
    uint64_t owner = 0;
    if (v->n_found > 0) {
        place = v->found[0].place;
        owner = v->found[0].owner;
    } else if (!v->has_empty && !oldest(table, v, NULL, 2, &place, &owner)) {
        return false;
    }
    const bool replaces = !esp_entry_empty(place.entry);
    const uint32_t old = esp_entry_slot(place.entry);
    const bool over = replaces && v->n_found == 0 && old < table->n_slots &&
                      esp_table_over(table, atomic_load(&table->slot[old].used), now);
    if (!esp_table_publish(table, &place, slot, v->homes.tag))
        return false;
    if (replaces && v->n_found == 0)
        esp_count(over ? &table->expired : &table->evicted);
    if (replaces && esp_table_retire(table, old, owner))
        esp_table_free(table, old);
    return true;
}

/* A session that two writers began at once becomes one again. */
static bool join_twins(esp_sessions *table, esp_view *v, uint64_t now) {
    esp_view_look(table, v);
    esp_view_drop_expired(table, v, now);
    if (v->n_found < 2)
        return true;
    const uint32_t slot = take_slot(table, v, now);
    if (slot == ESP_NO_SLOT)
        return true;
    esp_record record;
    esp_record_init(&record, v->key);
    add_found(table, v, (esp_record_query){0}, &record);
    esp_record_seal(&record, &table->secret);
    esp_table_fill(table, slot, &record, now);
    if (put(table, v, slot, now)) {
        /* If the second changed since, it has news, and is met again. */
        esp_view_remove(table, &v->found[1].place, v->found[1].owner);
    } else if (esp_table_retire(table, slot, esp_table_owner(table, slot))) {
        esp_table_free(table, slot);
    }
    return false;
}

static esp_status record_in(esp_sessions *table, esp_view *v, const esp_record_query *newest,
    uint64_t now, uint32_t *known, esp_error *err) {
    uint32_t slot = ESP_NO_SLOT;
    esp_record record;
    for (uint32_t i = 0; i < ESP_SESSION_ATTEMPTS; i++) {
        esp_view_look(table, v);
        esp_view_drop_expired(table, v, now);
        if (slot == ESP_NO_SLOT) {
            slot = take_slot(table, v, now);
            if (slot == ESP_NO_SLOT)
                break;
            if (!v->has_empty)
                continue; /* whoever made room may have stood here */
        }
        esp_record_init(&record, v->key);
        esp_record_add(&record, newest->text, newest->length, newest->time);
        esp_record_query last = *newest;
        last.length = (uint32_t)esp_record_cut(newest->text, newest->length);
        add_found(table, v, last, &record);
        esp_record_seal(&record, &table->secret);
        esp_table_fill(table, slot, &record, now);
        if (!put(table, v, slot, now))
            continue;
        *known = v->n_found > 0;
        const bool alone = v->n_found == 1;
        for (uint32_t j = 0; !alone && j < ESP_SESSION_ATTEMPTS; j++)
            if (join_twins(table, v, now))
                break;
        return ESP_OK;
    }
    if (slot != ESP_NO_SLOT && esp_table_retire(table, slot, esp_table_owner(table, slot)))
        esp_table_free(table, slot);
    ESP_FAIL(err, ESP_E_LIMIT, "attempts", ESP_SESSION_ATTEMPTS,
        "the session changed under every attempt");
}

esp_status esp_sessions_record(esp_sessions *sessions, const uint8_t *id, size_t id_length,
    const uint8_t *text, size_t length, uint64_t now_ms, uint32_t *known, esp_error *err) {
    esp_view v;
    ESP_TRY(esp_view_begin(sessions, id, id_length, &v, err));
    if (length == 0 || length > UINT32_MAX)
        ESP_FAIL(err, ESP_E_ARGUMENT, "text", length, "a recorded query must not be empty");
    const size_t valid = esp_utf8_check(text, length);
    if (valid != length)
        ESP_FAIL(err, ESP_E_UTF8, "text", valid, "the query is not UTF-8 at byte %zu", valid);
    const uint64_t now = esp_table_now(sessions, now_ms);
    const esp_record_query newest = {.text = text, .time = now, .length = (uint32_t)length};
    uint32_t was_known = 0;
    ESP_TRY(record_in(sessions, &v, &newest, now, &was_known, err));
    *known = was_known;
    return ESP_OK;
}
