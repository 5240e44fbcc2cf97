/** @import {Accepted, Answer, ClientOptions, Fields, Typed} from "./types.js" */
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
     * Reports that typing ended and nothing was submitted.
     *
     * @param {string} query What was typed.
     * @param {Typed} [typed] What was there.
     */
    abandoned(query: string, typed?: Typed): void;
    /**
     * Forgets the session.
     *
     * @throws {ServiceError} It was not forgotten.
     */
    forget(): Promise<void>;
    #private;
}
import type { Fields } from "./types.js";
import type { Answer } from "./types.js";
import type { Accepted } from "./types.js";
import type { Typed } from "./types.js";
import type { ClientOptions } from "./types.js";
