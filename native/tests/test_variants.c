/* test_variants.c: which texts count as one, and which must not. */
#include "test.h"

#include "../src/variants.h"

static esp_variant of(const char *text) {
    esp_variant out;
    esp_variant_of((const uint8_t *)text, strlen(text), &out);
    return out;
}

static bool same(const char *a, const char *b) {
    const esp_variant x = of(a);
    const esp_variant y = of(b);
    CHECK(esp_variant_same(&x, &y) == esp_variant_same(&y, &x));
    return esp_variant_same(&x, &y);
}

static void the_order_of_words_does_not_count(void) {
    CHECK(same("red running shoes", "shoes red running"));
    CHECK(same("a b c d", "d c b a"));
    CHECK(!same("red shoes", "red running shoes"));
    CHECK(!same("red red shoes", "red shoes"));
    CHECK(!same("ab cd", "ac bd"));
}

static void a_direction_keeps_its_order(void) {
    CHECK(!same("inches to mm", "mm to inches"));
    CHECK(!same("gift from dad", "dad from gift"));
    CHECK(same("inch to mm", "inches to mm"));
    CHECK(same("e-mail to fax", "email to fax"));
    CHECK(same("toe to", "toes to"));
    CHECK(same("top form", "form top"));
}

static void spacing_does_not_count(void) {
    CHECK(same("sun glasses", "sunglasses"));
    CHECK(same("iphone15 pro", "iphone 15 pro"));
    CHECK(same("2 x 4", "2x4"));
    CHECK(same("shoe rack", "shoeracks"));
    CHECK(same("bow ties", "bowtie"));
    CHECK(same("movie posters", "movieposter"));
    CHECK(!same("model s", "model"));
    CHECK(!same("xbox one s", "xbox one"));
    CHECK(!same("galaxy s", "galaxy"));
    CHECK(!same("sun glasses", "sun glosses"));
}

static void hyphens_and_apostrophes_count_as_nothing(void) {
    CHECK(same("t-shirt", "t shirt"));
    CHECK(same("t-shirt", "tshirt"));
    CHECK(same("men's shoes", "mens shoes"));
    CHECK(same("men\xE2\x80\x99s shoes", "men's shoes"));
    CHECK(same("t\xE2\x80\x90shirt", "t\xC2\xADshirt"));
    CHECK(same("wi-fi router", "router wifi"));
    CHECK(same("nike - shoes", "shoes nike"));
}

static void two_numbers_stay_two(void) {
    CHECK(!same("1 2 inch", "12 inch"));
    CHECK(!same("3-16 drill", "316 drill"));
    CHECK(!same("3 16 drill", "31 6 drill"));
    CHECK(same("3-16 drill", "3 16 drill"));
    CHECK(same("2 pack 10", "10 2 pack"));
    CHECK(!same("1-2 x", "12 x"));
    CHECK(!same("x 1-2", "12 x"));
}

static void what_is_no_letter_but_says_something_counts(void) {
    CHECK(!same("c++", "c"));
    CHECK(!same("c++", "c#"));
    CHECK(!same("3.5 mm", "35 mm"));
    CHECK(!same("1/2 inch", "12 inch"));
    CHECK(!same("\xC3\xA9t\xC3\xA9", "ete"));
}

