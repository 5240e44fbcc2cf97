/* overlay.c: see overlay.h and espalier.h. */
#include "overlay.h"

#include <math.h>

#include "hash.h"
#include "utf8.h"

enum {
    MOST_RULES = 1 << 22,
    LONGEST_TEXT = 4096,
    FURTHEST_POSITION = 1 << 20,
    LARGEST_BOOST = 1000000,
    COUNTED_WORDS = 32,   /* boosted words that count, of one text */
    UNSPACED_LONGEST = 64 /* code points of a word looked for inside a run */
};
#define MOST_TEXT_BYTES ((uint64_t)1 << 31)

/* What the rules say about one query or one word. */
typedef struct esp_rule_entry {
    const uint8_t *text;
    uint32_t length;
    bool blocked;
    float boost;
} esp_rule_entry;

typedef struct esp_rule_slot {
    uint32_t tag;   /* upper half of the hash */
    uint32_t entry; /* from 1; 0: free */
} esp_rule_slot;

typedef struct esp_rule_table {
    esp_rule_entry *entries;
    esp_rule_slot *slots;
    uint8_t *filter; /* a byte per slot: bit of a hash set: there may be an entry */
    uint32_t mask;
    uint32_t n;
    uint32_t n_blocks; /* entries that block */
    uint32_t n_boosts; /* entries that boost */
} esp_rule_table;

typedef struct esp_pinned {
    esp_text text;
    esp_text display;
    uint32_t position;
    uint32_t min_prefix;
    uint32_t order; /* number of its rule */
} esp_pinned;

struct esp_overlay {
    esp_rule_table queries;
    esp_rule_table words;
    uint64_t unspaced; /* bit n - 1: a word of n characters of scripts without spaces */
    esp_pinned *pins;
    uint32_t n_pins;
};

/* ---- tables ------------------------------------------------------------- */

/* The slot of a text: its own, or the free one where it would go. */
static esp_rule_slot *find_slot(
    const esp_rule_table *t, const uint8_t *text, size_t length, uint64_t hash) {
    const uint32_t tag = (uint32_t)(hash >> 32);
    for (uint32_t i = (uint32_t)hash & t->mask;; i = (i + 1) & t->mask) {
        esp_rule_slot *s = &t->slots[i];
        if (s->entry == 0)
            return s;
        const esp_rule_entry *e = &t->entries[s->entry - 1];
        if (s->tag == tag && e->length == length && memcmp(e->text, text, length) == 0)
            return s;
    }
}

/* The byte of the filter for a hash, and its bit. */
static uint8_t *filter_byte(const esp_rule_table *t, uint64_t hash, uint8_t *bit) {
    *bit = (uint8_t)(1u << (hash >> 61));
    return &t->filter[(uint32_t)(hash >> 29) & t->mask];
}

/* Nearly every word a query meets has no rule.  The filter, some twenty bits a
 * rule, says so from the nearest cache, and the branch on it is foreseen; half
 * the slots are taken, so that a branch on them would not be. */
static const esp_rule_entry *find(const esp_rule_table *t, const uint8_t *text, size_t length) {
    if (t->n == 0 || length == 0)
        return NULL;
    const uint64_t hash = esp_hash_bytes(text, length);
    uint8_t bit = 0;
    if (ESP_LIKELY((*filter_byte(t, hash, &bit) & bit) == 0))
        return NULL;
    const esp_rule_slot *s = find_slot(t, text, length, hash);
    return s->entry == 0 ? NULL : &t->entries[s->entry - 1];
}

/* The entry of a text, new if there was none.  `text` lives as long as the table. */
static esp_rule_entry *enter(esp_rule_table *t, const uint8_t *text, uint32_t length) {
    const uint64_t hash = esp_hash_bytes(text, length);
    esp_rule_slot *s = find_slot(t, text, length, hash);
    if (s->entry == 0) {
        t->entries[t->n] = (esp_rule_entry){.text = text, .length = length};
        *s = (esp_rule_slot){.tag = (uint32_t)(hash >> 32), .entry = ++t->n};
        uint8_t bit = 0;
        uint8_t *byte = filter_byte(t, hash, &bit);
        *byte |= bit;
    }
    return &t->entries[s->entry - 1];
}

/* ---- the words of a text ------------------------------------------------ */

