/* descent.c: see descent.h. */
#include "descent.h"

bool esp_place_start(const esp_strings *strings, esp_place *place) {
    *place = (esp_place){.hi = strings->count, .node = strings->n_trie == 0 ? ESP_NO_NODE : 0};
    return esp_place_settle(strings, place);
}

/* Bytes that the first and the last, and so all, texts of the range share. */
static bool share(const esp_strings *strings, esp_place *place) {
    const uint8_t *x = NULL;
    const uint8_t *y = NULL;
    uint32_t length = 0;
    uint32_t other = 0;
    if (!esp_strings_text(strings, place->lo, &x, &length))
        return false;
    uint32_t same = esp_min_u32(length, ESP_DESCENT_BYTES);
    if (place->hi - place->lo > 1) {
        if (!esp_strings_text(strings, place->hi - 1, &y, &other))
            return false;
        const uint32_t most = esp_min_u32(same, other);
        same = esp_min_u32(place->shared, most);
        while (same < most && x[same] == y[same])
            same++;
    }
    place->shared = same;
    return place->at <= same;
}

bool esp_place_settle(const esp_strings *strings, esp_place *place) {
    if (place->lo >= place->hi || place->hi > strings->count)
        return false;
    if (place->node != ESP_NO_NODE) {
        const esp_trie_node *node = &strings->trie[place->node];
        if (node->n_children != 0) {
            /* That the texts have so many bytes is checked where they are read. */
            if (node->first_child <= place->node || node->n_children > strings->n_trie ||
                node->first_child > strings->n_trie - node->n_children ||
                node->depth < place->shared)
                return false;
            place->shared = node->depth;
            return true;
        }
        place->node = ESP_NO_NODE;
    }
    return share(strings, place);
}

/* Child number `c` of a place with a node, with nothing more read. */
static bool child_of(
    const esp_strings *strings, const esp_place *place, uint32_t c, esp_place *child) {
    const esp_trie_node *node = &strings->trie[place->node];
    const esp_trie_node *at = &strings->trie[node->first_child + c];
    *child = (esp_place){.lo = at->lo,
        .hi = c + 1u < node->n_children ? at[1].lo : place->hi,
        .node = node->first_child + c,
        .shared = place->shared + 1,
        .at = place->at};
    return child->lo >= place->lo && child->lo < child->hi && child->hi <= place->hi;
}

/* Number of the child that begins with `byte`; n_children if none does. */
static uint32_t find_child(const esp_strings *strings, const esp_trie_node *node, uint8_t byte) {
    const esp_trie_node *children = &strings->trie[node->first_child];
    uint32_t begin = 0;
    uint32_t end = node->n_children;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (children[middle].byte < byte)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < node->n_children && children[begin].byte == byte ? begin : node->n_children;
}

/* Below 0, 0, above 0: what text `i` has from `at` on against `n` bytes, 0 if it
 * begins with them.  A text that cannot be read counts as above. */
static int compare_at(
    const esp_strings *strings, uint32_t i, uint32_t at, const uint8_t *bytes, uint32_t n) {
    const uint8_t *text = NULL;
    uint32_t length = 0;
    if (!esp_strings_text(strings, i, &text, &length))
        return 1;
    for (uint32_t b = 0; b < n; b++) { /* 1 to 4: not worth a call of memcmp */
        if (length <= at + b)
            return -1;
        if (text[at + b] != bytes[b])
            return text[at + b] < bytes[b] ? -1 : 1;
    }
    return 0;
}

