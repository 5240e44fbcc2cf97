/* fuzzy.c: see fuzzy.h. */
#include "fuzzy.h"

#include "utf8.h"

enum { FEW = 32 };

typedef esp_fuzzy_state state;

typedef struct search {
    const esp_strings *strings;
    esp_popularity by;
    esp_fuzzy *fuzzy;
    uint64_t end;    /* the bit of the whole prefix */
    uint32_t errors; /* of the states followed at the moment */
    uint32_t max_distance;
} search;

/* ---- places of the prefix ------------------------------------------------- */

/* The places of the prefix where `point` stands. */
static inline uint64_t places(const esp_fuzzy *f, uint32_t point) {
    if (ESP_LIKELY(point < 0x80))
        return f->ascii[point];
    uint64_t found = 0;
    for (uint32_t i = 0; i < f->n_points; i++)
        found |= (uint64_t)(f->point[i] == point) << i;
    return found;
}

/* `s` after one more code point, which stands at `here` in the prefix. */
static inline void step(const search *q, state *s, uint64_t here) {
    const uint64_t inside = q->end | (q->end - 1);
    uint64_t before = s->reached[0];
    uint64_t fewer = (before & here) << 1; /* reached now with one error less */
    uint64_t any = fewer;
    s->reached[0] = fewer;
    for (uint32_t e = 1; e <= s->limit; e++) {
        const uint64_t old = s->reached[e];
        const uint64_t same = (old & here) << 1;
        const uint64_t swap = (s->swapped[e - 1] & here) << 2;
        const uint64_t now = (same | swap | before | before << 1 | fewer << 1) & inside & ~any;
        s->swapped[e - 1] = before & (here >> 1);
        s->reached[e] = now;
        before = old;
        fewer = now;
        any |= now;
    }
}

/* The places before anything is read: errors may be left out code points. */
static void start_places(const search *q, state *s) {
    for (uint32_t e = 0; e <= q->max_distance; e++)
        s->reached[e] = ((uint64_t)1 << e) & (q->end | (q->end - 1));
    s->limit = q->max_distance;
}

/* ---- the search ----------------------------------------------------------- */

/* Notes the range if the whole prefix is reached.  What lies inside it is then of
 * interest only with fewer errors: false if that is impossible. */
static inline bool arrive(search *q, state *s) {
    for (uint32_t e = q->errors; e <= s->limit; e++) {
        if ((s->reached[e] & q->end) == 0)
            continue;
        esp_fuzzy *f = q->fuzzy;
        if (f->n_found < ESP_FUZZY_FOUND)
            f->found[f->n_found++] = (esp_fuzzy_found){s->place.lo, s->place.hi, s->place.at, e};
        if (e == q->errors)
            return false;
        for (uint32_t i = e; i <= s->limit; i++)
            s->reached[i] = s->swapped[i - 1] = 0;
        s->limit = e - 1;
    }
    return true;
}

/* Writes down that one more error may be made after `s`. */
static void note(search *q, const state *s) {
    esp_fuzzy *f = q->fuzzy;
    if (q->errors >= s->limit)
        return;
    if (q->errors == 0 && f->n_once < ESP_FUZZY_POINTS + 1)
        f->once[f->n_once++] = *s;
    else if (q->errors == 1 && f->n_open < ESP_FUZZY_OPEN)
        f->open[f->n_open++] = *s;
}

static void push(search *q, const state *s) {
    if (q->fuzzy->n_stack < ESP_FUZZY_STACK)
        q->fuzzy->stack[q->fuzzy->n_stack++] = *s;
}

/* The next code point of a place where all texts go on with the same one. */
static bool only_way(const search *q, const esp_place *place, uint32_t *point, uint32_t *bytes) {
    const uint8_t *text = NULL;
    uint32_t length = 0;
    if (place->at >= place->shared || !esp_strings_text(q->strings, place->lo, &text, &length) ||
        length <= place->at)
        return false;
    *point = esp_point_at(text + place->at, length - place->at, bytes);
    return place->at + *bytes <= place->shared;
}

/* Follows `s` to where its texts part, as long as that costs no error.  False if
 * it ended before. */
static bool walk(search *q, state *s) {
    uint32_t point = 0;
    uint32_t bytes = 0;
    while (only_way(q, &s->place, &point, &bytes)) {
        const uint64_t here = places(q->fuzzy, point);
        if ((here & s->reached[q->errors]) == 0) {
            note(q, s);
            return false;
        }
        s->place.at += bytes;
        step(q, s, here);
        if (!arrive(q, s))
            return false;
    }
    return s->place.at < s->place.shared || s->place.hi - s->place.lo > 1;
}

/* Pushes where a settled state goes on without an error: few texts are looked at
 * one by one, among many one asks for the code points the prefix has next. */
