/** @import {Accepted, Answer, Fields, Typed} from "./types.js" */
/**
 * A service that refused, or answered with something else than completions.
 *
 * What it sent is not in the message: it may repeat what somebody typed.
 */
export class ServiceError extends Error {
    /** @param {number} status Of HTTP. */
    constructor(status: number);
    status: number;
}
/**
 * @typedef {object} ClientOptions
 * @property {string} [url] Where the HTTP front is, without a slash at the end; "": here.
 * @property {string} [index] One of several that are served.
 * @property {number} [maxSuggestions] In a list; 8 by default.
 * @property {string} [sessionId] The service remembers this session's queries.
 * @property {() => readonly string[]} [previousQueries] Or this page does: most recent first.
 * @property {() => Fields} [fields] More fields for each request.
 * @property {string} [unit] Who asks, as experiments of the site tell people apart.
 * @property {boolean} [report] Whether queries are reported where no session records them; true
 *   by default.
 * @property {number} [timeout] Milliseconds that an answer may take; 2,000 by default.
 * @property {typeof fetch} [fetch] Asks; by default the browser's.
 * @property {(url: string, body: string) => boolean} [beacon] Sends what needs no answer;
 *   by default `navigator.sendBeacon`.
 */
/** Talks with the HTTP front: a question and an answer, and reports that need none. */
export class Client {
    /** @param {ClientOptions} [options] */
    constructor(options?: ClientOptions);
    /**
     * The request for a prefix, as it is now.
     *
     * @param {string} prefix
     * @returns {Fields}
     */
    request(prefix: string): Fields;
    /**
     * Asks for completions.
     *
     * @param {Fields} request
     * @param {AbortSignal} [signal] Stops waiting.
     * @returns {Promise<Answer>}
     * @throws {ServiceError} It refused.
     * @throws {TypeError} It could not be reached.
     * @throws {DOMException} It took too long (`TimeoutError`), or was stopped (`AbortError`).
     */
    complete(request: Fields, signal?: AbortSignal): Promise<Answer>;
    /**
     * Reports that a query was submitted: it is context from then on, and an event.
     *
     * Survives that the page is left. Whether it arrived is not known, and never an error.
     *
     * @param {string} query
     * @param {Accepted} [accepted] The suggestion it came from; absent if it was typed.
     * @param {Typed} [typed] What was there before.
     */
    submitted(query: string, accepted?: Accepted, typed?: Typed): void;
    /**
     * Forgets the session.
     *
     * @throws {ServiceError} It was not forgotten.
     */
    forget(): Promise<void>;
    #private;
}
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
     * Whether queries are reported where no session records them; true
     * by default.
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
import type { Fields } from "./types.js";
import type { Answer } from "./types.js";
import type { Accepted } from "./types.js";
import type { Typed } from "./types.js";