/* Either stops at the first blocked word, or adds up boosts. */
typedef struct esp_word_search {
    const esp_rule_table *words;
    uint64_t unspaced;
    bool blocks;
    uint32_t n_counted;
    const esp_rule_entry *counted[COUNTED_WORDS];
} esp_word_search;

/* True ends the search. */
static bool visit(esp_word_search *s, const uint8_t *word, size_t length) {
    const esp_rule_entry *e = find(s->words, word, length);
    if (ESP_LIKELY(e == NULL))
        return false;
    if (s->blocks)
        return e->blocked;
    if (e->boost == 0)
        return false;
    for (uint32_t i = 0; i < s->n_counted; i++)
        if (s->counted[i] == e)
            return false;
    s->counted[s->n_counted++] = e;
    return s->n_counted == COUNTED_WORDS;
}

/* Text may come from a file nobody checked: what is not UTF-8 separates words. */
static esp_char_class class_at(const uint8_t *text, size_t length, uint32_t *step) {
    uint32_t point = 0;
    *step = esp_utf8_step(text, length, &point);
    if (*step == 0) {
        *step = 1;
        return ESP_CHAR_SEPARATOR;
    }
    return esp_char_classify(point);
}

/* Every part of a run without spaces whose length is that of some rule's word. */
static bool visit_unspaced(esp_word_search *s, const uint8_t *run, size_t length) {
    if (s->unspaced == 0)
        return false;
    for (size_t start = 0; start < length; start += esp_utf8_length(run[start])) {
        size_t end = start;
        for (uint64_t lengths = s->unspaced; lengths != 0 && end < length; lengths >>= 1) {
            end += esp_utf8_length(run[end]);
            if ((lengths & 1) != 0 && visit(s, run + start, end - start))
                return true;
        }
    }
    return false;
}

/* What stands between two spaces and is not letters and digits of ASCII alone:
 * its runs of letters, marks and digits, their parts by script, and all from the
 * first run to the last. */
static bool visit_mixed(esp_word_search *s, const uint8_t *token, size_t length) {
    size_t first = length; /* where the first run begins */
    size_t last = 0;       /* where the last one ended */
    size_t run = 0;
    size_t part = 0;
    esp_char_class before = ESP_CHAR_SEPARATOR;
    uint32_t step = 0;
    for (size_t i = 0; i <= length; i += step) {
        step = 1;
        const esp_char_class class =
            i < length ? class_at(token + i, length - i, &step) : ESP_CHAR_SEPARATOR;
        if (class == before)
            continue;
        if (before == ESP_CHAR_SEPARATOR) {
            first = i < first ? i : first;
            run = i;
        } else {
            const bool run_ends = class == ESP_CHAR_SEPARATOR;
            last = run_ends ? i : last;
            if (run_ends && i - run != length && visit(s, token + run, i - run))
                return true;
            if ((!run_ends || part != run) && visit(s, token + part, i - part))
                return true;
            if (before == ESP_CHAR_UNSPACED && visit_unspaced(s, token + part, i - part))
                return true;
        }
        part = i;
        before = class;
    }
    return first < last && last - first != length && visit(s, token + first, last - first);
}

static bool is_plain(uint8_t byte) {
    return (uint8_t)((byte | 0x20u) - 'a') < 26 || (uint8_t)(byte - '0') < 10;
}

static bool visit_words(esp_word_search *s, const uint8_t *text, size_t length) {
    size_t i = 0;
    while (i < length) {
        const size_t start = i;
        bool plain = true;
        for (; i < length && text[i] != ' '; i++)
            plain &= is_plain(text[i]);
        if (i > start && (visit(s, text + start, i - start) ||
                             (!plain && visit_mixed(s, text + start, i - start))))
            return true;
        i++;
    }
    return false;
}

/* ---- asking ------------------------------------------------------------- */

bool esp_overlay_blocks_word(const esp_overlay *overlay, const uint8_t *word, size_t length) {
    if (overlay == NULL || overlay->words.n_blocks == 0)
        return false;
    esp_word_search s = {.words = &overlay->words, .unspaced = overlay->unspaced, .blocks = true};
    return visit_words(&s, word, length);
}

bool esp_overlay_blocks(const esp_overlay *overlay, const uint8_t *text, size_t length) {
    if (overlay == NULL)
        return false;
    const esp_rule_entry *whole = find(&overlay->queries, text, length);
    return (whole != NULL && whole->blocked) || esp_overlay_blocks_word(overlay, text, length);
}