static void branch(search *q, const state *s) {
    state to = *s;
    uint64_t wanted = s->reached[q->errors] & (q->end - 1);
    if (s->place.node == ESP_NO_NODE && s->place.hi - s->place.lo <= FEW) {
        esp_ways ways;
        uint32_t point = 0;
        esp_ways_start(&ways, &s->place);
        while (esp_ways_next(q->strings, &ways, &q->fuzzy->visits, &to.place, &point)) {
            const uint64_t here = places(q->fuzzy, point);
            if ((here & wanted) != 0) {
                const esp_place place = to.place;
                to = *s;
                to.place = place;
                step(q, &to, here);
                if (arrive(q, &to))
                    push(q, &to);
            }
        }
        return;
    }
    while (wanted != 0) {
        const uint32_t point = q->fuzzy->point[__builtin_ctzll(wanted)];
        const uint64_t here = places(q->fuzzy, point);
        uint8_t bytes[4];
        const uint32_t n = esp_utf8_encode(point, bytes);
        wanted &= ~here;
        to = *s;
        if (!esp_place_seek(q->strings, &to.place, bytes, n, &q->fuzzy->visits))
            continue;
        step(q, &to, here);
        if (arrive(q, &to))
            push(q, &to);
    }
}

/* Everything that `s`, which it changes, leads to without another error. */
static void follow(search *q, state *s) {
    esp_fuzzy *f = q->fuzzy;
    f->n_stack = 0;
    for (;;) {
        if (esp_place_settle(q->strings, &s->place) && walk(q, s)) {
            note(q, s);
            branch(q, s);
        }
        if (f->n_stack == 0 || esp_visits_spent(&f->visits))
            return;
        *s = f->stack[--f->n_stack];
    }
}

/* Goes from `from` to `place` by the code point `point`, if that is an error. */
static void slip_to(search *q, const state *from, const esp_place *place, uint32_t point) {
    const uint64_t here = places(q->fuzzy, point);
    if ((here & from->reached[q->errors - 1]) != 0)
        return; /* it is none: followed already */
    state to = *from;
    to.place = *place;
    step(q, &to, here);
    if (arrive(q, &to))
        follow(q, &to);
}

/* Makes error number q->errors on whatever comes after `s`. */
static void slip(search *q, const state *s) {
    esp_place place = s->place;
    uint32_t point = 0;
    uint32_t bytes = 0;
    if (only_way(q, &place, &point, &bytes)) {
        q->fuzzy->visits.n++;
        place.at += bytes;
        slip_to(q, s, &place, point);
        return;
    }
    esp_ways ways;
    esp_ways_start(&ways, &s->place);
    while (esp_ways_next(q->strings, &ways, &q->fuzzy->visits, &place, &point))
        slip_to(q, s, &place, point);
}

static uint32_t found_at(const esp_fuzzy *f, uint32_t distance) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n_found; i++)
        n += f->found[i].distance == distance ? 1 : 0;
    return n;
}

/* Fills fuzzy->found.  The first code point of the prefix has `first` bytes.
 * Ranges further away are right only when all closer ones are known, to be cut
 * out of them: where the search stops short of that, they are given up. */
static void find(search *q, const uint8_t *prefix, uint32_t first, uint32_t cap) {
    esp_fuzzy *f = q->fuzzy;
    state s = {.limit = 0};
    if (!esp_place_start(q->strings, &s.place) ||
        !esp_place_seek(q->strings, &s.place, prefix, first, &f->visits))
        return;
    start_places(q, &s);
    if (!arrive(q, &s))
        return;
    follow(q, &s);
    if (esp_visits_spent(&f->visits)) {
        f->n_found = 0;
        return;
    }
    q->errors = 1;
    for (uint32_t i = f->n_once; i-- > 0 && !esp_visits_spent(&f->visits);)
        slip(q, &f->once[i]);
    if (esp_visits_spent(&f->visits) || f->n_found == ESP_FUZZY_FOUND)
        q->max_distance = 1;
    /* One of the ranges at distance 1 may hold nothing but texts that start with
     * the prefix; where the others are enough, nothing further away counts. */
    if (q->max_distance < 2 || found_at(f, 1) > cap)
        return;
    /* Late errors first: few texts are left there, so many places can be tried. */
    q->errors = 2;
    for (uint32_t i = 0; i < f->n_open && !esp_visits_spent(&f->visits); i++)
        slip(q, &f->open[i]);
}

/* ---- order ---------------------------------------------------------------- */

static bool found_before(const esp_fuzzy_found *a, const esp_fuzzy_found *b) {
    if (a->lo != b->lo)
        return a->lo < b->lo;
    return a->hi != b->hi ? a->hi > b->hi : a->distance > b->distance;
}

