/** @import {Answer} from "./types.js" */
/** @import {Client} from "./client.js" */
/**
 * @typedef {object} LookupOptions
 * @property {number} [cacheSize] Answers kept; 200 by default, 0 for none.
 * @property {number} [cacheSeconds] For how long; 30 by default.
 * @property {() => number} [now] Milliseconds that only grow; `performance.now` by default.
 */
/**
 * @typedef {object} Told
 * @property {(answer: Answer) => void} answer Called with answers newer than those before.
 * @property {(error: unknown) => void} [error] Called if the newest question has no answer.
 */
/**
 * @typedef {object} Question
 * @property {number} sequence
 * @property {AbortController} controller
 */
/**
 * Questions in a row, of which only the newest counts.
 *
 * At most two are under way: the newest, and the oldest. Were the oldest given up with every
 * keystroke, whoever types faster than the line answers would see nothing until the end; its
 * answer is shown until the newest one comes. One that comes after a newer one is dropped.
 */
export class Lookup {
    /**
     * @param {Client} client
     * @param {LookupOptions} [options]
     */
    constructor(client: Client, { cacheSize, cacheSeconds, now }?: LookupOptions);
    /**
     * Asks; what was asked before is overtaken. An answer that is kept comes before this returns.
     *
     * @param {string} prefix
     * @param {Told} told
     */
    ask(prefix: string, told: Told): void;
    /**
     * The answer for a prefix, kept or asked; in order with nothing.
     *
     * @param {string} prefix
     * @param {AbortSignal} [signal]
     * @returns {Promise<Answer>}
     */
    get(prefix: string, signal?: AbortSignal): Promise<Answer>;
    /** Gives up what is under way. */
    cancel(): void;
    /** Gives up what is under way and forgets every answer: the session has changed. */
    clear(): void;
    #private;
}
export type LookupOptions = {
    /**
     * Answers kept; 200 by default, 0 for none.
     */
    cacheSize?: number;
    /**
     * For how long; 30 by default.
     */
    cacheSeconds?: number;
    /**
     * Milliseconds that only grow; `performance.now` by default.
     */
    now?: () => number;
};
export type Told = {
    /**
     * Called with answers newer than those before.
     */
    answer: (answer: Answer) => void;
    /**
     * Called if the newest question has no answer.
     */
    error?: (error: unknown) => void;
};
export type Question = {
    sequence: number;
    controller: AbortController;
};
import type { Answer } from "./types.js";
import type { Client } from "./client.js";
