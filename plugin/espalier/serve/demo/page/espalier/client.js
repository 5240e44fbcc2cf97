/** @import {Accepted, Answer, ClientOptions, Fields, Typed} from "./types.js" */

/**
 * A service that refused, or answered with something else than completions.
 *
 * What it sent is not in the message: it may repeat what somebody typed.
 */
export class ServiceError extends Error {
  /** @param {number} status Of HTTP. */
  constructor(status) {
    super(`the completion service answered with HTTP ${status}`);
    this.name = "ServiceError";
    this.status = status;
  }
}

/** Talks with the HTTP front: a question and an answer, and reports that need none. */
export class Client {
  #url;
  #options;
  #fetch;
  #beacon;
  #intent = newId();

  /** @param {ClientOptions} [options] */
  constructor(options = {}) {
    this.#options = options;
    this.#url = options.url ?? "";
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#beacon = options.beacon ?? ((url, body) => this.#send(url, body));
  }

  /**
   * The request for a prefix, as it is now.
   *
   * @param {string} prefix
   * @returns {Fields}
   */
  request(prefix) {
    const { index, sessionId, previousQueries, fields, unit, maxSuggestions = 8 } = this.#options;
    const previous = previousQueries?.() ?? [];
    return {
      prefix,
      maxSuggestions,
      intentId: this.#intent,
      ...(unit && { experiment: { unit } }),
      ...(index && { index }),
      ...(sessionId && { sessionId }),
      ...(previous.length > 0 && { previousQueries: previous }),
      ...fields?.(),
    };
  }

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
  async complete(request, signal) {
    const controller = new AbortController();
    const stop = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", stop);
    const timer = setTimeout(
      () => controller.abort(new DOMException("no answer in time", "TimeoutError")),
      this.#options.timeout ?? 2_000,
    );
    try {
      signal?.throwIfAborted();
      const reply = await this.#fetch(`${this.#url}/v1/complete`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(request),
        signal: controller.signal,
      });
      if (!reply.ok) throw new ServiceError(reply.status);
      const answer = /** @type {Answer} */ (await reply.json());
      if (!Array.isArray(answer?.suggestions)) throw new ServiceError(reply.status);
      const took = /(?:^|,)\s*complete;dur=([\d.]+)/.exec(reply.headers.get("server-timing") ?? "");
      return took ? { ...answer, engineMilliseconds: Number(took[1]) } : answer;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /**
   * Reports that a query was submitted: it is context from then on, and an event.
   *
   * Survives that the page is left. Whether it arrived is not known, and never an error.
   *
   * @param {string} query
   * @param {Accepted} [accepted] The suggestion it came from; absent if it was typed.
   * @param {Typed} [typed] What was there before.
   */
  submitted(query, accepted, typed) {
    const { sessionId, unit, report = true } = this.#options;
    if (!query.trim()) return;
    const said = { query, intentId: this.#intent, eventId: newId(), ...(unit && { unit }), ...typed };
    this.#intent = newId();
    if (sessionId) {
      this.#tell("queries", { sessionId, ...said, ...(accepted && { accepted }) });
    } else if (report) {
      const events = [{ action: "EVENT_ACTION_SUBMISSION", ...said }];
      const taken = { ...said, ...accepted, eventId: newId(), action: "EVENT_ACTION_ACCEPTANCE" };
      this.#tell("events", { events: accepted ? [taken, ...events] : events });
    }
  }

  /**
   * Reports that typing ended and nothing was submitted.
   *
   * @param {string} query What was typed.
   * @param {Typed} [typed] What was there.
   */
  abandoned(query, typed) {
    const { sessionId, unit, report = true } = this.#options;
    if (!report || !query.trim()) return;
    const action = "EVENT_ACTION_ABANDONMENT";
    const who = { ...(sessionId && { sessionId }), ...(unit && { unit }) };
    const said = { query, intentId: this.#intent, eventId: newId() };
    this.#intent = newId();
    this.#tell("events", { events: [{ action, ...said, ...who, ...typed }] });
  }

  /**
   * Forgets the session.
   *
   * @throws {ServiceError} It was not forgotten.
   */
  async forget() {
    const { sessionId } = this.#options;
    if (!sessionId) return;
    const url = `${this.#url}/v1/sessions/${encodeURIComponent(sessionId)}`;
    const reply = await this.#fetch(url, { method: "DELETE" });
    if (!reply.ok) throw new ServiceError(reply.status);
  }

  /** @param {string} kind @param {object} body */
  #tell(kind, body) {
    this.#beacon(`${this.#url}/v1/${kind}`, JSON.stringify(body));
  }

  /**
   * A string goes as `text/plain`, so that no preflight is needed.
   *
   * @param {string} url
   * @param {string} body
   */
  #send(url, body) {
    if (globalThis.navigator?.sendBeacon?.(url, body)) return true;
    // The browser's own queue is full, or there is none.
    this.#fetch(url, { method: "POST", body, keepalive: true }).catch(() => {});
    return false;
  }
}

/** Something random; `crypto.randomUUID` is for secure pages only. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (one) => one.toString(36)).join("");
}
