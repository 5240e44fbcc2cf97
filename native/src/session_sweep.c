/* session_sweep.c: what keeps a session table clean (SESSIONS.md, "Sweep"), and
 * what tells whether it is. */
#include "session_file.h"
#include "session_view.h"

/* The entry that names `slot`, among those where its key may stand.  A slot that
 * is no writer's has no entry but there. */
static bool find_entry(
    const esp_sessions *table, const uint64_t key[2], uint32_t slot, esp_place *place) {
    const esp_homes homes = esp_homes_of(table, key);
    for (uint32_t b = 0; b < 2; b++)
        for (uint32_t way = 0; way < ESP_SESSIONS_WAYS; way++) {
            *place = (esp_place){homes.bucket[b], way, 0};
            place->entry = atomic_load(esp_entry_at(table, place->bucket, way));
            if (!esp_entry_empty(place->entry) && esp_entry_slot(place->entry) == slot)
                return true;
        }
    return false;
}

static bool is_home(const esp_sessions *table, const esp_place *place, const uint64_t key[2]) {
    const esp_homes homes = esp_homes_of(table, key);
    return esp_entry_tag(place->entry) == homes.tag &&
           (homes.bucket[0] == place->bucket || homes.bucket[1] == place->bucket);
}

static void remove_entry(
    esp_sessions *table, const esp_place *place, uint64_t owner, _Atomic uint64_t *counter) {
    if (!esp_table_unlink(table, place))
        return;
    esp_count(counter);
    const uint32_t slot = esp_entry_slot(place->entry);
    if (esp_table_retire(table, slot, owner))
        esp_table_free(table, slot);
}

/* An entry must lead to a whole record whose home is here. */
static void sweep_entry(esp_sessions *table, uint32_t bucket, uint32_t way) {
    esp_seen seen = {.place = {bucket, way, atomic_load(esp_entry_at(table, bucket, way))}};
    if (esp_entry_empty(seen.place.entry))
        return;
    const esp_sight sight = esp_table_look(table, &seen);
    if (sight == ESP_SIGHT_CHANGED)
        return;
    if (sight == ESP_SIGHT_DAMAGED) {
        remove_entry(table, &seen.place, seen.owner, &table->damaged);
    } else if (!is_home(table, &seen.place, seen.record.key) &&
               esp_table_unlink(table, &seen.place)) {
        /* The record may be in order; if no other entry names it, its own visit
         * takes it back. */
        esp_count(&table->damaged);
    }
}

/* A slot is free and listed, in use and named by an entry, or a writer's. */
static void sweep_slot(esp_sessions *table, uint32_t number, uint64_t now) {
    esp_sessions_slot *slot = &table->slot[number];
    const uint64_t owner = esp_table_owner(table, number);
    if (esp_owner_state(owner) == ESP_SLOT_FREE) {
        const uint64_t bit = (uint64_t)1 << (number % 64);
        if ((atomic_load(&table->bitmap[number / 64]) & bit) == 0 &&
            (atomic_fetch_or(&table->bitmap[number / 64], bit) & bit) == 0)
            atomic_fetch_add(&table->head->n_free, 1);
        return;
    }
    if (esp_owner_state(owner) == ESP_SLOT_HELD && esp_session_file_alive(table, owner))
        return;
    const uint64_t key[2] = {
        atomic_load_explicit(&slot->word[0], memory_order_acquire),
        atomic_load_explicit(&slot->word[1], memory_order_acquire),
    };
    esp_place place;
    if (!find_entry(table, key, number, &place)) {
        /* Nothing can name it any more: only its holder could, and is dead (P6). */
        if (esp_table_owner(table, number) == owner && esp_table_retire(table, number, owner)) {
            esp_table_free(table, number);
            esp_count(&table->reclaimed);
        }
        return;
    }
    uint64_t used = atomic_load(&slot->used);
    if (esp_table_over(table, used, now))
        remove_entry(table, &place, owner, &table->expired);
    else if (used > now)
        atomic_compare_exchange_strong(&slot->used, &used, now);
}

