import { byId, element } from "./dom.js";

const KEY = "espalier-session";
const MOST = 32;

/**
 * The queries of this session, most recent first. They live in this tab, and travel with every
 * request: the service remembers nothing.
 */
export class Session {
  #changed;
  #queries = [];

  /** @param {() => void} changed Called after every change. */
  constructor(changed) {
    this.#changed = changed;
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
      this.#queries = kept.filter((one) => typeof one?.text === "string" && one.at > 0);
    } catch {
      // Nothing is kept where the browser forbids it, or something else wrote there.
    }
    byId("clear").addEventListener("click", () => this.#set([]));
    this.#draw();
  }

  get texts() {
    return this.#queries.map((one) => one.text);
  }

  /** Seconds since each was submitted. */
  get ages() {
    return this.#queries.map((one) => Math.max(0, Math.round((Date.now() - one.at) / 1_000)));
  }

  /** @param {string} text */
  add(text) {
    const others = this.#queries.filter((one) => one.text !== text);
    this.#set([{ text, at: Date.now() }, ...others].slice(0, MOST));
  }

  #set(queries) {
    this.#queries = queries;
    try {
      sessionStorage.setItem(KEY, JSON.stringify(queries));
    } catch {
      // As above.
    }
    this.#draw();
    this.#changed();
  }

  #draw() {
    const rows = this.#queries.map((one) =>
      element(
        "li",
        {},
        element("bdi", { title: one.text }, one.text),
        element(
          "button.plain",
          {
            type: "button",
            "aria-label": `Forget ${one.text}`,
            onclick: () => this.#set(this.#queries.filter((other) => other !== one)),
          },
          "×",
        ),
      ),
    );
    byId("queries").replaceChildren(...rows);
    byId("clear").hidden = rows.length === 0;
    byId("starters").hidden = rows.length > 0;
  }
}
