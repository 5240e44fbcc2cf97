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
export function partsOf({ text, displayText, matchedUtf16Units }: Suggestion): Parts;
/**
 * Those suggestions that still begin with what is typed by now, told how much that is: what
 * can be shown while a newer answer is on its way, or does not come.
 *
 * @param {readonly Suggestion[]} suggestions
 * @param {string} typed
 * @returns {Suggestion[]}
 */
export function narrowed(suggestions: readonly Suggestion[], typed: string): Suggestion[];
export type Parts = {
    /**
     * What the user typed of it; "" if it is not known.
     */
    typed: string;
    /**
     * What completes it.
     */
    rest: string;
};
import type { Suggestion } from "./types.js";