void esp_sessions_sweep(esp_sessions *sessions, uint64_t now_ms, uint64_t records) {
    const uint64_t now = esp_table_now(sessions, now_ms);
    if (records > sessions->n_slots)
        records = sessions->n_slots;
    const uint64_t from = atomic_fetch_add(&sessions->head->sweep_next, records);
    for (uint64_t i = 0; i < records; i++) {
        const uint32_t number = (uint32_t)((from + i) % sessions->n_slots);
        sweep_slot(sessions, number, now);
        /* Two entries a slot: the directory is through when the slots are. */
        for (uint32_t way = number % ESP_SESSIONS_SLOTS_PER_BUCKET; way < ESP_SESSIONS_WAYS;
            way += ESP_SESSIONS_SLOTS_PER_BUCKET)
            sweep_entry(sessions, number / ESP_SESSIONS_SLOTS_PER_BUCKET, way);
        if (number == sessions->n_slots - 1)
            atomic_store(&sessions->head->n_free, (int64_t)esp_table_count_free(sessions));
    }
}

/* ---- checking ----------------------------------------------------------------- */

static void check_entry(
    const esp_sessions *table, uint32_t bucket, uint32_t way, esp_sessions_report *report) {
    esp_seen seen = {.place = {bucket, way, atomic_load(esp_entry_at(table, bucket, way))}};
    if (esp_entry_empty(seen.place.entry))
        return;
    switch (esp_table_look(table, &seen)) {
    case ESP_SIGHT_CHANGED: return;
    case ESP_SIGHT_DAMAGED: report->damaged++; return;
    case ESP_SIGHT_RECORD: break;
    }
    if (!is_home(table, &seen.place, seen.record.key) ||
        esp_owner_state(seen.owner) == ESP_SLOT_FREE) {
        report->damaged++;
        return;
    }
    report->sessions++;
    report->queries += seen.record.count;
    /* An earlier entry of the same key? */
    const esp_homes homes = esp_homes_of(table, seen.record.key);
    for (uint32_t b = 0; b < 2; b++)
        for (uint32_t w = 0; w < ESP_SESSIONS_WAYS; w++) {
            if (homes.bucket[b] > bucket || (homes.bucket[b] == bucket && w >= way))
                continue;
            esp_seen other = {.place = {homes.bucket[b], w,
                                  atomic_load(esp_entry_at(table, homes.bucket[b], w))}};
            report->twice += !esp_entry_empty(other.place.entry) &&
                             esp_table_look(table, &other) == ESP_SIGHT_RECORD &&
                             memcmp(other.record.key, seen.record.key, sizeof seen.record.key) == 0;
        }
}

static void check_slot(const esp_sessions *table, uint32_t number, esp_sessions_report *report) {
    const esp_sessions_slot *slot = &table->slot[number];
    const uint64_t owner = esp_table_owner(table, number);
    const uint64_t bit = (uint64_t)1 << (number % 64);
    const uint64_t key[2] = {atomic_load(&slot->word[0]), atomic_load(&slot->word[1])};
    esp_place place;
    switch ((esp_slot_state)esp_owner_state(owner)) {
    case ESP_SLOT_FREE: {
        uint64_t any = 0;
        for (size_t i = 0; i < ESP_SLOT_WORDS; i++)
            any |= atomic_load(&slot->word[i]);
        report->dirty += any != 0;
        report->free_slots++;
        report->unlisted += (atomic_load(&table->bitmap[number / 64]) & bit) == 0;
        return;
    }
    case ESP_SLOT_HELD: report->held += !find_entry(table, key, number, &place); return;
    case ESP_SLOT_LIVE: break;
    }
    report->lost += !find_entry(table, key, number, &place);
}

void esp_sessions_check(const esp_sessions *sessions, esp_sessions_report *report) {
    memset(report, 0, sizeof *report);
    for (uint32_t bucket = 0; bucket < sessions->n_buckets; bucket++)
        for (uint32_t way = 0; way < ESP_SESSIONS_WAYS; way++)
            check_entry(sessions, bucket, way, report);
    for (uint32_t number = 0; number < sessions->n_slots; number++)
        check_slot(sessions, number, report);
}
