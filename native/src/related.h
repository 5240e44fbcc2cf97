/* related.h: words the session did not use, but may be about to. */
#ifndef ESP_RELATED_H
#define ESP_RELATED_H

#include "context.h"
#include "index.h"
#include "step.h"

/* Adds to the session's words those related to the words of its newest queries:
 * other forms of them, corrections of them, and words that people type after them.
 * Those that begin as the word being typed come first. */
void esp_related_fill(esp_context *context, const esp_index *index, const esp_typed *typed);

#endif
