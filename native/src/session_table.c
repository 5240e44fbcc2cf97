/* session_table.c: see session_table.h. */
#include "session_table.h"

/* Stores to what others may read release, their loads acquire: whoever sees a
 * word of a slot's next record sees the exchange of the entry that came before
 * it.  On x86 these are plain moves. */
#define LOAD(p) atomic_load_explicit((p), memory_order_acquire)
#define STORE(p, value) atomic_store_explicit((p), (value), memory_order_release)
#define RELAXED(p) atomic_load_explicit((p), memory_order_relaxed)

/* The upper half of a product spreads a 32-bit number evenly over [0, n). */
static uint32_t spread(uint32_t x, uint32_t n) {
    return (uint32_t)(((uint64_t)x * n) >> 32);
}

esp_homes esp_homes_of(const esp_sessions *table, const uint64_t key[2]) {
    const uint32_t first = spread((uint32_t)key[0], table->n_buckets);
    const uint32_t step = spread((uint32_t)(key[0] >> 32), table->n_buckets - 1) + 1;
    const uint32_t second =
        step < table->n_buckets - first ? first + step : step - (table->n_buckets - first);
    return (esp_homes){{first, second}, (uint32_t)(key[1] >> 48)};
}

esp_sight esp_table_look(const esp_sessions *table, esp_seen *seen) {
    _Atomic uint64_t *entry = esp_entry_at(table, seen->place.bucket, seen->place.way);
    const uint32_t number = esp_entry_slot(seen->place.entry);
    if (number >= table->n_slots)
        return LOAD(entry) == seen->place.entry ? ESP_SIGHT_DAMAGED : ESP_SIGHT_CHANGED;
    esp_sessions_slot *slot = &table->slot[number];
    uint64_t copy[ESP_SLOT_WORDS];
    seen->owner = LOAD(&slot->owner);
    seen->used = LOAD(&slot->used);
    for (size_t i = 0; i < ESP_SLOT_WORDS; i++)
        copy[i] = LOAD(&slot->word[i]);
    if (RELAXED(entry) != seen->place.entry)
        return ESP_SIGHT_CHANGED;
    memcpy(&seen->record, copy, sizeof seen->record);
    return esp_record_valid(&seen->record, &table->secret) ? ESP_SIGHT_RECORD : ESP_SIGHT_DAMAGED;
}

uint32_t esp_table_claim(esp_sessions *table) {
    uint32_t at = RELAXED(&table->hint);
    for (uint32_t i = 0; i < table->n_words; i++, at++) {
        if (at >= table->n_words)
            at = 0;
        _Atomic uint64_t *word = &table->bitmap[at];
        for (uint64_t bits = RELAXED(word); bits != 0; bits = RELAXED(word)) {
            const uint64_t bit = bits & (~bits + 1);
            const uint32_t number = at * 64 + (uint32_t)__builtin_ctzll(bits);
            /* Whoever clears the bit may claim, nobody else tries. */
            if ((atomic_fetch_and(word, ~bit) & bit) == 0)
                continue;
            if (number >= table->n_slots)
                continue;
            atomic_fetch_sub(&table->head->n_free, 1);
            uint64_t owner = LOAD(&table->slot[number].owner);
            if (esp_owner_state(owner) != ESP_SLOT_FREE ||
                !atomic_compare_exchange_strong(
                    &table->slot[number].owner, &owner, esp_owner_held(table, owner)))
                continue;
            atomic_store_explicit(&table->hint, at, memory_order_relaxed);
            return number;
        }
    }
    return ESP_NO_SLOT;
}

void esp_table_fill(esp_sessions *table, uint32_t number, const esp_record *record, uint64_t used) {
    uint64_t copy[ESP_SLOT_WORDS];
    memcpy(copy, record, sizeof copy);
    esp_sessions_slot *slot = &table->slot[number];
    STORE(&slot->used, used);
    for (size_t i = 0; i < ESP_SLOT_WORDS; i++)
        STORE(&slot->word[i], copy[i]);
}

bool esp_table_publish(esp_sessions *table, const esp_place *place, uint32_t slot, uint32_t tag) {
    uint64_t owner = LOAD(&table->slot[slot].owner);
    uint64_t before = place->entry;
    if (!atomic_compare_exchange_strong(esp_entry_at(table, place->bucket, place->way), &before,
            esp_entry_next(before, slot + 1, tag)))
        return false;
    /* Somebody may have replaced and claimed the slot already: then it is theirs. */
    atomic_compare_exchange_strong(
        &table->slot[slot].owner, &owner, esp_owner_as(owner, ESP_SLOT_LIVE));
    return true;
}

bool esp_table_unlink(esp_sessions *table, const esp_place *place) {
    uint64_t before = place->entry;
    return atomic_compare_exchange_strong(
        esp_entry_at(table, place->bucket, place->way), &before, esp_entry_next(before, 0, 0));
}

bool esp_table_retire(esp_sessions *table, uint32_t number, uint64_t owner) {
    if (number >= table->n_slots)
        return false;
    esp_sessions_slot *slot = &table->slot[number];
    const uint64_t generation = owner >> 32;
    /* Its writer may mark it LIVE in this moment, which changes the word once. */
    while (owner >> 32 == generation && esp_owner_state(owner) != ESP_SLOT_FREE) {
        if (!atomic_compare_exchange_strong(&slot->owner, &owner, esp_owner_held(table, owner)))
            continue;
        STORE(&slot->used, 0);
        for (size_t i = 0; i < ESP_SLOT_WORDS; i++)
            STORE(&slot->word[i], 0);
        return true;
    }
    return false;
}

void esp_table_free(esp_sessions *table, uint32_t number) {
    _Atomic uint64_t *owner = &table->slot[number].owner;
    STORE(owner, esp_owner_as(RELAXED(owner), ESP_SLOT_FREE));
    const uint64_t bit = (uint64_t)1 << (number % 64);
    if ((atomic_fetch_or(&table->bitmap[number / 64], bit) & bit) == 0)
        atomic_fetch_add(&table->head->n_free, 1);
    atomic_store_explicit(&table->hint, number / 64, memory_order_relaxed);
}

uint64_t esp_table_owner(const esp_sessions *table, uint32_t slot) {
    return slot < table->n_slots ? LOAD(&table->slot[slot].owner) : 0;
}

uint64_t esp_table_now(esp_sessions *table, uint64_t now) {
    uint64_t latest = RELAXED(&table->head->latest);
    while (now > latest || latest - now > table->ttl)
        if (atomic_compare_exchange_weak(&table->head->latest, &latest, now))
            return now;
    return latest;
}

uint64_t esp_table_count_free(const esp_sessions *table) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < table->n_words; i++)
        n += (uint64_t)__builtin_popcountll(RELAXED(&table->bitmap[i]));
    return n;
}