static void plurals_are_their_singulars(void) {
    static const char *const pair[][2] = {{"shoe", "shoes"}, {"tie rack", "ties rack"},
        {"battery", "batteries"}, {"movie", "movies"}, {"cookie", "cookies"}, {"fly", "fly"},
        {"box", "boxes"}, {"axe", "axes"}, {"watch", "watches"}, {"cache", "caches"},
        {"brush", "brushes"}, {"dress", "dresses"}, {"glass", "glasses"}, {"case", "cases"},
        {"house", "houses"}, {"size", "sizes"}, {"potato", "potatoes"}, {"toy", "toys"},
        {"toe", "toes"}, {"key", "keys"}, {"ache", "aches"}, {"sky map", "sky maps"},
        {"book", "books"}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        if (!same(pair[i][0], pair[i][1])) {
            fprintf(stderr, "%s and %s\n", pair[i][0], pair[i][1]);
            CHECK(!"a plural");
        }
    CHECK(same("kids shoes red", "red kid shoe"));
    CHECK(same("t-shirts", "tshirt"));
}

static void what_ends_like_a_plural_and_is_none_stays(void) {
    static const char *const pair[][2] = {{"bus", "bu"}, {"glass", "glas"}, {"tennis", "tenni"},
        {"virus", "viru"}, {"gas", "ga"}, {"ps5", "ps"}, {"xs", "x"}, {"a1s2s", "a1s2"},
        {"caf\xC3\xA9s", "caf\xC3\xA9"}, {"ski", "sky"}, {"new", "knew"}, {"base", "bas"},
        {"tie", "ty"}, {"bat", "bath"}, {"b2bs", "b2b"}, {"iphone 6s", "iphone 6"}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        if (same(pair[i][0], pair[i][1])) {
            fprintf(stderr, "%s and %s\n", pair[i][0], pair[i][1]);
            CHECK(!"two words");
        }
}

static void texts_without_letters_are_like_themselves_alone(void) {
    CHECK(same("-", "-"));
    CHECK(!same("-", "--"));
    CHECK(!same("-", ""));
    CHECK(same("", ""));
    CHECK(!same("'", "-"));
    CHECK(!same("", "a"));
}

static void any_bytes_are_a_text(void) {
    uint64_t random = 5;
    for (int round = 0; round < 20000; round++) {
        /* Exactly as long as the text, so that a byte too far is seen. */
        const size_t length = esp_random_next(&random) % 12;
        static const uint8_t some[] = {
            's', 'e', 'i', 'x', ' ', '-', '\'', '1', 0xE2, 0x80, 0x99, 0xC2, 0xAD, 0xFF, 'o', 'h'};
        uint8_t *text = malloc(length + 1);
        for (size_t i = 0; i < length; i++)
            text[i] = some[esp_random_next(&random) % sizeof some];
        uint8_t *exact = malloc(length == 0 ? 1 : length);
        memcpy(exact, text, length);
        esp_variant a;
        esp_variant b;
        esp_variant_of(exact, length, &a);
        esp_variant_of(text, length, &b);
        CHECK(a.words == b.words && a.letters == b.letters);
        free(exact);
        free(text);
    }
}

/* A word, and the same as another person might write it. */
typedef struct spelling {
    const char *one;
    const char *other;
} spelling;

static void rewritten_queries_are_variants(void) {
    static const spelling words[] = {{"red", "red"}, {"shoe", "shoes"}, {"t-shirt", "tshirts"},
        {"kid's", "kids"}, {"battery", "batteries"}, {"15", "15"}, {"4x", "4x"}, {"box", "boxes"},
        {"\xE5\xAD\x97", "\xE5\xAD\x97"}};
    enum { N = sizeof words / sizeof *words };
    uint64_t random = 9;
    for (int round = 0; round < 5000; round++) {
        const size_t n = 1 + esp_random_next(&random) % 5;
        const char *pieces[5][2];
        for (size_t i = 0; i < n; i++) {
            const spelling *w = &words[esp_random_next(&random) % N];
            pieces[i][0] = w->one;
            pieces[i][1] = (esp_random_next(&random) & 1) != 0 ? w->one : w->other;
        }
        char plain[200] = "";
        char shuffled[200] = "";
        char glued[200] = "";
        size_t order[5] = {0, 1, 2, 3, 4};
        for (size_t i = n; i-- > 1;) {
            const size_t j = esp_random_next(&random) % (i + 1);
            const size_t held = order[i];
            order[i] = order[j];
            order[j] = held;
        }
        for (size_t i = 0; i < n; i++) {
            strcat(strcat(plain, i == 0 ? "" : " "), pieces[i][0]);
            strcat(strcat(shuffled, i == 0 ? "" : " "), pieces[order[i]][1]);
            strcat(glued, i == 0 ? "" : "-");
            strcat(glued, pieces[i][0]);
        }
        CHECK(same(plain, shuffled));
        CHECK(of(plain).words == of(shuffled).words);
        CHECK(of(plain).letters == of(glued).letters);
        CHECK(n == 1 || of(plain).words != of(glued).words);
    }
}

int main(int argc, char **argv) {
    TEST_BEGIN(argc, argv);
    TEST(the_order_of_words_does_not_count);
    TEST(a_direction_keeps_its_order);
    TEST(spacing_does_not_count);
    TEST(hyphens_and_apostrophes_count_as_nothing);
    TEST(two_numbers_stay_two);
    TEST(what_is_no_letter_but_says_something_counts);
    TEST(plurals_are_their_singulars);
    TEST(what_ends_like_a_plural_and_is_none_stays);
    TEST(texts_without_letters_are_like_themselves_alone);
    TEST(any_bytes_are_a_text);
    TEST(rewritten_queries_are_variants);
    return TEST_END();
}
