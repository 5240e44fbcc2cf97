/* order.c: scoring candidates and choosing among them.
 *
 * A cheap blend picks the labels that are worth their features; the forest orders
 * them beside everything the session and the generator speak for. */
#include "order.h"

#include <math.h>

#include "forest.h"
#include "overlay.h"
#include "variants.h"

enum { RANKED_LABELS = 48, PINS = 32 };

/* ---- scores ------------------------------------------------------------- */

/* Popularity of a label, with what people typed after the previous query: as if users
 * were spread as Zipf says, so that the best of n labels has one in 1 + ln(n). */
static float popularity_here(const esp_plan *plan, const esp_candidate *c) {
    if (c->followed == 0)
        return c->popularity;
    return c->popularity +
           (float)c->followed / plan->first_users * (1 + logf((float)(plan->hi - plan->lo)));
}

/* Without a forest: a fixed blend of the two log scores of a label; either alone
 * orders by itself.  What is no label stands where a label of a third of a user
 * would, moved by what the generator thinks of it. */
static void blend(const esp_index *index, esp_scratch *scratch, const esp_plan *plan) {
    const bool popular = (plan->sources & ESP_SOURCE_POPULAR) != 0 || !plan->has_model;
    const float model_weight = !plan->has_model ? 0 : popular ? index->params->blend_model : 1;
    const float popular_weight = !popular           ? 0
                                 : !plan->has_model ? 1
                                                    : index->params->blend_popularity;
    float least = 0;
    float best_tail = -INFINITY;
    for (uint32_t i = 0; i < scratch->candidates.n; i++) {
        const esp_candidate *c = &scratch->candidates.item[i];
        least = c->model < least ? c->model : least;
        if (c->tail > best_tail && (c->sources & ESP_SOURCE_TAIL) != 0)
            best_tail = c->tail;
    }
    for (uint32_t i = 0; i < scratch->candidates.n; i++) {
        esp_candidate *c = &scratch->candidates.item[i];
        c->score =
            c->label != ESP_NO_LABEL
                ? model_weight * c->model + popular_weight * logf(popularity_here(plan, c) + 1e-9f)
                : model_weight * least + popular_weight * (logf(0.3f) - plan->log_most) +
                      (c->tail - best_tail);
    }
}

/* The candidates worth ranking: the best labels of the blend, and all that the
 * session, the generator or a correction speak for. */
static void choose_ranked(esp_scratch *scratch, const esp_plan *plan) {
    esp_top *top = &scratch->labels; /* the search is done with it */
    top->n = 0;
    top->limit = esp_min_u32(esp_max_u32(plan->k, RANKED_LABELS), top->cap);
    scratch->n_ranked = 0;
    for (uint32_t i = 0; i < scratch->candidates.n; i++) {
        const esp_candidate *c = &scratch->candidates.item[i];
        if (!esp_eligible(plan, c->text, c->length))
            continue;
        const bool beside = c->label == ESP_NO_LABEL || c->followed > 0 || c->edits > 0 ||
                            (c->sources & ESP_SOURCE_TAIL) != 0;
        if (!beside || scratch->n_ranked == ESP_MOST_RANKED)
            esp_top_add(
                top, (esp_scored){
                         .score = c->score - 1e6f * (float)c->edits, .id = c->label, .first = i});
        else
            scratch->ranked[scratch->n_ranked++] = c;
    }
    for (uint32_t i = 0; i < top->n && scratch->n_ranked < scratch->max_ranked; i++)
        scratch->ranked[scratch->n_ranked++] = &scratch->candidates.item[top->item[i].first];
}

bool esp_forest_usable(const esp_index *index) {
    return esp_forest_present(index) && esp_forest_features(index) == ESP_RANK_COUNT &&
           esp_forest_features_id(index) == esp_rank_features_id();
}

/* The forest orders unless the caller asked for the order of one source alone. */
static bool has_forest(const esp_index *index, const esp_plan *plan) {
    return !plan->by_popularity && (plan->sources & (plan->sources - 1)) != 0 &&
           esp_forest_usable(index);
}

