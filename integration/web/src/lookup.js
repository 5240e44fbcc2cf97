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
  #client;
  #size;
  #lifetime;
  #now;
  #sequence = 0;
  #shown = 0;
  /** @type {Question[]} */
  #underWay = [];
  /** @type {Map<string, {answer: Answer, since: number}>} */
  #kept = new Map();

  /**
   * @param {Client} client
   * @param {LookupOptions} [options]
   */
  constructor(client, { cacheSize = 200, cacheSeconds = 30, now } = {}) {
    this.#client = client;
    this.#size = cacheSize;
    this.#lifetime = cacheSeconds * 1_000;
    this.#now = now ?? (() => performance.now());
  }

  /**
   * Asks; what was asked before is overtaken. An answer that is kept comes before this returns.
   *
   * @param {string} prefix
   * @param {Told} told
   */
  ask(prefix, told) {
    const request = this.#client.request(prefix);
    const key = keyOf(request);
    const sequence = ++this.#sequence;
    const kept = this.#find(key);
    if (kept) {
      this.cancel();
      told.answer(kept);
      return;
    }
    for (const between of this.#underWay.splice(1)) between.controller.abort();
    const answers = this.#kept;
    const question = { sequence, controller: new AbortController() };
    this.#underWay.push(question);
    this.#client
      .complete({ ...request, sequence: String(sequence) }, question.controller.signal)
      .then(
        (answer) => {
          this.#keep(answers, key, answer);
          if (sequence <= this.#shown) return;
          this.#overtake(sequence);
          told.answer(answer);
        },
        (error) => {
          const newest = sequence === this.#sequence && sequence > this.#shown;
          this.#underWay = this.#underWay.filter((one) => one !== question);
          if (newest && !question.controller.signal.aborted) told.error?.(error);
        },
      );
  }

  /**
   * The answer for a prefix, kept or asked; in order with nothing.
   *
   * @param {string} prefix
   * @param {AbortSignal} [signal]
   * @returns {Promise<Answer>}
   */
  async get(prefix, signal) {
    const request = this.#client.request(prefix);
    const key = keyOf(request);
    const kept = this.#find(key);
    if (kept) return kept;
    const answers = this.#kept;
    const answer = await this.#client.complete(request, signal);
    this.#keep(answers, key, answer);
    return answer;
  }

  /** Gives up what is under way. */
  cancel() {
    this.#overtake(this.#sequence);
  }

  /** Gives up what is under way and forgets every answer: the session has changed. */
  clear() {
    this.cancel();
    // What is under way still has the old ones to write to.
    this.#kept = new Map();
  }

  /** @param {number} sequence */
  #overtake(sequence) {
    this.#shown = sequence;
    for (const one of this.#underWay) if (one.sequence < sequence) one.controller.abort();
    if (sequence === this.#sequence) {
      for (const one of this.#underWay) one.controller.abort();
    }
    this.#underWay = this.#underWay.filter((one) => one.sequence > sequence);
  }

  /** @param {string} key */
  #find(key) {
    const found = this.#kept.get(key);
    if (!found || this.#now() - found.since > this.#lifetime) {
      this.#kept.delete(key);
      return undefined;
    }
    return found.answer;
  }

  /**
   * @param {Map<string, {answer: Answer, since: number}>} answers
   * @param {string} key
   * @param {Answer} answer
   */
  #keep(answers, key, answer) {
    // What is degraded should not last.
    if (this.#size === 0 || answer.degradations?.length) return;
    answers.delete(key);
    answers.set(key, { answer, since: this.#now() });
    const [oldest] = answers.keys();
    if (answers.size > this.#size && oldest !== undefined) answers.delete(oldest);
  }
}

/**
 * What an answer depends on; ages change with every second, too little to matter here.
 *
 * @param {Record<string, unknown>} request
 */
function keyOf(request) {
  return JSON.stringify({ ...request, previousQueryAges: 0, intentId: 0 });
}
