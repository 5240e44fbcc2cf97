/* session_record.h: the last queries of one session, packed into 496 bytes
 * (SESSIONS.md, "Record").  Plain memory: who may read or write it, and when, is
 * the table's business. */
#ifndef ESP_SESSION_RECORD_H
#define ESP_SESSION_RECORD_H

#include "base.h"
#include "siphash.h"

enum {
    ESP_RECORD_QUERIES = 32,  /* most queries a record may hold */
    ESP_RECORD_PAYLOAD = 468, /* bytes for queries */
    ESP_RECORD_ENTRY = 8,     /* bytes of a query besides its text */
};

/* A query in the payload is its time in milliseconds (48 bits), the length of
 * its text (16 bits), both little-endian, and the text; newest first. */
typedef struct esp_record {
    uint64_t key[2];   /* keyed hash of the session id */
    uint64_t checksum; /* of key, count and what follows it, as far as used */
    uint8_t count;     /* queries */
    uint8_t cut;       /* 1: the newest did not fit whole */
    uint16_t length;   /* bytes of payload used */
    uint8_t payload[ESP_RECORD_PAYLOAD];
} esp_record;

static_assert(sizeof(esp_record) == 496, "SR1");

typedef struct esp_record_query {
    const uint8_t *text; /* into the record */
    uint64_t time;       /* milliseconds */
    uint32_t length;
} esp_record_query;

/* An empty record of the session, zeros in the rest. */
void esp_record_init(esp_record *record, const uint64_t key[2]);

/* Adds a query older than those already there.  The first is cut at a code
 * point if it does not fit; of later ones false means that there is no room, and
 * that nothing changed.  `text` is UTF-8. */
bool esp_record_add(esp_record *record, const uint8_t *text, size_t length, uint64_t time);

/* Bytes of `text` that a record keeps if it is the newest. */
size_t esp_record_cut(const uint8_t *text, size_t length);

/* Writes the checksum, last. */
void esp_record_seal(esp_record *record, const esp_siphash_key *secret);

/* Whether checksum and layout hold: then its queries can be listed. */
bool esp_record_valid(const esp_record *record, const esp_siphash_key *secret);

/* Lists the queries of a valid record, newest first; returns how many. */
uint32_t esp_record_list(const esp_record *record, esp_record_query out[ESP_RECORD_QUERIES]);

#endif
