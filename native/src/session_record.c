/* session_record.c: see session_record.h. */
#include "session_record.h"

enum { TIME_BYTES = 6 };

void esp_record_init(esp_record *record, const uint64_t key[2]) {
    memset(record, 0, sizeof *record);
    record->key[0] = key[0];
    record->key[1] = key[1];
}

size_t esp_record_cut(const uint8_t *text, size_t length) {
    size_t kept = ESP_RECORD_PAYLOAD - ESP_RECORD_ENTRY;
    if (length <= kept)
        return length;
    /* Not in front of a byte that continues a code point. */
    while (kept > 0 && (text[kept] & 0xC0u) == 0x80u)
        kept--;
    return kept;
}

bool esp_record_add(esp_record *record, const uint8_t *text, size_t length, uint64_t time) {
    if (record->count >= ESP_RECORD_QUERIES)
        return false;
    if (record->count == 0) {
        const size_t kept = esp_record_cut(text, length);
        record->cut = kept < length;
        length = kept;
    } else if (length + ESP_RECORD_ENTRY > (size_t)(ESP_RECORD_PAYLOAD - record->length)) {
        return false;
    }
    uint8_t *at = record->payload + record->length;
    for (int i = 0; i < TIME_BYTES; i++)
        at[i] = (uint8_t)(time >> (8 * i));
    at[TIME_BYTES] = (uint8_t)length;
    at[TIME_BYTES + 1] = (uint8_t)(length >> 8);
    memcpy(at + ESP_RECORD_ENTRY, text, length);
    record->length = (uint16_t)(record->length + ESP_RECORD_ENTRY + length);
    record->count++;
    return true;
}

/* Under the secret of the ids, turned by the key, so that no id hashes to a
 * checksum and a payload under another key is no valid record. */
static uint64_t sum(const esp_record *record, const esp_siphash_key *secret) {
    const esp_siphash_key turned = {
        {secret->k[0] ^ record->key[0], secret->k[1] ^ ~record->key[1]}};
    const size_t from = offsetof(esp_record, count);
    return esp_siphash64(&turned, (const uint8_t *)record + from,
        offsetof(esp_record, payload) - from + record->length);
}

void esp_record_seal(esp_record *record, const esp_siphash_key *secret) {
    record->checksum = sum(record, secret);
}

static esp_record_query query_at(const esp_record *record, size_t at) {
    const uint8_t *entry = record->payload + at;
    esp_record_query query = {.text = entry + ESP_RECORD_ENTRY};
    for (int i = 0; i < TIME_BYTES; i++)
        query.time |= (uint64_t)entry[i] << (8 * i);
    query.length = entry[TIME_BYTES] | ((uint32_t)entry[TIME_BYTES + 1] << 8);
    return query;
}

bool esp_record_valid(const esp_record *record, const esp_siphash_key *secret) {
    if (record->length > ESP_RECORD_PAYLOAD || record->count > ESP_RECORD_QUERIES ||
        record->checksum != sum(record, secret))
        return false;
    size_t at = 0;
    for (uint32_t i = 0; i < record->count; i++) {
        if (record->length - at < ESP_RECORD_ENTRY)
            return false;
        const uint32_t length = query_at(record, at).length;
        if (length > record->length - at - ESP_RECORD_ENTRY)
            return false;
        at += ESP_RECORD_ENTRY + length;
    }
    return record->count > 0 && at == record->length;
}

uint32_t esp_record_list(const esp_record *record, esp_record_query out[ESP_RECORD_QUERIES]) {
    size_t at = 0;
    for (uint32_t i = 0; i < record->count; i++) {
        out[i] = query_at(record, at);
        at += ESP_RECORD_ENTRY + out[i].length;
    }
    return record->count;
}
