/* session_table.h: the table of sessions that processes share (SESSIONS.md).
 *
 *      id --siphash--> key --> two buckets of 8 entries
 *                                   |
 *      entry: slot | version | tag -'-> slot: owner | used | record
 *
 * A record is never changed.  A writer fills a slot that is its own and then
 * exchanges the entry, which is one atomic compare-and-swap: before it the
 * session is as it was, after it the session is new, and there is nothing in
 * between.  A writer that dies leaves at most slots that no entry names; the
 * sweep finds them, because a slot says who holds it, and the kernel says
 * whether that process is alive.  There is no lock.
 *
 *      FREE --claim--> HELD by a process --publish--> LIVE
 *        ^                  |      ^                    |
 *        '----- wipe -------'      '------ retire ------'
 *
 * The rules of SESSIONS.md that keep this true are cited as P1 to P6. */
#ifndef ESP_SESSION_TABLE_H
#define ESP_SESSION_TABLE_H

#include <stdatomic.h>

#include "base.h"
#include "session_record.h"

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared between processes");

#define ESP_SESSIONS_MAGIC \
    "\x93"                 \
    "EST\r\n\x1a\n"

enum {
    ESP_SESSIONS_MAJOR = 1,
    ESP_SESSIONS_ENDIAN = 0x01020304,
    ESP_SESSIONS_WAYS = 8,              /* entries of a bucket: one cache line */
    ESP_SESSIONS_SLOTS_PER_BUCKET = 4,  /* so half of the entries stay empty */
    ESP_SESSIONS_PROCESSES = 1024,      /* that may have the table open at once */
    ESP_SESSIONS_FIXED = 8192,          /* bytes before the bitmap */
    ESP_SESSIONS_PROCESS_OFFSET = 4096, /* of the process table, u32 each */
    ESP_SESSIONS_RESERVE = 8,           /* slots beyond the capacity, at least, */
    ESP_SESSIONS_RESERVE_SHARE = 1024,  /* and one more for so many */
    ESP_SESSIONS_MAX_CAPACITY = 100000000,
};

typedef struct esp_sessions_header {
    /* Written once; under header_crc. */
    uint8_t magic[8];
    uint32_t endian;
    uint32_t major;
    uint32_t n_slots;
    uint32_t n_buckets;
    uint64_t file_bytes;
    uint64_t capacity;
    esp_siphash_key secret;
    uint32_t header_crc; /* of the bytes before it */
    uint32_t reserved[15];
    /* Shared counters, each right to within what dead writers left undone. */
    _Alignas(64) _Atomic int64_t n_free;
    _Atomic uint64_t latest;     /* the latest time anybody gave */
    _Atomic uint64_t sweep_next; /* slot the next sweep begins with, modulo */
    /* Where the clock of this boot of the machine starts (SESSIONS.md, "Time"). */
    _Alignas(64) _Atomic uint64_t boot;
    _Atomic int64_t clock_base;
} esp_sessions_header;

typedef struct esp_sessions_bucket {
    _Alignas(64) _Atomic uint64_t entry[ESP_SESSIONS_WAYS];
} esp_sessions_bucket;

enum { ESP_SLOT_WORDS = sizeof(esp_record) / 8 };

typedef struct esp_sessions_slot {
    _Alignas(64) _Atomic uint64_t owner;
    _Atomic uint64_t used; /* milliseconds; not under the checksum */
    _Atomic uint64_t word[ESP_SLOT_WORDS];
} esp_sessions_slot;

static_assert(sizeof(esp_sessions_bucket) == 64, "SD1");
static_assert(sizeof(esp_sessions_slot) == 512, "SR1");
static_assert(sizeof(esp_sessions_header) == 256, "SH1");

struct esp_sessions {
    /* What was checked at open; the file is not asked again. */
    uint8_t *base;
    uint64_t bytes;
    int fd;
    uint32_t backing; /* an esp_sessions_backing */
    int32_t os_error; /* why memory stands in for the file */
    uint32_t n_slots;
    uint32_t n_buckets;
    uint32_t n_words; /* of the bitmap */
    uint64_t capacity;
    esp_siphash_key secret;
    esp_sessions_header *head;
    _Atomic uint32_t *process; /* incarnations */
    _Atomic uint64_t *bitmap;  /* bit: the slot is free */
    esp_sessions_bucket *bucket;
    esp_sessions_slot *slot;
    /* Of this opening. */
    uint32_t max_queries;
    uint64_t ttl;
    uint32_t me;          /* place in the process table */
    uint32_t incarnation; /* of it */
    _Atomic uint32_t hint;
    _Atomic uint64_t found, missed, expired, evicted, reclaimed, damaged;
};

/* ---- words -------------------------------------------------------------- */

/* Entry: slot + 1 (28 bits), version (20), tag (16).  Empty is slot 0; the
 * version stays, so that a value does not come back (P2). */
enum { ESP_ENTRY_SLOT_BITS = 28, ESP_ENTRY_VERSION_BITS = 20 };