float esp_overlay_boost(const esp_overlay *overlay, const uint8_t *text, size_t length) {
    if (overlay == NULL)
        return 0;
    const esp_rule_entry *whole = find(&overlay->queries, text, length);
    float sum = whole == NULL ? 0 : whole->boost;
    if (overlay->words.n_boosts == 0)
        return sum;
    esp_word_search s = {.words = &overlay->words, .unspaced = overlay->unspaced};
    visit_words(&s, text, length);
    for (uint32_t i = 0; i < s.n_counted; i++)
        sum += s.counted[i]->boost;
    return sum;
}

/* Byte order, a text before those it begins: memcmp alone would read past the end. */
static int compare_texts(const esp_text *a, const esp_text *b) {
    const size_t shorter = (size_t)(a->length < b->length ? a->length : b->length);
    const int order = memcmp(a->data, b->data, shorter);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static uint32_t count_points(const uint8_t *text, size_t length) {
    uint32_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += (text[i] & 0xC0u) != 0x80u;
    return n;
}

static bool starts_with(const esp_text *text, const uint8_t *prefix, size_t length) {
    return text->length >= length && (length == 0 || memcmp(text->data, prefix, length) == 0);
}

static bool stands_before(const esp_pinned *a, const esp_pinned *b) {
    return a->position < b->position || (a->position == b->position && a->order < b->order);
}

uint32_t esp_overlay_pins(
    const esp_overlay *overlay, const uint8_t *prefix, size_t length, esp_pin *out, uint32_t cap) {
    if (overlay == NULL || overlay->n_pins == 0 || cap == 0)
        return 0;
    const uint32_t points = count_points(prefix, length);
    uint32_t lo = 0;
    uint32_t hi = overlay->n_pins;
    const esp_text wanted = {.data = prefix, .length = length};
    while (length > 0 && lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (compare_texts(&overlay->pins[middle].text, &wanted) < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    /* `reserved` holds the number of the pin until the list is complete. */
    uint32_t n = 0;
    for (uint32_t i = lo; i < overlay->n_pins; i++) {
        const esp_pinned *p = &overlay->pins[i];
        if (!starts_with(&p->text, prefix, length))
            break;
        if (p->min_prefix > points)
            continue;
        if (n == cap && !stands_before(p, &overlay->pins[out[n - 1].reserved]))
            continue;
        uint32_t at = n < cap ? n++ : n - 1;
        for (; at > 0 && stands_before(p, &overlay->pins[out[at - 1].reserved]); at--)
            out[at] = out[at - 1];
        out[at] = (esp_pin){
            .text = p->text, .display = p->display, .position = p->position, .reserved = i};
    }
    for (uint32_t i = 0; i < n; i++)
        out[i].reserved = 0;
    return n;
}

static bool is_pinned(const esp_pin *pins, uint32_t n_pins, const esp_text *text) {
    for (uint32_t i = 0; i < n_pins; i++)
        if (pins[i].text.length == text->length && compare_texts(&pins[i].text, text) == 0)
            return true;
    return false;
}

uint32_t esp_overlay_place(const esp_pin *pins, const esp_suggestion *pinned, uint32_t n_pins,
    esp_suggestion *out, uint32_t n, uint32_t k) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!is_pinned(pins, n_pins, &out[i].text))
            out[kept++] = out[i];
    uint32_t next = 0; /* the place behind the pin before */
    for (uint32_t i = 0; i < n_pins; i++) {
        const uint32_t at = esp_min_u32(esp_max_u32(pins[i].position - 1, next), kept);
        if (at >= k)
            break;
        kept = esp_min_u32(kept + 1, k);
        memmove(&out[at + 1], &out[at], (kept - 1 - at) * sizeof *out);
        out[at] = pinned[i];
        out[at].pinned = 1;
        next = at + 1;
    }
    return kept;
}

/* ---- making ------------------------------------------------------------- */

/* How many of what the rules need. */
typedef struct esp_rule_extent {
    uint32_t queries;
    uint32_t words;
    uint32_t pins;
    uint64_t bytes; /* of text */
} esp_rule_extent;

static esp_status check_rule_text(
    const esp_text *text, size_t least, const char *what, size_t i, esp_error *err) {
    if (text->length < least || text->length > LONGEST_TEXT)
        ESP_FAIL(err, ESP_E_ARGUMENT, what, i, "rule %zu: its %s has %llu bytes, not %zu to %d", i,
            what, (unsigned long long)text->length, least, LONGEST_TEXT);
    if (text->length > 0 && text->data == NULL)
        ESP_FAIL(
            err, ESP_E_ARGUMENT, what, i, "rule %zu: its %s has a length but no bytes", i, what);
    if (text->length > 0 && esp_utf8_check(text->data, (size_t)text->length) != text->length)
        ESP_FAIL(err, ESP_E_UTF8, what, i, "rule %zu: its %s is not UTF-8", i, what);
    return ESP_OK;
}

static esp_status check_rule(
    const esp_rule *rule, size_t i, esp_rule_extent *size, esp_error *err) {
    ESP_TRY(check_rule_text(&rule->text, 1, "text", i, err));
    size->bytes += rule->text.length;
    switch (rule->kind) {
    case ESP_RULE_BLOCK_QUERY: size->queries++; return ESP_OK;
    case ESP_RULE_BOOST_QUERY: size->queries++; break;
    case ESP_RULE_BLOCK_WORD:
    case ESP_RULE_BOOST_WORD:
        size->words++;
        if (memchr(rule->text.data, ' ', (size_t)rule->text.length) != NULL)
            ESP_FAIL(err, ESP_E_ARGUMENT, "word", i, "rule %zu: a word has no space in it", i);
        break;
    case ESP_RULE_PIN_QUERY:
        size->pins++;
        if (rule->position < 1 || rule->position > FURTHEST_POSITION)
            ESP_FAIL(err, ESP_E_ARGUMENT, "position", i, "rule %zu: position %u, not 1 to %d", i,
                rule->position, FURTHEST_POSITION);
        ESP_TRY(check_rule_text(&rule->display, 0, "display", i, err));
        size->bytes += rule->display.length;
        return ESP_OK;
    default: ESP_FAIL(err, ESP_E_ARGUMENT, "kind", i, "rule %zu: no kind %u", i, rule->kind);
    }
    const bool boosts = rule->kind == ESP_RULE_BOOST_QUERY || rule->kind == ESP_RULE_BOOST_WORD;
    if (boosts && !(fabsf(rule->boost) <= (float)LARGEST_BOOST))
        ESP_FAIL(err, ESP_E_ARGUMENT, "boost", i, "rule %zu: a boost is within %d of 0", i,
            LARGEST_BOOST);
    return ESP_OK;
}

/* Slots for n entries, at most half of them taken. */
static uint32_t slots_for(uint32_t n) {
    uint32_t slots = 2;
    while (slots < 2 * n)
        slots *= 2;
    return slots;
}

/* Bytes so far, rounded up for what follows. */
static uint64_t add_bytes(uint64_t *bytes, uint64_t more) {
    const uint64_t start = *bytes;
    *bytes += (more + 15) / 16 * 16;
    return start;
}

/* Characters of a text that is all of scripts written without spaces, else 0. */
static uint32_t unspaced_points(const uint8_t *text, size_t length) {
    uint32_t n = 0;
    for (size_t i = 0; i < length; n++) {
        uint32_t step = 0;
        if (class_at(text + i, length - i, &step) != ESP_CHAR_UNSPACED)
            return 0;
        i += step;
    }
    return n;
}

static esp_overlay *allocate(const esp_rule_extent *size, uint8_t **texts) {
    const uint32_t query_slots = slots_for(size->queries);
    const uint32_t word_slots = slots_for(size->words);
    uint64_t bytes = 0;
    add_bytes(&bytes, sizeof(esp_overlay));
    const uint64_t queries = add_bytes(&bytes, size->queries * (uint64_t)sizeof(esp_rule_entry));
    const uint64_t words = add_bytes(&bytes, size->words * (uint64_t)sizeof(esp_rule_entry));
    const uint64_t pins = add_bytes(&bytes, size->pins * (uint64_t)sizeof(esp_pinned));
    const uint64_t slots_q = add_bytes(&bytes, query_slots * (uint64_t)sizeof(esp_rule_slot));
    const uint64_t slots_w = add_bytes(&bytes, word_slots * (uint64_t)sizeof(esp_rule_slot));
    const uint64_t filter_q = add_bytes(&bytes, query_slots);
    const uint64_t filter_w = add_bytes(&bytes, word_slots);
    const uint64_t text = add_bytes(&bytes, size->bytes);
    if (bytes > SIZE_MAX)
        return NULL;
    uint8_t *base = calloc(1, (size_t)bytes);
    if (base == NULL)
        return NULL;
    /* Every part starts at a multiple of 16 of what calloc() aligned. */
    esp_overlay *made = (void *)base;
    made->queries = (esp_rule_table){.entries = (void *)(base + queries),
        .slots = (void *)(base + slots_q),
        .filter = base + filter_q,
        .mask = query_slots - 1};
    made->words = (esp_rule_table){.entries = (void *)(base + words),
        .slots = (void *)(base + slots_w),
        .filter = base + filter_w,
        .mask = word_slots - 1};
    made->pins = (void *)(base + pins);
    *texts = base + text;
    return made;
}

static esp_text copy_text(uint8_t **room, const esp_text *text) {
    const esp_text copy = {.data = *room, .length = text->length};
    if (text->length > 0)
        memcpy(*room, text->data, (size_t)text->length);
    *room += text->length;
    return copy;
}

static void add_rule(esp_overlay *made, const esp_rule *rule, uint32_t order, uint8_t **room) {
    const esp_text text = copy_text(room, &rule->text);
    if (rule->kind == ESP_RULE_PIN_QUERY) {
        const esp_text display = rule->display.length == 0 ? text : copy_text(room, &rule->display);
        made->pins[made->n_pins++] = (esp_pinned){.text = text,
            .display = display,
            .position = rule->position,
            .min_prefix = rule->min_prefix,
            .order = order};
        return;
    }
    const bool word = rule->kind == ESP_RULE_BLOCK_WORD || rule->kind == ESP_RULE_BOOST_WORD;
    esp_rule_entry *e =
        enter(word ? &made->words : &made->queries, text.data, (uint32_t)text.length);
    if (rule->kind == ESP_RULE_BLOCK_QUERY || rule->kind == ESP_RULE_BLOCK_WORD)
        e->blocked = true;
    else
        e->boost = rule->boost;
    const uint32_t points = word ? unspaced_points(text.data, (size_t)text.length) : 0;
    if (points >= 1 && points <= UNSPACED_LONGEST)
        made->unspaced |= (uint64_t)1 << (points - 1);
}

static int compare_pins(const void *left, const void *right) {
    const esp_pinned *a = left;
    const esp_pinned *b = right;
    const int order = compare_texts(&a->text, &b->text);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* Sorts the pins by text and keeps, of one text, the last that is not blocked. */
static void settle_pins(esp_overlay *made) {
    if (made->n_pins == 0)
        return;
    qsort(made->pins, made->n_pins, sizeof *made->pins, compare_pins);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < made->n_pins; i++) {
        const esp_pinned *p = &made->pins[i];
        const bool again =
            i + 1 < made->n_pins && compare_texts(&p->text, &made->pins[i + 1].text) == 0;
        if (!again && !esp_overlay_blocks(made, p->text.data, (size_t)p->text.length))
            made->pins[kept++] = *p;
    }
    made->n_pins = kept;
}

static void count_entries(esp_rule_table *t) {
    for (uint32_t i = 0; i < t->n; i++) {
        t->n_blocks += t->entries[i].blocked;
        t->n_boosts += t->entries[i].boost != 0;
    }
}

esp_status esp_overlay_new(const esp_rule *rules, size_t n, esp_overlay **overlay, esp_error *err) {
    if (n > 0 && rules == NULL)
        ESP_FAIL(err, ESP_E_ARGUMENT, "rules", n, "%zu rules, but no pointer to them", n);
    if (n > MOST_RULES)
        ESP_FAIL(err, ESP_E_LIMIT, "rules", n, "%zu rules, at most %d", n, MOST_RULES);
    esp_rule_extent size = {0};
    for (size_t i = 0; i < n; i++) {
        ESP_TRY(check_rule(&rules[i], i, &size, err));
        if (size.bytes > MOST_TEXT_BYTES)
            ESP_FAIL(err, ESP_E_LIMIT, "text", i, "rule %zu: more than 2 GiB of text", i);
    }
    uint8_t *room = NULL;
    esp_overlay *made = allocate(&size, &room);
    if (made == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "overlay", 0, "no memory for an overlay of %zu rules", n);
    for (size_t i = 0; i < n; i++)
        add_rule(made, &rules[i], (uint32_t)i, &room);
    count_entries(&made->queries);
    count_entries(&made->words);
    settle_pins(made);
    *overlay = made;
    return ESP_OK;
}

void esp_overlay_free(esp_overlay *overlay) {
    free(overlay);
}
