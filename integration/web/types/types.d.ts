/**
 * What travels: messages of `espalier.v1` in the JSON mapping of Protocol Buffers. Only the
 * fields that are read here are named; replies have more.
 */
export type Suggestion = {
    /**
     * The query, normalised: what identifies the suggestion.
     */
    text: string;
    /**
     * The form to show.
     */
    displayText: string;
    score: number;
    /**
     * `SUGGESTION_SOURCE_MODEL`, `…_POPULAR`, `…_TAIL` or `…_CORRECTED`.
     */
    source: string;
    /**
     * How much of `text`, from its start, was typed.
     */
    matchedUtf16Units: number;
    /**
     * What the score is made of, where that was asked.
     */
    contributions?: Contribution[];
};
/**
 * What travels: messages of `espalier.v1` in the JSON mapping of Protocol Buffers. Only the
 * fields that are read here are named; replies have more.
 */
export type Contribution = {
    feature: string;
    value?: number | string;
    contribution: number;
};
/**
 * What travels: messages of `espalier.v1` in the JSON mapping of Protocol Buffers. Only the
 * fields that are read here are named; replies have more.
 */
export type Answer = {
    header: {
        index: string;
        indexRevision: string;
        variants?: Record<string, string>;
    };
    /**
     * Distinct, best first.
     */
    suggestions: Suggestion[];
    /**
     * The prefix that was asked, as it was sent.
     */
    prefix: string;
    /**
     * Counts up with every question.
     */
    sequence: string;
    /**
     * Names this answer in later reports.
     */
    suggestionSetId: string;
    degradations: string[];
    /**
     * What the service took, where it says so.
     */
    engineMilliseconds?: number;
};
/**
 * What travels: messages of `espalier.v1` in the JSON mapping of Protocol Buffers. Only the
 * fields that are read here are named; replies have more.
 */
export type Accepted = {
    suggestionSetId: string;
    /**
     * From 1 on.
     */
    position: number;
};
/**
 * What was there when a query was submitted.
 */
export type Typed = {
    /**
     * Names what was shown last.
     */
    suggestionSetId?: string;
    /**
     * Code points that were typed.
     */
    prefixLength?: number;
};
/**
 * Of a `CompleteRequest`, as `{allowedSources: […]}`.
 */
export type Fields = Record<string, unknown>;
export type ClientOptions = {
    /**
     * Where the HTTP front is, without a slash at the end; "": here.
     */
    url?: string;
    /**
     * One of several that are served.
     */
    index?: string;
    /**
     * In a list; 8 by default.
     */
    maxSuggestions?: number;
    /**
     * The service remembers this session's queries.
     */
    sessionId?: string;
    /**
     * Or this page does: most recent first.
     */
    previousQueries?: () => readonly string[];
    /**
     * More fields for each request.
     */
    fields?: () => Fields;
    /**
     * Who asks, as experiments of the site tell people apart.
     */
    unit?: string;
    /**
     * Whether events are reported: what was given up, and queries where
     * no session records them; true by default.
     */
    report?: boolean;
    /**
     * Milliseconds that an answer may take; 2,000 by default.
     */
    timeout?: number;
    /**
     * Asks; by default the browser's.
     */
    fetch?: typeof fetch;
    /**
     * Sends what needs no answer;
     * by default `navigator.sendBeacon`.
     */
    beacon?: (url: string, body: string) => boolean;
};
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
import type { Client } from "./client.js";
import type { Lookup } from "./lookup.js";
