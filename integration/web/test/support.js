/** @import {Suggestion} from "../src/index.js" */

/**
 * @param {string} text
 * @param {number} [typed]
 * @param {string} [displayText]
 * @returns {Suggestion}
 */
export function suggestion(text, typed = 0, displayText = text) {
  const source = "SUGGESTION_SOURCE_MODEL";
  return { text, displayText, score: 1, source, matchedUtf16Units: typed };
}

/** A service whose replies come when the test says so, in the order it says. */
export class Service {
  /** @type {{url: string, init: RequestInit, body: any, reply: (texts: string[], more?: object) => void, refuse: (status: number) => void, fail: (error: Error) => void}[]} */
  asked = [];
  /** @type {{url: string, body: any}[]} */
  beacons = [];

  /** @type {typeof fetch} */
  fetch = (url, init = {}) =>
    new Promise((resolve, reject) => {
      const body = typeof init.body === "string" ? JSON.parse(init.body) : undefined;
      init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      this.asked.push({
        url: String(url),
        init,
        body,
        reply: (texts, more) => resolve(answerOf(body, texts, more)),
        refuse: (status) => resolve(new Response("{}", { status })),
        fail: reject,
      });
    });

  /** @param {string} url @param {string} body */
  beacon = (url, body) => {
    this.beacons.push({ url, body: JSON.parse(body) });
    return true;
  };

  get newest() {
    const last = this.asked.at(-1);
    if (!last) throw new Error("nothing was asked");
    return last;
  }
}

/**
 * @param {any} request
 * @param {string[]} texts
 * @param {object} [more]
 */
function answerOf(request, texts, more = {}) {
  const document = {
    header: { index: "default", indexRevision: "0" },
    prefix: request?.prefix ?? "",
    sequence: request?.sequence ?? "0",
    suggestionSetId: "set-1",
    suggestions: texts.map((text) => suggestion(text, request?.prefix.length)),
    degradations: [],
    ...more,
  };
  const headers = { "server-timing": "complete;dur=0.214" };
  return new Response(JSON.stringify(document), { headers });
}

/** Lets everything that is ready happen. */
export function settled() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
