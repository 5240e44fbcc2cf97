/** @import {Client} from "./client.js" */
/** @import {Lookup} from "./lookup.js" */

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

/**
 * @typedef {object} ClientOptions
 * @property {string} [url] Where the HTTP front is, without a slash at the end; "": here.
 * @property {string} [index] One of several that are served.
 * @property {number} [maxSuggestions] In a list; 8 by default.
 * @property {string} [sessionId] The service remembers this session's queries.
 * @property {() => readonly string[]} [previousQueries] Or this page does: most recent first.
 * @property {() => Fields} [fields] More fields for each request.
 * @property {string} [unit] Who asks, as experiments of the site tell people apart.
 * @property {boolean} [report] Whether events are reported: what was given up, and queries where
 *   no session records them; true by default.
 * @property {number} [timeout] Milliseconds that an answer may take; 2,000 by default.
 * @property {typeof fetch} [fetch] Asks; by default the browser's.
 * @property {(url: string, body: string) => boolean} [beacon] Sends what needs no answer;
 *   by default `navigator.sendBeacon`.
 */

/**
 * @typedef {object} Shown
 * @property {string} typed What stands in the box.
 * @property {Suggestion[]} suggestions
 * @property {Answer | undefined} answer Where they come from.
 * @property {boolean} open
 */

/**
 * @typedef {object} ComboboxOptions
 * @property {Client} client Whom to ask.
 * @property {Lookup} [lookup] Where answers are kept; one of its own by default.
 * @property {HTMLElement} [listbox] Where the list goes; by default a new element behind the box.
 * @property {string} [label] Names the list for those who do not see it.
 * @property {number} [debounce] Milliseconds of silence before it asks; 50 by default.
 * @property {number} [minLength] Code units typed before it asks; 0 by default: likely queries.
 * @property {boolean} [stay] Whether the list stays when the focus leaves; for pages with room.
 * @property {(query: string, suggestion?: Suggestion) => void} [onSubmit] Told of what was
 *   submitted; without it the form around the box is.
 * @property {(shown: Shown) => void} [onShow] Told whenever the list was drawn.
 * @property {(suggestion: Suggestion | undefined) => void} [onPoint] Told what is pointed at.
 * @property {(error: unknown) => void} [onError] Told why there is no answer.
 * @property {(option: HTMLElement, suggestion: Suggestion) => void} [draw] Draws an option.
 * @property {(count: number) => string} [announce] Says how many suggestions there are.
 */

export {};