/* Heap sort: by lo, and what contains another before it, the same texts at a
 * smaller distance included. */
static void sort_found(esp_fuzzy_found *found, uint32_t n) {
    for (uint32_t built = n / 2, end = n; end > 1;) {
        if (built > 0) {
            built--;
        } else {
            end--;
            const esp_fuzzy_found last = found[end];
            found[end] = found[0];
            found[0] = last;
        }
        const esp_fuzzy_found moved = found[built];
        uint32_t i = built;
        for (uint32_t child = 2 * i + 1; child < end; child = 2 * i + 1) {
            if (child + 1 < end && found_before(&found[child], &found[child + 1]))
                child++;
            if (!found_before(&moved, &found[child]))
                break;
            found[i] = found[child];
            i = child;
        }
        found[i] = moved;
    }
}

typedef struct answer {
    esp_fuzzy_match *out;
    uint32_t n;
    uint32_t cap;
    uint32_t distance; /* of what is added at the moment */
} answer;

/* Keeps [lo, hi) if it is among the best. */
static void answer_add(
    const search *q, answer *a, const esp_fuzzy_found *found, uint32_t lo, uint32_t hi) {
    if (lo >= hi || found->distance != a->distance)
        return;
    esp_fuzzy_match added = {
        .lo = lo, .hi = hi, .length = (uint16_t)found->length, .distance = (uint8_t)a->distance};
    if (q->by.value != NULL) {
        esp_range top;
        esp_ranking ranking = {.heap = &top, .cap = 1};
        esp_ranking_start(&ranking, q->by, lo, hi);
        added.popularity = top.value;
    }
    uint32_t i = a->n;
    while (i > 0 && a->out[i - 1].distance == added.distance &&
           a->out[i - 1].popularity < added.popularity)
        i--;
    if (i == a->cap)
        return;
    a->n += a->n < a->cap ? 1 : 0;
    memmove(&a->out[i + 1], &a->out[i], (a->n - 1 - i) * sizeof *a->out);
    a->out[i] = added;
}

/* Ranges lie beside or inside each other, and one inside has a smaller distance;
 * it is cut out of the one around it. */
static void answer_fill(const search *q, answer *a) {
    const esp_fuzzy *f = q->fuzzy;
    esp_fuzzy_found around[ESP_FUZZY_DISTANCE + 1];
    uint32_t depth = 0;
    uint32_t done = 0; /* texts before this are in a range already */
    for (uint32_t i = 0; i <= f->n_found; i++) {
        esp_fuzzy_found next = {.lo = UINT32_MAX, .hi = UINT32_MAX};
        if (i < f->n_found)
            next = f->found[i];
        while (depth > 0 && around[depth - 1].hi <= next.lo) {
            depth--;
            answer_add(q, a, &around[depth], done, around[depth].hi);
            done = esp_max_u32(done, around[depth].hi);
        }
        if (i == f->n_found || depth > ESP_FUZZY_DISTANCE)
            continue;
        if (depth > 0) {
            next.hi = esp_min_u32(next.hi, around[depth - 1].hi);
            answer_add(q, a, &around[depth - 1], done, next.lo);
        }
        done = next.lo;
        around[depth++] = next;
    }
}

/* Of the beginnings at the match's distance that all its texts share, the one
 * whose length in code points is closest to the prefix's; of two, the longer. */
static void measure(search *q, esp_fuzzy_match *match, uint32_t first) {
    state s = {.place = {.lo = match->lo, .hi = match->hi, .node = ESP_NO_NODE}};
    if (!esp_place_settle(q->strings, &s.place) || s.place.shared < first)
        return;
    s.place.at = first;
    start_places(q, &s);
    const uint32_t wanted = q->fuzzy->n_points;
    uint32_t closest = UINT32_MAX;
    uint32_t point = 0;
    uint32_t bytes = 0;
    for (uint32_t points = 0; points <= wanted + q->max_distance; points++) {
        const uint32_t off = points < wanted ? wanted - points : points - wanted;
        if ((s.reached[match->distance] & q->end) != 0 && off <= closest) {
            closest = off;
            match->length = (uint16_t)s.place.at;
        }
        if (!only_way(q, &s.place, &point, &bytes))
            return;
        s.place.at += bytes;
        step(q, &s, places(q->fuzzy, point));
    }
}

/* ---- the calls ------------------------------------------------------------ */

/* Decodes the prefix; its first code point has *first bytes.  False if it is not
 * UTF-8, empty or too long. */