static void score(const esp_index *index, esp_scratch *scratch, const esp_plan *plan) {
    blend(index, scratch, plan);
    choose_ranked(scratch, plan);
    const uint32_t n = scratch->n_ranked;
    for (uint32_t i = 0; i < n; i++)
        scratch->ranked_score[i] = scratch->ranked[i]->score;
    if (plan->features || has_forest(index, plan)) {
        esp_rank_query asked;
        esp_rank_start(&asked, index, &scratch->steps, &scratch->typed, &scratch->tails,
            plan->query->prefix.data, plan->prefix_bytes);
        asked.previous = plan->query->previous;
        asked.n_previous = plan->n_previous;
        asked.range_labels = plan->hi - plan->lo;
        asked.has_model = plan->has_model;
        asked.first_users = plan->first_users;
        if (plan->n_previous > 0 && plan->query->previous_age != NULL)
            asked.log_age = logf(1 + (float)plan->query->previous_age[0]);
        asked.one_user = expf(-plan->log_most);
        esp_rank_fill(&asked, scratch->ranked, n, scratch->x);
        esp_rank_forget(plan->query->groups_off, n, scratch->x);
    }
    scratch->by_forest = has_forest(index, plan);
    if (scratch->by_forest)
        esp_forest_score(index, scratch->x, n, ESP_RANK_COUNT, scratch->ranked_score);
    /* No question of the log has an error in it, so nothing was learned about corrections:
     * among them, what most people search for comes first. */
    for (uint32_t i = 0; i < n; i++)
        if (scratch->ranked[i]->edits > 0)
            scratch->ranked_score[i] = logf(scratch->ranked[i]->popularity + 1e-9f);
    if (plan->query->overlay != NULL)
        for (uint32_t i = 0; i < n; i++)
            scratch->ranked_score[i] += esp_overlay_boost(
                plan->query->overlay, scratch->ranked[i]->text, scratch->ranked[i]->length);
}

/* ---- order -------------------------------------------------------------- */

/* Total: edits, then score, then labels before others and by number, then text. */
static bool before(const esp_scratch *scratch, uint32_t i, uint32_t j) {
    const esp_candidate *a = scratch->ranked[i];
    const esp_candidate *b = scratch->ranked[j];
    if (a->edits != b->edits)
        return a->edits < b->edits;
    if (scratch->ranked_score[i] != scratch->ranked_score[j])
        return scratch->ranked_score[i] > scratch->ranked_score[j];
    if (a->label != b->label)
        return a->label < b->label;
    const int order = memcmp(a->text, b->text, esp_min_u32(a->length, b->length));
    return order != 0 ? order < 0 : a->length < b->length;
}

/* Puts the numbers 0 to n - 1 in order (Shell 1959, gaps of Ciura 2001): some sixty
 * candidates, and the better ones stand together already. */
static void sort(const esp_scratch *scratch, uint32_t *order, uint32_t n) {
    static const uint32_t GAPS[] = {132, 57, 23, 10, 4, 1};
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t g = 0; g < sizeof GAPS / sizeof GAPS[0]; g++)
        for (uint32_t i = GAPS[g]; i < n; i++) {
            const uint32_t moved = order[i];
            uint32_t at = i;
            for (; at >= GAPS[g] && before(scratch, moved, order[at - GAPS[g]]); at -= GAPS[g])
                order[at] = order[at - GAPS[g]];
            order[at] = moved;
        }
}

typedef struct esp_answer {
    const esp_index *index;
    const esp_plan *plan;
    const esp_context *context;
    esp_suggestion *out;
    esp_variant *variant; /* of each suggestion */
    uint32_t n;
} esp_answer;

/* Whether a text that was put together says nothing that somebody wants to be told: what
 * stands there already, or, before anything is typed, a previous query with words left out. */
static bool says_nothing(const esp_answer *answer, const esp_candidate *c) {
    const esp_plan *plan = answer->plan;
    if (c->label != ESP_NO_LABEL)
        return false;
    if (c->length == plan->prefix_bytes)
        return true;
    if (plan->prefix_bytes > 0 || c->made == 0 || plan->n_previous == 0)
        return false;
    const esp_context *context = answer->context;
    uint32_t among = (1u << context->n_queries) - 1; /* bit q: has all words so far */
    size_t at = 0;
    const uint8_t *word = NULL;
    uint32_t length = 0;
    while (among != 0 && esp_next_word(c->text, c->length, &at, &word, &length)) {
        const uint32_t number =
            esp_context_find(context, word, length, esp_word_hash(word, length));
        for (uint32_t q = 0; q < context->n_queries; q++)
            if (memchr(context->token + context->begin[q], (int)number,
                    (size_t)context->begin[q + 1] - context->begin[q]) == NULL)
                among &= ~(1u << q);
    }
    if (among != 0)
        return true;
    esp_variant own;
    esp_variant submitted;
    esp_variant_of(c->text, c->length, &own);
    esp_variant_of(
        plan->query->previous[0].data, (uint32_t)plan->query->previous[0].length, &submitted);
    return esp_variant_same(&own, &submitted);
}

