/**
 * Draws the text of a suggestion: what was typed, and what completes it in a `mark`.
 *
 * @param {HTMLElement} parent
 * @param {Suggestion} suggestion
 */
export function drawText(parent: HTMLElement, suggestion: Suggestion): void;
/**
 * An input with completions below it: the combobox pattern of WAI-ARIA 1.2, with a list of
 * which one is chosen by hand.
 *
 * The focus stays in the box. Down and Up go through the list and the box itself, Enter takes
 * what is chosen or submits what is typed, Escape closes the list and then empties the box, Tab
 * leaves; Alt with Down opens the list, with Up closes it; Right at the end of the text (Left
 * where it runs that way) puts the chosen suggestion into the box to go on from. While an input method composes, keys are
 * its own and the box is not touched. It asks all the same: on a phone every word is composed.
 */
export class Combobox {
    /**
     * @param {HTMLInputElement} input
     * @param {ComboboxOptions} options
     */
    constructor(input: HTMLInputElement, options: ComboboxOptions);
    /** What is shown. */
    get shown(): Shown;
    /** The suggestion that is chosen, if one is. */
    get active(): Suggestion | undefined;
    /** Asks anew for what stands in the box: the context has changed. */
    refresh(): void;
    /** Closes the list. */
    close(): void;
    /** Takes everything away that was added, and leaves the box as it was. */
    destroy(): void;
    #private;
}
import type { Suggestion } from "./types.js";
import type { Shown } from "./types.js";
import type { ComboboxOptions } from "./types.js";
