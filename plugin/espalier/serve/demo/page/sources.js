import { byId, element } from "./dom.js";

/** What finds suggestions: the word for it, and what it does. */
export const SOURCES = {
  SUGGESTION_SOURCE_MODEL: ["tree", "Past query that the ranking tree found for the prefix and the session"],
  SUGGESTION_SOURCE_POPULAR: ["popular", "Past query that many people typed"],
  SUGGESTION_SOURCE_TAIL: ["generated", "Put together from words; nobody need have typed it before"],
  SUGGESTION_SOURCE_CORRECTED: ["corrected", "Past query that begins almost as typed"],
};

/** @param {string} source */
export function wordFor(source) {
  return (SOURCES[source] ?? ["other"])[0];
}

/**
 * Switches for sources, and for the variants of experiments where there are any.
 *
 * @param {() => void} changed Called when one was switched.
 * @returns {() => Record<string, unknown>} Gives the fields of a request that they stand for.
 */
export function switches(changed) {
  const off = new Set();
  const boxes = Object.entries(SOURCES).map(([source, [word, meaning]]) => {
    const box = element("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => {
      if (box.checked) off.delete(source);
      else off.add(source);
      // A request for no source at all is an error.
      if (off.size === boxes.length) {
        off.delete(source);
        box.checked = true;
      } else changed();
    });
    return element("label.chip", { title: meaning }, box, element(`i.dot.${word}`), word);
  });
  byId("sources").append(...boxes);
  return () =>
    off.size === 0
      ? {}
      : { allowedSources: Object.keys(SOURCES).filter((source) => !off.has(source)) };
}

/**
 * @param {Record<string, string[]>} experiments The names of their variants.
 * @param {() => void} changed
 * @returns {() => Record<string, unknown>}
 */
export function variants(experiments, changed) {
  /** @type {Record<string, string>} */
  const forced = {};
  for (const [name, known] of Object.entries(experiments)) {
    const choose = element(
      "select",
      {
        onchange: () => {
          if (choose.value) forced[name] = choose.value;
          else delete forced[name];
          changed();
        },
      },
      element("option", { value: "" }, "as assigned"),
      ...known.map((one) => element("option", { value: one }, one)),
    );
    byId("experiments").append(element("label.choice", {}, name, choose));
  }
  return () => (Object.keys(forced).length ? { experiment: { forcedVariants: { ...forced } } } : {});
}
