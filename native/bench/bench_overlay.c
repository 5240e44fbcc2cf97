/* bench_overlay.c: nanoseconds an overlay takes per candidate.
 *
 *      bench_overlay [rules [texts [seed]]]          default 10000 20000 1
 *
 * Texts are two to five made-up words, in ASCII and in Cyrillic.  Two of five
 * rules block a query, one a word, one boosts a word, one pins a query; one text
 * in a hundred is hit.  Every figure is the fastest of nine passes over all
 * texts, one thread.
 */
#include "../src/overlay.h"
#include "../src/variants.h"

#include <stdio.h>
#include <time.h>

enum { TEXT_BYTES = 128, PASSES = 9, VOCABULARY = 20000, RARE = 100 };

static uint64_t state = 1;
static char (*words)[24]; /* of each script VOCABULARY */
static uint64_t kept;     /* what is computed must be used */

static uint32_t draw(uint32_t n) {
    return (uint32_t)((esp_random_next(&state) >> 32) * n >> 32);
}

static size_t make_word(char *out, bool cyrillic) {
    const uint32_t letters = 3 + draw(6);
    size_t length = 0;
    for (uint32_t i = 0; i < letters; i++) {
        const uint8_t letter = (uint8_t)draw(16);
        if (cyrillic)
            out[length++] = (char)0xD0;
        out[length++] = cyrillic ? (char)(0xB0 + letter) : (char)('a' + letter);
    }
    out[length] = '\0';
    return length;
}

static void make_text(char *out, bool cyrillic) {
    size_t length = 0;
    for (uint32_t n = 2 + draw(4); n > 0; n--) {
        const char *word = words[draw(VOCABULARY) + (cyrillic ? VOCABULARY : 0)];
        length += (size_t)snprintf(
            out + length, TEXT_BYTES - length, "%s%s", length == 0 ? "" : " ", word);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

typedef void measured(const esp_overlay *overlay, const uint8_t *text, size_t length);

static void ask_blocks(const esp_overlay *overlay, const uint8_t *text, size_t length) {
    kept += esp_overlay_blocks(overlay, text, length);
}

static void ask_boost(const esp_overlay *overlay, const uint8_t *text, size_t length) {
    kept += (uint64_t)(esp_overlay_boost(overlay, text, length) > 0);
}

static void ask_pins(const esp_overlay *overlay, const uint8_t *text, size_t length) {
    esp_pin out[10];
    kept += esp_overlay_pins(overlay, text, length < 3 ? length : 3, out, 10);
}

static void ask_all_pins(const esp_overlay *overlay, const uint8_t *text, size_t length) {
    esp_pin out[10];
    (void)length;
    kept += esp_overlay_pins(overlay, text, 0, out, 10);
}

static void ask_variant(const esp_overlay *overlay, const uint8_t *text, size_t length) {
    esp_variant variant;
    (void)overlay;
    esp_variant_of(text, length, &variant);
    kept += variant.words ^ variant.letters;
}

static void measure(const char *name, measured *ask, const esp_overlay *overlay,
    const char (*texts)[TEXT_BYTES], uint32_t n) {
    double best = 1e30;
    for (int pass = 0; pass < PASSES; pass++) {
        const double start = now();
        for (uint32_t i = 0; i < n; i++)
            ask(overlay, (const uint8_t *)texts[i], strlen(texts[i]));
        const double took = now() - start;
        best = took < best ? took : best;
    }
    printf("%-24s %8.1f ns\n", name, best / n);
}

static esp_rule make_rule(uint32_t i, const char (*texts)[TEXT_BYTES], uint32_t n) {
    static const uint32_t kinds[5] = {ESP_RULE_BLOCK_QUERY, ESP_RULE_BLOCK_QUERY,
        ESP_RULE_BLOCK_WORD, ESP_RULE_BOOST_WORD, ESP_RULE_PIN_QUERY};
    const uint32_t kind = kinds[i % 5];
    const bool word = kind == ESP_RULE_BLOCK_WORD || kind == ESP_RULE_BOOST_WORD;
    char *text = malloc(TEXT_BYTES);
    if (text == NULL)
        exit(1);
    if (i % RARE == 0)
        strcpy(text, texts[draw(n)]);
    else if (word)
        snprintf(text, TEXT_BYTES, "%s%u", words[draw(2 * VOCABULARY)], i);
    else
        make_text(text, draw(2) == 1);
    return (esp_rule){.kind = kind,
        .text = {.data = (const uint8_t *)text, .length = strlen(text)},
        .boost = 1,
        .position = 1 + draw(10)};
}

int main(int argc, char **argv) {
    const uint32_t n_rules = argc > 1 ? (uint32_t)atoi(argv[1]) : 10000;
    const uint32_t n_texts = argc > 2 ? (uint32_t)atoi(argv[2]) : 20000;
    state = argc > 3 ? (uint64_t)atoll(argv[3]) : 1;
    words = esp_alloc((size_t)2 * VOCABULARY, sizeof *words);
    char (*texts[2])[TEXT_BYTES] = {esp_alloc(n_texts, TEXT_BYTES), esp_alloc(n_texts, TEXT_BYTES)};
    esp_rule *rules = esp_alloc(n_rules, sizeof *rules);
    if (words == NULL || texts[0] == NULL || texts[1] == NULL || rules == NULL || n_texts == 0)
        return 1;
    for (uint32_t i = 0; i < 2 * VOCABULARY; i++)
        make_word(words[i], i >= VOCABULARY);
    for (uint32_t i = 0; i < 2 * n_texts; i++)
        make_text(texts[i % 2][i / 2], i % 2 == 1);
    for (uint32_t i = 0; i < n_rules; i++)
        rules[i] = make_rule(i, (const char (*)[TEXT_BYTES])texts[i % 2], n_texts);
    esp_overlay *overlay = NULL;
    esp_error err = {0};
    const double start = now();
    if (esp_overlay_new(rules, n_rules, &overlay, &err) != ESP_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%u rules, made in %.1f ms\n", n_rules, (now() - start) / 1e6);
    for (int script = 0; script < 2; script++) {
        const char (*asked)[TEXT_BYTES] = (const char (*)[TEXT_BYTES])texts[script];
        printf("%s\n", script == 0 ? "ascii" : "cyrillic");
        measure("  blocks", ask_blocks, overlay, asked, n_texts);
        measure("  boost", ask_boost, overlay, asked, n_texts);
        measure("  pins of 3 bytes", ask_pins, overlay, asked, n_texts);
        measure("  pins of no prefix", ask_all_pins, overlay, asked, n_texts / 10 + 1);
        measure("  variant", ask_variant, overlay, asked, n_texts);
    }
    fprintf(stderr, "(%llu)\n", (unsigned long long)kept);
    for (uint32_t i = 0; i < n_rules; i++)
        free((void *)(uintptr_t)rules[i].text.data);
    esp_overlay_free(overlay);
    free(rules);
    free(texts[0]);
    free(texts[1]);
    free(words);
    return 0;
}