static bool read_prefix(esp_fuzzy *f, const uint8_t *prefix, size_t length, uint32_t *first) {
    memset(f->ascii, 0, sizeof f->ascii);
    f->n_points = 0;
    *first = 0;
    for (size_t at = 0; at < length;) {
        uint32_t point = 0;
        const uint32_t bytes = esp_utf8_step(prefix + at, length - at, &point);
        if (bytes == 0 || f->n_points == ESP_FUZZY_POINTS - 1)
            return false;
        at += bytes;
        if (*first == 0) {
            *first = bytes;
            continue;
        }
        if (point < 0x80)
            f->ascii[point] |= (uint64_t)1 << f->n_points;
        f->point[f->n_points++] = point;
    }
    return *first > 0;
}

uint32_t esp_fuzzy_distance(const uint8_t *prefix, size_t length) {
    uint32_t points = 0;
    for (size_t at = 0; at < length; points++) {
        uint32_t point = 0;
        const uint32_t bytes = esp_utf8_step(prefix + at, length - at, &point);
        if (bytes == 0 || points == ESP_FUZZY_POINTS)
            return 0;
        at += bytes;
    }
    return points < 4 ? 0 : points < 8 ? 1 : 2;
}

uint32_t esp_fuzzy_search(const esp_strings *strings, esp_popularity by, esp_fuzzy *fuzzy,
    const uint8_t *prefix, size_t length, uint32_t max_distance, uint32_t max_nodes,
    esp_fuzzy_match *out, uint32_t cap, uint32_t *visited) {
    uint32_t first = 0;
    *visited = 0;
    if (max_distance == 0 || cap == 0 || strings->count == 0 ||
        !read_prefix(fuzzy, prefix, length, &first))
        return 0;
    search q = {.strings = strings,
        .by = by,
        .fuzzy = fuzzy,
        .end = (uint64_t)1 << fuzzy->n_points,
        .max_distance = esp_min_u32(max_distance, ESP_FUZZY_DISTANCE)};
    fuzzy->n_found = fuzzy->n_once = fuzzy->n_open = 0;
    fuzzy->visits = (esp_visits){.most = max_nodes};
    find(&q, prefix, first, cap);
    sort_found(fuzzy->found, fuzzy->n_found);
    answer a = {.out = out, .cap = cap};
    for (a.distance = 1; a.distance <= q.max_distance && a.n < cap; a.distance++)
        answer_fill(&q, &a);
    for (uint32_t i = 0; i < a.n; i++)
        measure(&q, &out[i], first);
    *visited = fuzzy->visits.n;
    return a.n;
}

uint32_t esp_fuzzy_find(const esp_index *index, esp_fuzzy *fuzzy, const uint8_t *prefix,
    size_t length, uint32_t max_distance, uint32_t max_nodes, esp_fuzzy_match *out, uint32_t cap,
    uint32_t *visited) {
    *visited = 0;
    if (index->label_offset == NULL || index->n_trie == 0)
        return 0;
    const esp_strings labels = {.offset = index->label_offset,
        .data = index->label_text,
        .count = index->params->n_labels,
        .n_trie = index->n_trie,
        .trie = index->trie};
    return esp_fuzzy_search(&labels, esp_popularity_now(index), fuzzy, prefix, length, max_distance,
        max_nodes, out, cap, visited);
}

uint32_t esp_fuzzy_words(const esp_words *words, esp_fuzzy *fuzzy, const uint8_t *prefix,
    size_t length, uint32_t max_distance, uint32_t max_nodes, esp_fuzzy_match *out, uint32_t cap,
    uint32_t *visited) {
    const esp_strings sorted = {
        .offset = words->offset, .data = {words->text, words->text_bytes}, .count = words->n_words};
    return esp_fuzzy_search(&sorted, (esp_popularity){.value = NULL}, fuzzy, prefix, length,
        max_distance, max_nodes, out, cap, visited);
}

esp_status esp_fuzzy_ranges(const esp_index *index, const uint8_t *prefix, size_t length,
    uint32_t max_distance, uint32_t max_nodes, esp_fuzzy_match *out, uint32_t cap, size_t *count,
    uint32_t *visited, esp_error *err) {
    if (index->label_offset == NULL)
        ESP_FAIL(err, ESP_E_UNSUPPORTED, "labels", 0, "the index has no label texts");
    const size_t bad = esp_utf8_check(prefix, length);
    if (bad < length)
        ESP_FAIL(err, ESP_E_UTF8, "prefix", bad, "the prefix is not UTF-8");
    esp_fuzzy *fuzzy = esp_alloc(1, sizeof *fuzzy);
    if (fuzzy == NULL)
        ESP_FAIL(err, ESP_E_MEMORY, "fuzzy", 0, "no memory to search a mistyped prefix");
    *count = esp_fuzzy_find(index, fuzzy, prefix, length,
        max_distance == 0 ? esp_fuzzy_distance(prefix, length) : max_distance,
        max_nodes == 0 ? (uint32_t)ESP_FUZZY_NODES : max_nodes, out, cap, visited);
    free(fuzzy);
    return ESP_OK;
}