/* Takes a candidate into the answer, unless a better one is the same to a person. */
static esp_status take(esp_answer *answer, const esp_candidate *c, float score, esp_error *err) {
    if (says_nothing(answer, c))
        return ESP_OK;
    if ((answer->plan->query->flags & ESP_QUERY_KEEP_VARIANTS) == 0) {
        esp_variant *own = &answer->variant[answer->n];
        esp_variant_of(c->text, c->length, own);
        for (uint32_t i = 0; i < answer->n; i++)
            if (esp_variant_same(own, &answer->variant[i]))
                return ESP_OK;
    }
    esp_suggestion *made = &answer->out[answer->n++];
    *made = (esp_suggestion){.label = c->label,
        .text = {c->text, c->length},
        .display = {c->text, c->length},
        .source = c->source,
        .score = score,
        .model = c->model,
        .popularity = c->popularity,
        .matched = c->matched};
    return c->label == ESP_NO_LABEL
               ? ESP_OK
               : esp_label_text(answer->index, c->label, &made->text, &made->display, err);
}

static bool is_ranked(const esp_scratch *scratch, const esp_candidate *c) {
    for (uint32_t i = 0; i < scratch->n_ranked; i++)
        if (scratch->ranked[i] == c)
            return true;
    return false;
}

/* Takes a label that may be suggested and was not ranked. */
static esp_status take_other(
    esp_scratch *scratch, esp_answer *answer, uint32_t label, float score, esp_error *err) {
    const esp_plan *plan = answer->plan;
    esp_candidate c = {.label = label,
        .source = ESP_SOURCE_POPULAR,
        .matched = plan->prefix_bytes,
        .popularity = (float)esp_popularity_now(answer->index).value[label] / plan->most};
    if (!esp_index_label(answer->index, label, &c.text, &c.length) ||
        !esp_eligible(plan, c.text, c.length))
        return ESP_OK;
    const esp_candidate *there = esp_candidates_find(&scratch->candidates, c.text, c.length);
    return there != NULL && is_ranked(scratch, there) ? ESP_OK : take(answer, &c, score, err);
}

/* Whether every label that may be suggested was ranked: there are few, and all of them
 * were candidates. */
static bool all_ranked(const esp_scratch *scratch, const esp_plan *plan) {
    return plan->n_popular <= esp_min_u32(RANKED_LABELS, scratch->labels.cap) &&
           scratch->n_ranked < scratch->max_ranked;
}

static bool has_label(const esp_answer *answer, uint32_t label) {
    for (uint32_t i = 0; i < answer->n; i++)
        if (answer->out[i].label == label)
            return true;
    return false;
}

/* Labels that no source brought and no variant rules out, while there is room: most
 * popular first.  Where thousands are blocked, what the ranking had no room for comes
 * in the order of the texts. */
static esp_status fill_up(const esp_index *index, esp_scratch *scratch, esp_answer *answer,
    uint32_t most, esp_error *err) {
    const esp_plan *plan = answer->plan;
    uint32_t label = 0;
    float score = answer->n == 0 ? 0 : answer->out[answer->n - 1].score;
    esp_sift sift;
    esp_sift_start(&sift, &scratch->ranking, plan->sieve, esp_popularity_now(index), plan->lo,
        plan->hi, plan->k);
    while (answer->n < most && esp_sift_next(&sift, &label)) {
        score -= 1;
        ESP_TRY(take_other(scratch, answer, label, score, err));
    }
    for (label = plan->lo; scratch->ranking.lost && answer->n < most && label < plan->hi; label++) {
        score -= 1;
        if (!has_label(answer, label) && esp_sieve_lets(plan->sieve, label))
            ESP_TRY(take_other(scratch, answer, label, score, err));
    }
    return ESP_OK;
}

