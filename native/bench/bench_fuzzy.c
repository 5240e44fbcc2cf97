/* bench_fuzzy.c: time, work and recall of the search for mistyped prefixes.
 *
 *      bench_fuzzy [INDEX.esp [nodes [cap [questions]]]]
 *
 * nodes: most nodes and labels to look at, 0 for the recommended number; cap:
 * ranges asked for, default 32.  Without an index 300000 labels are made up, two
 * to six words of a Zipf vocabulary.
 *
 * A question is the beginning of a label, drawn by its users, of 4 to 20 code
 * points.  "one edit" and "two edits" (from 8 code points on) change it behind
 * its first code point: a letter inserted, deleted, replaced, or two swapped;
 * what still begins some label is drawn again.  "nothing like it" is random
 * letters.  "found" says how often the label is in a range, "top" in the first
 * three, "unlimited" how often without the limits on nodes and ranges.
 *
 * Times are processor time of one thread.  The calibration line (a fixed
 * arithmetic loop) is for comparing runs.
 */
#include "../src/fuzzy.h"
#include "../src/trie.h"
#include "../src/utf8.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { LONGEST = 20, BYTES = 4 * (LONGEST + 4), MANY = 4096, MADE_UP = 300000, VOCABULARY = 20000 };

typedef enum kind { ONE_EDIT, TWO_EDITS, NOTHING, KINDS } kind;

static const char *const kind_name[KINDS] = {"one edit", "two edits", "nothing like it"};

typedef struct question {
    uint32_t label;
    uint32_t length;
    uint8_t text[BYTES];
} question;

typedef struct totals {
    double *micros;
    uint32_t *visited;
    uint32_t n, found, top, unlimited, ranges;
} totals;

static uint64_t state = 1;

static uint32_t draw(uint32_t n) {
    return (uint32_t)(((esp_random_next(&state) >> 33) * n) >> 31);
}

