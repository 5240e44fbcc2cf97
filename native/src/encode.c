/* encode.c: an answer as bytes of a Protocol Buffers message.
 *
 * A service sends what it found as it is; fetched into another language text by text it
 * would cost more there than finding it did.  The fields are those of the message
 * `Suggestion` (proto/espalier/v1/core.proto), in ascending order, and what is zero is left
 * out, as every encoder of the format does. */
#include "index.h"
#include "utf8.h"

enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    FIELD_TEXT = 1,
    FIELD_DISPLAY_TEXT = 2,
    FIELD_SCORE = 3,
    FIELD_SOURCE = 4,
    FIELD_MATCHED_CODE_POINTS = 5,
    FIELD_MATCHED_UTF16_UNITS = 6,
    FIXED = 8, /* bytes of a double */
    SOURCES = 4
};

static uint32_t varint_bytes(uint64_t value) {
    uint32_t n = 1;
    for (; value >= 0x80; value >>= 7)
        n++;
    return n;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

/* One byte: no field here has a number above 15. */
static uint8_t *put_tag(uint8_t *at, uint32_t field, uint32_t kind) {
    *at++ = (uint8_t)(field << 3 | kind);
    return at;
}

static uint8_t *put_number(uint8_t *at, uint32_t field, uint64_t value) {
    return value == 0 ? at : put_varint(put_tag(at, field, WIRE_VARINT), value);
}

static uint64_t number_bytes(uint64_t value) {
    return value == 0 ? 0 : 1 + varint_bytes(value);
}

static uint8_t *put_text(uint8_t *at, uint32_t field, const esp_text *text) {
    if (text->length == 0)
        return at;
    at = put_varint(put_tag(at, field, WIRE_BYTES), text->length);
    memcpy(at, text->data, (size_t)text->length);
    return at + text->length;
}

static uint64_t text_bytes(const esp_text *text) {
    return text->length == 0 ? 0 : 1 + varint_bytes(text->length) + text->length;
}

/* Little endian on every machine. */
static uint8_t *put_double(uint8_t *at, uint32_t field, double value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    if (bits == 0)
        return at;
    at = put_tag(at, field, WIRE_FIXED64);
    for (uint32_t i = 0; i < FIXED; i++)
        *at++ = (uint8_t)(bits >> (8 * i));
    return at;
}

/* What a client highlights of one suggestion. */
typedef struct matched {
    uint32_t code_points;
    uint32_t utf16_units;
} matched;

static matched count(const uint8_t *text, size_t length) {
    matched n = {0, 0};
    for (size_t i = 0; i < length; i++) {
        n.code_points += (text[i] & 0xC0) != 0x80 ? 1 : 0;
        n.utf16_units += text[i] >= 0xF0 ? 2 : (text[i] & 0xC0) != 0x80 ? 1 : 0;
    }
    return n;
}

/* The enum on the wire counts the sources that an esp_source has a bit for. */
static uint32_t number_of(uint32_t source) {
    uint32_t n = 0;
    for (; source != 0; source >>= 1)
        n++;
    return n;
}

/* The prefix of a corrected text ends where the trie says, which in a damaged one may be
 * inside a character. */
static esp_status match(
    const esp_suggestion *one, const matched *typed, matched *out, esp_error *err) {
    *out = *typed;
    if (one->source != ESP_SOURCE_CORRECTED)
        return ESP_OK;
    if (one->matched > one->text.length ||
        (one->matched < one->text.length && (one->text.data[one->matched] & 0xC0) == 0x80))
        return esp_index_damaged(ESP_SEC_TRIE, "T4", one->label, err);
    *out = count(one->text.data, one->matched);
    return ESP_OK;
}

esp_status esp_suggestions_encode(const esp_suggestion *found, size_t n, const uint8_t *prefix,
    size_t length, uint32_t field, uint8_t *out, size_t cap, size_t *bytes, uint32_t *by_source,
    esp_error *err) {
    if (field == 0 || field > 15)
        ESP_FAIL(err, ESP_E_ARGUMENT, "field", field, "a field number of one byte, not %u", field);
    const matched typed = count(prefix, length);
    uint64_t used = 0;
    memset(by_source, 0, SOURCES * sizeof *by_source);
    for (size_t i = 0; i < n; i++) {
        const esp_suggestion *one = &found[i];
        matched m;
        ESP_TRY(match(one, &typed, &m, err));
        const double score = (double)one->score;
        uint64_t bits = 0;
        memcpy(&bits, &score, sizeof bits);
        const uint32_t source = number_of(one->source);
        if (source > 0 && source <= SOURCES)
            by_source[source - 1]++;
        const uint64_t body = text_bytes(&one->text) + text_bytes(&one->display) +
                              (bits == 0 ? 0 : 1 + FIXED) + number_bytes(source) +
                              number_bytes(m.code_points) + number_bytes(m.utf16_units);
        const uint64_t whole = 1 + varint_bytes(body) + body;
        if (whole <= cap && used <= cap - whole) {
            uint8_t *at = put_varint(put_tag(out + used, field, WIRE_BYTES), body);
            at = put_text(at, FIELD_TEXT, &one->text);
            at = put_text(at, FIELD_DISPLAY_TEXT, &one->display);
            at = put_double(at, FIELD_SCORE, score);
            at = put_number(at, FIELD_SOURCE, source);
            at = put_number(at, FIELD_MATCHED_CODE_POINTS, m.code_points);
            put_number(at, FIELD_MATCHED_UTF16_UNITS, m.utf16_units);
        }
        used += whole;
    }
    *bytes = (size_t)used;
    return ESP_OK;
}