static esp_status place_pins(const esp_index *index, const esp_plan *plan, esp_suggestion *out,
    size_t *count, esp_error *err) {
    esp_pin pins[PINS];
    esp_suggestion pinned[PINS];
    const uint32_t found = esp_overlay_pins(
        plan->query->overlay, plan->query->prefix.data, plan->prefix_bytes, pins, PINS);
    uint32_t n = 0;
    for (uint32_t i = 0; i < found; i++) {
        uint32_t label = ESP_NO_LABEL;
        ESP_TRY(
            esp_find_label(index, pins[i].text.data, (uint32_t)pins[i].text.length, &label, err));
        if (!esp_sieve_lets(plan->sieve, label))
            continue;
        const esp_popularity now = esp_popularity_now(index);
        pins[n] = pins[i];
        pinned[n++] = (esp_suggestion){.text = pins[i].text,
            .display = pins[i].display,
            .label = label,
            .source = ESP_SOURCE_POPULAR,
            .popularity = label == ESP_NO_LABEL ? 0 : (float)now.value[label] / plan->most,
            .matched = plan->prefix_bytes,
            .pinned = 1};
    }
    *count = esp_overlay_place(pins, pinned, n, out, (uint32_t)*count, plan->k);
    return ESP_OK;
}

/* Takes at most `most` of what begins as typed, then corrections; `corrections`: how many of
 * those there were. */
static esp_status take_all(const esp_index *index, esp_scratch *scratch, esp_answer *answer,
    uint32_t most, uint32_t *corrections, esp_error *err) {
    const esp_plan *plan = answer->plan;
    uint32_t i = 0;
    uint32_t tails = 0;
    answer->n = 0;
    for (; i < scratch->n_ranked; i++) {
        const uint32_t at = scratch->order[i];
        const bool generated = scratch->ranked[at]->label == ESP_NO_LABEL;
        if (scratch->ranked[at]->edits > 0)
            break;
        if (answer->n == most || (generated && tails == plan->most_tails))
            continue;
        const uint32_t before_it = answer->n;
        ESP_TRY(take(answer, scratch->ranked[at], scratch->ranked_score[at], err));
        tails += generated && answer->n > before_it;
    }
    if (answer->n < most && (plan->sources & ESP_SOURCE_POPULAR) != 0 && !all_ranked(scratch, plan))
        ESP_TRY(fill_up(index, scratch, answer, most, err));
    const uint32_t exact = answer->n;
    for (; i < scratch->n_ranked && answer->n < plan->k; i++) {
        /* Below all that begins as typed, also for who sorts by score. */
        const float score = answer->n == 0 ? 0 : answer->out[answer->n - 1].score - 1;
        ESP_TRY(take(answer, scratch->ranked[scratch->order[i]], score, err));
    }
    *corrections = answer->n - exact;
    return ESP_OK;
}

esp_status esp_order(const esp_index *index, esp_scratch *scratch, const esp_plan *plan,
    esp_suggestion *out, size_t *count, esp_error *err) {
    score(index, scratch, plan);
    sort(scratch, scratch->order, scratch->n_ranked);
    esp_answer answer = {.index = index,
        .plan = plan,
        .context = &scratch->context,
        .out = out,
        .variant = scratch->variants};
    uint32_t corrections = 0;
    ESP_TRY(take_all(index, scratch, &answer, plan->most_exact, &corrections, err));
    /* Variants took places that were kept for corrections: the others come back. */
    if (answer.n < plan->k && plan->most_exact < plan->k)
        ESP_TRY(take_all(index, scratch, &answer, plan->k - corrections, &corrections, err));
    *count = answer.n;
    return plan->query->overlay == NULL ? ESP_OK : place_pins(index, plan, out, count, err);
}

esp_status esp_scratch_explain(const esp_scratch *scratch, size_t i, float *out, esp_error *err) {
    if (i >= scratch->n_ranked)
        ESP_FAIL(err, ESP_E_ARGUMENT, "ranked", i, "candidate %zu of %u", i, scratch->n_ranked);
    memset(out, 0, (ESP_RANK_COUNT + 1) * sizeof *out);
    if (scratch->by_forest && scratch->ranked[i]->edits == 0)
        esp_forest_explain(scratch->index, scratch->x + i * ESP_RANK_COUNT, out);
    return ESP_OK;
}
