/** @import {Suggestion} from "./types.js" */

/**
 * @typedef {object} Parts
 * @property {string} typed What the user typed of it; "" if it is not known.
 * @property {string} rest What completes it.
 */

/**
 * Splits what is shown of a suggestion into what was typed and what completes it.
 *
 * The service counts in `text`; what is shown may have other capitals or other forms of the
 * same characters, and be of another length. It is split where its beginning is the typed
 * part of `text`, and not at all if there is no such place.
 *
 * @param {Suggestion} suggestion
 * @returns {Parts}
 */
export function partsOf({ text, displayText, matchedUtf16Units }) {
  const shown = displayText || text;
  const typed = folded(text.slice(0, matchedUtf16Units));
  if (folded(shown.slice(0, matchedUtf16Units)) === typed && !inside(shown, matchedUtf16Units)) {
    return { typed: shown.slice(0, matchedUtf16Units), rest: shown.slice(matchedUtf16Units) };
  }
  let at = 0;
  for (const character of shown) {
    at += character.length;
    const beginning = folded(shown.slice(0, at));
    if (beginning === typed) return { typed: shown.slice(0, at), rest: shown.slice(at) };
    if (beginning.length > 2 * typed.length + 8) break;
  }
  return { typed: "", rest: shown };
}

/**
 * Those suggestions that still begin with what is typed by now, told how much that is: what
 * can be shown while a newer answer is on its way, or does not come.
 *
 * @param {readonly Suggestion[]} suggestions
 * @param {string} typed
 * @returns {Suggestion[]}
 */
export function narrowed(suggestions, typed) {
  const wanted = folded(typed).replace(/\s+/gu, " ").trimStart();
  return suggestions
    .filter((one) => one.text.startsWith(wanted))
    .map((one) => ({ ...one, matchedUtf16Units: wanted.length }));
}

/** @param {string} text */
function folded(text) {
  return text.normalize("NFKC").toLowerCase();
}

/**
 * Whether a place is between the two halves of one character.
 *
 * @param {string} text
 * @param {number} at
 */
function inside(text, at) {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}
