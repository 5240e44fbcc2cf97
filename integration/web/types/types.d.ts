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
