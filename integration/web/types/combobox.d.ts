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
 * leaves; Alt with Down opens the list, with Up closes it; Right at the end of the text puts
 * the chosen suggestion into the box to go on from. While an input method composes, keys are
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
    /** Takes everything away that was added. */
    destroy(): void;
    #private;
}
export type Shown = {
    /**
     * What stands in the box.
     */
    typed: string;
    suggestions: Suggestion[];
    /**
     * Where they come from.
     */
    answer: Answer | undefined;
    open: boolean;
};
export type ComboboxOptions = {
    /**
     * Whom to ask.
     */
    client: Client;
    /**
     * Where answers are kept; one of its own by default.
     */
    lookup?: Lookup;
    /**
     * Where the list goes; by default a new element behind the box.
     */
    listbox?: HTMLElement;
    /**
     * Names the list for those who do not see it.
     */
    label?: string;
    /**
     * Milliseconds of silence before it asks; 50 by default.
     */
    debounce?: number;
    /**
     * Code units typed before it asks; 0 by default: likely queries.
     */
    minLength?: number;
    /**
     * Whether the list stays when the focus leaves; for pages with room.
     */
    stay?: boolean;
    /**
     * Told of what was
     * submitted; without it the form around the box is.
     */
    onSubmit?: (query: string, suggestion?: Suggestion) => void;
    /**
     * Told whenever the list was drawn.
     */
    onShow?: (shown: Shown) => void;
    /**
     * Told what is pointed at.
     */
    onPoint?: (suggestion: Suggestion | undefined) => void;
    /**
     * Told why there is no answer.
     */
    onError?: (error: unknown) => void;
    /**
     * Draws an option.
     */
    draw?: (option: HTMLElement, suggestion: Suggestion) => void;
    /**
     * Says how many suggestions there are.
     */
    announce?: (count: number) => string;
};
import type { Suggestion } from "./types.js";
import type { Answer } from "./types.js";
import type { Client } from "./client.js";
import { Lookup } from "./lookup.js";