/* First of [lo, hi) that is above `bytes`, or, not `past`, not below them. */
static uint32_t bisect(const esp_strings *strings, uint32_t lo, uint32_t hi, uint32_t at,
    const uint8_t *bytes, uint32_t n, bool past, esp_visits *visits) {
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        const int order = compare_at(strings, middle, at, bytes, n);
        visits->n++;
        if (order < 0 || (past && order == 0))
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

bool esp_place_seek(const esp_strings *strings, esp_place *place, const uint8_t *bytes, uint32_t n,
    esp_visits *visits) {
    const uint32_t goal = place->at + n;
    for (;;) {
        const uint32_t have = esp_min_u32(place->shared, goal) - place->at;
        if (have > 0 && compare_at(strings, place->lo, place->at, bytes, have) != 0)
            return false;
        if (place->shared >= goal)
            break;
        if (place->node == ESP_NO_NODE) {
            const uint32_t hi = place->hi;
            place->lo = bisect(strings, place->lo, hi, place->at, bytes, n, false, visits);
            place->hi = bisect(strings, place->lo, hi, place->at, bytes, n, true, visits);
            place->shared = goal;
            if (place->lo == place->hi)
                return false;
            break;
        }
        const esp_trie_node *node = &strings->trie[place->node];
        const uint32_t c = find_child(strings, node, bytes[have]);
        esp_place child;
        visits->n++;
        if (c == node->n_children || !child_of(strings, place, c, &child))
            return false;
        *place = child;
        if (place->shared < goal && !esp_place_settle(strings, place))
            return false;
    }
    place->at = goal;
    return true;
}

static void enter(esp_ways *ways, const esp_place *place) {
    if (place->node == ESP_NO_NODE) {
        ways->run = *place;
        ways->next = place->lo;
    } else if (ways->n_nodes < 4) {
        ways->node[ways->n_nodes] = *place;
        ways->child[ways->n_nodes++] = 0;
    }
}

void esp_ways_start(esp_ways *ways, const esp_place *from) {
    ways->n_nodes = 0;
    ways->at = from->at;
    ways->run.hi = ways->next = 0;
    enter(ways, from);
}

/* The next texts of the bucket that go on with the same code point. */
static bool next_run(const esp_strings *strings, esp_ways *ways, esp_visits *visits, esp_place *to,
    uint32_t *point) {
    const uint32_t hi = ways->run.hi;
    const uint32_t at = ways->at;
    const uint8_t *text = NULL;
    uint32_t length = 0;
    for (;; ways->next++) {
        if (ways->next >= hi || esp_visits_spent(visits))
            return false;
        visits->n++;
        if (esp_strings_text(strings, ways->next, &text, &length) && length > at)
            break; /* else it ends here */
    }
    uint32_t bytes = 0;
    text += at;
    *point = esp_point_at(text, length - at, &bytes);
    /* Runs are either tiny or huge: the step doubles. */
    uint32_t good = ways->next;
    uint32_t step = 1;
    while (step < hi - good && compare_at(strings, good + step, at, text, bytes) == 0) {
        good += step;
        step *= 2;
        visits->n++;
    }
    const uint32_t bad = good + esp_min_u32(step, hi - good);
    const uint32_t end = bisect(strings, good + 1, bad, at, text, bytes, true, visits);
    *to = (esp_place){
        .lo = ways->next, .hi = end, .node = ESP_NO_NODE, .shared = at + bytes, .at = at + bytes};
    ways->next = end;
    return true;
}

/* The code point that a child begins with: true where the child holds all of it,
 * else it is entered and its own children or texts have the rest. */
static bool begins(const esp_strings *strings, esp_ways *ways, const esp_place *above,
    esp_place *child, uint32_t *point) {
    const uint8_t byte = strings->trie[child->node].byte;
    if (byte < 0x80 && above->shared == ways->at) {
        *point = byte;
        child->at = ways->at + 1;
        return true;
    }
    const uint8_t *text = NULL;
    uint32_t length = 0;
    if (!esp_place_settle(strings, child) ||
        !esp_strings_text(strings, child->lo, &text, &length) || length <= ways->at)
        return false;
    uint32_t bytes = 0;
    *point = esp_point_at(text + ways->at, length - ways->at, &bytes);
    if (ways->at + bytes <= child->shared) {
        child->at = ways->at + bytes;
        return true;
    }
    enter(ways, child);
    return false;
}

bool esp_ways_next(const esp_strings *strings, esp_ways *ways, esp_visits *visits, esp_place *to,
    uint32_t *point) {
    while (!esp_visits_spent(visits)) {
        if (ways->next < ways->run.hi && next_run(strings, ways, visits, to, point))
            return true;
        if (ways->n_nodes == 0)
            return false;
        const esp_place *above = &ways->node[ways->n_nodes - 1];
        const uint32_t c = ways->child[ways->n_nodes - 1]++;
        if (c >= strings->trie[above->node].n_children) {
            ways->n_nodes--;
            continue;
        }
        visits->n++;
        if (child_of(strings, above, c, to) && begins(strings, ways, above, to, point))
            return true;
    }
    return false;
}
