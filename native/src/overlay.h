/* overlay.h: blocks, pins and boosts beside an index.
 *
 * The public part stands in espalier.h.  An overlay is one allocation that
 * nothing writes to once it is made:
 *
 *   [esp_overlay][entries: queries, words][pins][slots ...][filters ...][texts]
 *
 * Exact queries and words are found in open-addressed tables of (tag, entry),
 * behind a filter of bits; what fits there is only a reason to compare the bytes.
 * Pins are sorted by text, so those of a prefix are a range. */
#ifndef ESP_OVERLAY_H
#define ESP_OVERLAY_H

#include "base.h"

/* Whether a word, as it stands between two spaces, has a blocked word in it:
 * what esp_overlay_blocks() asks of every word of a text, but not whether the
 * text as a whole is blocked.  For generators, to give up early. */
bool esp_overlay_blocks_word(const esp_overlay *overlay, const uint8_t *word, size_t length);

/* Puts pins into an answer.  `out` has `n` suggestions of at most `k`, and room for
 * k; `pinned[i]` is what is to be shown for pins[i], which ascend as
 * esp_overlay_pins() gives them.  A pin stands at its position, behind the pins
 * before it and not behind the end of the list; whatever `out` has of the same
 * text goes, and what no longer fits goes from the end.  Returns the new n. */
uint32_t esp_overlay_place(const esp_pin *pins, const esp_suggestion *pinned, uint32_t n_pins,
    esp_suggestion *out, uint32_t n, uint32_t k);

#endif
