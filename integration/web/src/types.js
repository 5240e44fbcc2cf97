/**
 * What travels: messages of `espalier.v1` in the JSON mapping of Protocol Buffers. Only the
 * fields that are read here are named; replies have more.
 *
 * @typedef {object} Suggestion
 * @property {string} text The query, normalised: what identifies the suggestion.
 * @property {string} displayText The form to show.
 * @property {number} score
 * @property {string} source `SUGGESTION_SOURCE_MODEL`, `…_POPULAR`, `…_TAIL` or `…_CORRECTED`.
 * @property {number} matchedUtf16Units How much of `text`, from its start, was typed.
 * @property {Contribution[]} [contributions] What the score is made of, where that was asked.
 *
 * @typedef {object} Contribution
 * @property {string} feature
 * @property {number | string} [value]
 * @property {number} contribution
 *
 * @typedef {object} Answer
 * @property {{index: string, indexRevision: string, variants?: Record<string, string>}} header
 * @property {Suggestion[]} suggestions Distinct, best first.
 * @property {string} prefix The prefix that was asked, as it was sent.
 * @property {string} sequence Counts up with every question.
 * @property {string} suggestionSetId Names this answer in later reports.
 * @property {string[]} degradations
 * @property {number} [engineMilliseconds] What the service took, where it says so.
 *
 * @typedef {object} Accepted
 * @property {string} suggestionSetId
 * @property {number} position From 1 on.
 *
 * @typedef {object} Typed What was there when a query was submitted.
 * @property {string} [suggestionSetId] Names what was shown last.
 * @property {number} [prefixLength] Code points that were typed.
 *
 * @typedef {Record<string, unknown>} Fields Of a `CompleteRequest`, as `{allowedSources: […]}`.
 */

export {};
