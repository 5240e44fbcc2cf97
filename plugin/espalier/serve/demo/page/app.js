import { byId, element } from "./dom.js";
import { Client, Combobox, Lookup, drawText } from "./espalier/index.js";
import { Latency } from "./latency.js";
import { search } from "./results.js";
import { Session } from "./session.js";
import { switches, variants, wordFor } from "./sources.js";
import { explain } from "./why.js";

const SHOWN = 8;
const STARTERS = 4;

const input = /** @type {HTMLInputElement} */ (byId("q"));
const latency = new Latency();
let about = { groups: {}, experiments: {} };
let more = () => ({});
/** What is pointed at: a list and a place in it. */
let pointed = { context: true, text: "" };

const session = new Session(() => box.refresh());
const chosen = switches(() => box.refresh());
const common = () => ({ ...chosen(), ...more() });
const known = () => (session.texts.length ? { previousQueryAges: session.ages } : {});
const client = new Client({
  maxSuggestions: SHOWN,
  previousQueries: () => session.texts,
  fields: () => ({ ...common(), ...known() }),
});
const bare = new Client({ maxSuggestions: SHOWN, fields: common });
const explaining = {
  true: new Lookup(new Client({
    maxSuggestions: SHOWN,
    previousQueries: () => session.texts,
    fields: () => ({ ...common(), ...known(), explain: true }),
  })),
  false: new Lookup(new Client({ maxSuggestions: SHOWN, fields: () => ({ ...common(), explain: true }) })),
};
const without = new Lookup(bare);

/** @type {import("./espalier/types.js").Suggestion[]} */
let plain = [];

input.addEventListener("input", (event) => latency.begin(event));

const box = new Combobox(input, {
  client,
  listbox: byId("list"),
  label: "Completions with this session",
  debounce: 0,
  stay: true,
  draw(option, suggestion) {
    option.append(element(`i.dot.${wordFor(suggestion.source)}`));
    drawText(option, suggestion);
    option.append(element("b.moved"));
  },
  onShow({ typed, answer, open }) {
    if (answer?.prefix === typed) latency.end(answer.engineMilliseconds);
    compare();
    if (open) askPlain(typed);
    pointed = { context: true, text: "" };
    explainSoon();
  },
  onPoint(suggestion) {
    if (!suggestion) return;
    pointed = { context: true, text: suggestion.text };
    explainSoon(0);
  },
  onSubmit(query) {
    const text = query.trim();
    if (!text) return;
    input.value = "";
    session.add(text);
    hint(`Now type two letters: the list on the left knows of “${text}”, the other does not.`);
    search(text);
  },
  onError: () => hint("The service does not answer; what still fits stays."),
});

// ---- without context ----------------------------------------------------------------

function askPlain(typed) {
  without.ask(typed, {
    answer({ suggestions }) {
      plain = suggestions;
      byId("plain").replaceChildren(
        ...suggestions.map((one) => {
          const row = element("li", {
            onpointerenter: () => {
              pointed = { context: false, text: one.text };
              explainSoon(0);
            },
          });
          row.append(element(`i.dot.${wordFor(one.source)}`));
          drawText(row, one);
          return row;
        }),
      );
      compare();
    },
  });
}

/** Says beside each suggestion what the session did to its place. */
function compare() {
  const places = new Map(plain.map((one, place) => [one.text, place]));
  const rows = byId("list").children;
  box.shown.suggestions.forEach((one, place) => {
    const mark = rows[place]?.querySelector(".moved");
    if (!mark) return;
    const before = places.get(one.text);
    const up = before === undefined ? 0 : before - place;
    const alike = session.texts.length === 0 || up === 0;
    mark.textContent = alike && before !== undefined ? "" : up > 0 ? `▲${up}` : up < 0 ? `▼${-up}` : "new";
    mark.className = `moved ${before === undefined || up > 0 ? "up" : "down"}`;
    if (session.texts.length === 0) mark.textContent = "";
  });
}

// ---- why ----------------------------------------------------------------------------

let waiting = 0;
let drawn = "";

/** Asks for an explanation once nobody types: it costs as much as a completion again. */
function explainSoon(wait = 200) {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const { context, text } = pointed;
    const { typed } = box.shown;
    let suggestions = [];
    try {
      ({ suggestions } = await explaining[String(context)].get(typed));
    } catch {
      // It stays as it is.
      return;
    }
    const found = text ? suggestions.find((one) => one.text === text) : suggestions[0];
    if (pointed.text !== text || typed !== box.shown.typed) return;
    const key = JSON.stringify(found);
    if (key !== drawn) explain(found, about.groups);
    drawn = key;
  }, wait);
}

// ---- the rest -----------------------------------------------------------------------

function hint(text) {
  byId("hint").textContent = text;
}

async function begin() {
  explain(undefined, {});
  box.refresh();
  const [facts, popular] = await Promise.all([
    fetch("/demo/about").then((reply) => reply.json()),
    without.get(""),
  ]);
  about = facts;
  more = variants(facts.experiments, () => box.refresh());
  byId("starter-list").replaceChildren(
    ...popular.suggestions.slice(0, STARTERS).map((one) =>
      element("button.chip", { type: "button", onclick: () => start(one.displayText) }, one.displayText),
    ),
  );
}

/** @param {string} text */
function start(text) {
  input.value = text;
  /** @type {HTMLFormElement} */ (byId("form")).requestSubmit();
  input.focus();
}

begin().catch(() => hint("The service does not answer."));
if (matchMedia("(hover: hover)").matches) input.focus();