static inline bool esp_entry_empty(uint64_t entry) {
    return (entry & ((1u << ESP_ENTRY_SLOT_BITS) - 1)) == 0;
}
static inline uint32_t esp_entry_slot(uint64_t entry) {
    return (uint32_t)(entry & ((1u << ESP_ENTRY_SLOT_BITS) - 1)) - 1;
}
static inline uint32_t esp_entry_tag(uint64_t entry) {
    return (uint32_t)(entry >> 48);
}
/* What may follow `entry`: the next version, naming slot - 1. */
static inline uint64_t esp_entry_next(uint64_t entry, uint32_t slot_plus_1, uint32_t tag) {
    const uint64_t mask = ((uint64_t)1 << ESP_ENTRY_VERSION_BITS) - 1;
    const uint64_t version = ((entry >> ESP_ENTRY_SLOT_BITS) + 1) & mask;
    return ((uint64_t)tag << 48) | (version << ESP_ENTRY_SLOT_BITS) | slot_plus_1;
}

/* Owner: state (2 bits), process (10), incarnation (20), generation (32).  The
 * generation grows with every claim, so a word seen once and found again means
 * that nobody had the slot in between (P3). */
typedef enum esp_slot_state {
    ESP_SLOT_FREE = 0,
    ESP_SLOT_HELD = 1,
    ESP_SLOT_LIVE = 2,
} esp_slot_state;

enum { ESP_INCARNATION_MASK = (1 << 20) - 1 };

static inline uint32_t esp_owner_state(uint64_t owner) {
    return (uint32_t)(owner & 3);
}
static inline uint32_t esp_owner_process(uint64_t owner) {
    return (uint32_t)(owner >> 2) & (ESP_SESSIONS_PROCESSES - 1);
}
static inline uint64_t esp_owner_incarnation(uint64_t owner) {
    return (owner >> 12) & ESP_INCARNATION_MASK;
}
static inline uint64_t esp_owner_held(const esp_sessions *table, uint64_t before) {
    const uint64_t generation = (before >> 32) + 1;
    return (generation << 32) | ((uint64_t)table->incarnation << 12) | ((uint64_t)table->me << 2) |
           ESP_SLOT_HELD;
}
static inline uint64_t esp_owner_as(uint64_t owner, esp_slot_state state) {
    return (owner & ~(uint64_t)3) | state;
}

/* ---- what the operations are made of -------------------------------------- */

#define ESP_NO_SLOT UINT32_MAX

/* Where an entry stands, and what it said. */
typedef struct esp_place {
    uint32_t bucket;
    uint32_t way;
    uint64_t entry;
} esp_place;

/* The two buckets of a key, never the same one, and its tag. */
typedef struct esp_homes {
    uint32_t bucket[2];
    uint32_t tag;
} esp_homes;

esp_homes esp_homes_of(const esp_sessions *table, const uint64_t key[2]);

/* What an entry leads to. */
typedef struct esp_seen {
    esp_place place;
    uint64_t owner;
    uint64_t used;
    esp_record record;
} esp_seen;

typedef enum esp_sight {
    ESP_SIGHT_RECORD,  /* a whole record */
    ESP_SIGHT_DAMAGED, /* its checksum fails, or the entry names no slot */
    ESP_SIGHT_CHANGED, /* the entry was exchanged meanwhile: look again */
} esp_sight;

/* Copies what the entry at `seen->place` leads to.  Never blocks; a copy that
 * was torn by a writer is CHANGED, not RECORD (P4). */
esp_sight esp_table_look(const esp_sessions *table, esp_seen *seen);

/* A slot of this process, its words zero; ESP_NO_SLOT if none is free. */
uint32_t esp_table_claim(esp_sessions *table);

/* Fills a slot of this process. */
void esp_table_fill(esp_sessions *table, uint32_t slot, const esp_record *record, uint64_t used);

/* Exchanges the entry at `place` for `slot`; false if it is no longer as it was
 * seen.  The slot it named is the caller's to retire. */
bool esp_table_publish(esp_sessions *table, const esp_place *place, uint32_t slot, uint32_t tag);

/* Empties the entry at `place`; false as above. */
bool esp_table_unlink(esp_sessions *table, const esp_place *place);

/* Takes back a slot that no entry names any more, given its owner word from
 * when one did, and zeroes it.  False: somebody else has it (P5). */
bool esp_table_retire(esp_sessions *table, uint32_t slot, uint64_t owner);

/* Frees a zeroed slot of this process. */
void esp_table_free(esp_sessions *table, uint32_t slot);

/* The owner word of a slot, now. */
uint64_t esp_table_owner(const esp_sessions *table, uint32_t slot);

/* The time, which stands still when the clock steps back by up to the
 * time-to-live, and goes along with longer steps. */
uint64_t esp_table_now(esp_sessions *table, uint64_t now);

/* Whether a session last used then is over.  A time in the future is now. */
static inline bool esp_table_over(const esp_sessions *table, uint64_t used, uint64_t now) {
    return used < now && now - used > table->ttl;
}

/* Free slots by the bitmap; O(n_slots / 64). */
uint64_t esp_table_count_free(const esp_sessions *table);

static inline _Atomic uint64_t *esp_entry_at(
    const esp_sessions *table, uint32_t bucket, uint32_t way) {
    return &table->bucket[bucket].entry[way];
}

#endif