static void *need(size_t bytes) {
    void *p = malloc(bytes == 0 ? 1 : bytes);
    if (p == NULL) {
        fprintf(stderr, "bench_fuzzy: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

/* ---- made-up labels ------------------------------------------------------- */

typedef struct text {
    uint32_t length;
    char data[92];
} text;

static int by_bytes(const void *a, const void *b) {
    const text *x = a;
    const text *y = b;
    const int order = memcmp(x->data, y->data, esp_min_u32(x->length, y->length));
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static void make_up(text *labels) {
    static const char letters[] = "eeeeetttaaaooiinnssrrhhldcumfpgwybvk";
    static char words[VOCABULARY][12];
    for (uint32_t w = 0; w < VOCABULARY; w++)
        for (uint32_t i = 0, n = 3 + draw(9); i < n; i++)
            words[w][i] = letters[draw(sizeof letters - 1)];
    for (uint32_t i = 0; i < MADE_UP; i++) {
        labels[i].length = 0;
        for (uint32_t k = 0, n = 2 + draw(5); k < n; k++) {
            const double u = draw(1u << 30) / (double)(1u << 30);
            const char *word = words[(uint32_t)exp(u * log(VOCABULARY - 1))];
            if (k > 0)
                labels[i].data[labels[i].length++] = ' ';
            memcpy(labels[i].data + labels[i].length, word, strlen(word));
            labels[i].length += (uint32_t)strlen(word);
        }
    }
}

/* An index of nothing but labels; its memory lives as long as the program. */
static const esp_index *made_up(void) {
    static esp_params params;
    static esp_index index;
    text *labels = need(MADE_UP * sizeof *labels);
    make_up(labels);
    qsort(labels, MADE_UP, sizeof *labels, by_bytes);
    uint8_t *blob = need(MADE_UP * sizeof labels->data);
    uint32_t *offsets = need((MADE_UP + 1) * sizeof *offsets);
    uint64_t *starts = need((MADE_UP + 1) * sizeof *starts);
    uint32_t *users = need(MADE_UP * sizeof *users);
    uint32_t n = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < MADE_UP; i++) {
        if (i > 0 && by_bytes(&labels[i - 1], &labels[i]) == 0)
            continue;
        memcpy(blob + at, labels[i].data, labels[i].length);
        offsets[n] = at;
        starts[n] = at;
        users[n++] = 1 + 1000 / (1 + draw(1000));
        at += labels[i].length;
    }
    starts[n] = offsets[n] = at;
    free(labels);
    uint8_t *trie = NULL;
    uint8_t *maxima = NULL;
    size_t trie_bytes = 0;
    size_t maxima_bytes = 0;
    if (esp_trie_build(blob, starts, n, &trie, &trie_bytes, NULL) != ESP_OK ||
        esp_maxima_build(users, n, &maxima, &maxima_bytes, NULL) != ESP_OK)
        exit(1);
    params.n_labels = n;
    index = (esp_index){.params = &params,
        .label_offset = offsets,
        .label_text = {blob, at},
        .trie = (const void *)trie,
        .n_trie = (uint32_t)(trie_bytes / sizeof(esp_trie_node)),
        .users = users,
        .maxima = (const void *)maxima};
    return &index;
}

/* ---- questions ------------------------------------------------------------ */

static uint32_t draw_label(const esp_index *index, const uint64_t *cumulated) {
    const uint32_t n = index->params->n_labels;
    const uint64_t u = (esp_random_next(&state) >> 1) % cumulated[n - 1];
    uint32_t lo = 0;
    uint32_t hi = n - 1;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (cumulated[middle] > u)
            hi = middle;
        else
            lo = middle + 1;
    }
    return lo;
}

/* One edit behind the first of the points; their new number. */
static uint32_t edit(uint32_t *points, uint32_t n) {
    const uint32_t at = 1 + draw(n - 1);
    const uint32_t letter = 'a' + draw(26);
    switch (draw(4)) {
    case 0:
        memmove(points + at + 1, points + at, (n - at) * sizeof *points);
        points[at] = letter;
        return n + 1;
    case 1: memmove(points + at, points + at + 1, (n - at - 1) * sizeof *points); return n - 1;
    case 2: points[at] = letter; return n;
    default: {
        const uint32_t other = at + 1 < n ? at + 1 : at - 1;
        const uint32_t kept = points[at];
        points[at] = points[other];
        points[other] = kept;
        return n;
    }
    }
}

static bool ask(const esp_index *index, const uint64_t *cumulated, kind what, question *q) {
    uint32_t points[LONGEST + 4];
    const uint8_t *label = NULL;
    uint32_t bytes = 0;
    uint32_t n = 0;
    const uint32_t most = 4 + draw(LONGEST - 3);
    const uint32_t least = what == TWO_EDITS ? 8 : 4;
    if (most < least)
        return false;
    q->label = draw_label(index, cumulated);
    if (!esp_index_label(index, q->label, &label, &bytes))
        return false;
    for (uint32_t at = 0; at < bytes && n < most; n++) {
        const uint32_t have = esp_utf8_step(label + at, bytes - at, &points[n]);
        if (have == 0)
            return false;
        at += have;
    }
    if (n < least)
        return false;
    if (what == NOTHING)
        for (uint32_t i = 1; i < n; i++)
            points[i] = 'a' + draw(26);
    else
        for (kind k = ONE_EDIT; k <= what; k++)
            n = edit(points, n);
    q->length = 0;
    for (uint32_t i = 0; i < n; i++)
        q->length += esp_utf8_encode(points[i], q->text + q->length);
    uint32_t lo = 0;
    uint32_t hi = 0;
    return esp_trie_range(index, q->text, q->length, &lo, &hi, NULL) == ESP_OK && lo == hi &&
           esp_fuzzy_distance(q->text, q->length) > 0;
}

/* ---- measuring ------------------------------------------------------------ */

/* Place of the range with `label`; n if there is none. */
static uint32_t place_of(const esp_fuzzy_match *matches, uint32_t n, uint32_t label) {
    uint32_t i = 0;
    while (i < n && (label < matches[i].lo || label >= matches[i].hi))
        i++;
    return i;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int ascending_u32(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, const char *length, totals *t) {
    if (t->n == 0)
        return;
    qsort(t->micros, t->n, sizeof *t->micros, ascending);
    qsort(t->visited, t->n, sizeof *t->visited, ascending_u32);
    printf("%-16s %-6s %6u  %6.1f %6.1f %6.1f  %6u %6u %6u  %5.3f %5.3f %5.3f  %6.1f\n", name,
        length, t->n, t->micros[t->n / 2], t->micros[t->n - 1 - t->n / 100], t->micros[t->n - 1],
        t->visited[t->n / 2], t->visited[t->n - 1 - t->n / 100], t->visited[t->n - 1],
        t->found / (double)t->n, t->top / (double)t->n, t->unlimited / (double)t->n,
        t->ranges / (double)t->n);
}

static void measure(const esp_index *index, const uint64_t *cumulated, kind what, uint32_t nodes,
    uint32_t cap, uint32_t n) {
    static esp_fuzzy_match matches[MANY];
    static const char *const lengths[3] = {"4-7", "8-12", "13-"};
    esp_fuzzy *fuzzy = need(sizeof *fuzzy);
    totals by[3] = {{0}};
    for (int i = 0; i < 3; i++)
        by[i] = (totals){.micros = need(n * sizeof(double)), .visited = need(n * sizeof(uint32_t))};
    for (uint32_t i = 0; i < n; i++) {
        question q;
        while (!ask(index, cumulated, what, &q)) {
        }
        const uint32_t distance = esp_fuzzy_distance(q.text, q.length);
        uint32_t visited = 0;
        uint32_t points = 0;
        for (uint32_t b = 0; b < q.length; b++)
            points += (q.text[b] & 0xC0) != 0x80;
        totals *t = &by[points < 8 ? 0 : points < 13 ? 1 : 2];
        const double start = now();
        const uint32_t count =
            esp_fuzzy_find(index, fuzzy, q.text, q.length, distance, nodes, matches, cap, &visited);
        t->micros[t->n] = now() - start;
        t->visited[t->n++] = visited;
        const uint32_t place = place_of(matches, count, q.label);
        t->found += place < count;
        t->top += place < 3 && place < count;
        const uint32_t all = esp_fuzzy_find(
            index, fuzzy, q.text, q.length, distance, UINT32_MAX, matches, MANY, &visited);
        t->ranges += all;
        t->unlimited += place_of(matches, all, q.label) < all;
    }
    for (int i = 0; i < 3; i++) {
        print(kind_name[what], lengths[i], &by[i]);
        free(by[i].micros);
        free(by[i].visited);
    }
    free(fuzzy);
}

static void calibrate(void) {
    const double start = now();
    uint64_t z = 1;
    for (uint32_t i = 0; i < 20000000; i++)
        z ^= esp_random_next(&z);
    printf("calibration: %.0f ms (%u)\n", (now() - start) / 1000, (unsigned)(z & 1));
}

static uint32_t number(int argc, char **argv, int at, uint32_t otherwise) {
    const unsigned long given = argc > at ? strtoul(argv[at], NULL, 10) : 0;
    return given == 0 || given > UINT32_MAX ? otherwise : (uint32_t)given;
}

int main(int argc, char **argv) {
    esp_index *opened = NULL;
    const esp_index *index = NULL;
    if (argc > 1) {
        esp_error err = {0};
        if (esp_index_open(argv[1], &opened, &err) != ESP_OK) {
            fprintf(stderr, "bench_fuzzy: %s\n", err.message);
            return 1;
        }
        index = opened;
    } else {
        index = made_up();
    }
    const uint32_t nodes = number(argc, argv, 2, ESP_FUZZY_NODES);
    const uint32_t cap = esp_min_u32(number(argc, argv, 3, 32), MANY);
    const uint32_t questions = number(argc, argv, 4, 20000);
    if (index->label_offset == NULL || index->params->n_labels == 0) {
        fprintf(stderr, "bench_fuzzy: the index has no labels\n");
        return 1;
    }
    uint64_t *cumulated = need(index->params->n_labels * sizeof *cumulated);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < index->params->n_labels; i++)
        cumulated[i] = sum += esp_max_u32(1, index->users[i]);
    printf("%u labels, %u nodes, cap %u\n", index->params->n_labels, nodes, cap);
    calibrate();
    printf("%-16s %-6s %6s  %6s %6s %6s  %6s %6s %6s  %5s %5s %5s  %6s\n", "prefix", "length", "n",
        "p50us", "p99us", "max", "p50vis", "p99vis", "max", "found", "top3", "unlim", "ranges");
    for (kind what = ONE_EDIT; what < KINDS; what++)
        measure(index, cumulated, what, nodes, cap, questions);
    free(cumulated);
    esp_index_close(opened);
    return 0;
}
