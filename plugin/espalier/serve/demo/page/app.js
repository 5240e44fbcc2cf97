import { byId, element } from "./dom.js";
import { Client, Combobox, Lookup, drawText, narrowed } from "./espalier/index.js";
import { Latency } from "./latency.js";
import { search } from "./results.js";
import { Session } from "./session.js";
import { switches, variants, wordFor } from "./sources.js";
import { explain } from "./why.js";

const FIRST = "Search for something, then type two letters of what comes next.";
const SHOWN = 8;
// Milliseconds without a keystroke after which it is worth saying something.
const QUIET = 250;
const STARTERS = 4;
// As much of what was typed as a row has room for, beside what completes it.
const ROOM = 20;

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
/** What the plain list is the answer to. */
let plainFor = "";

input.addEventListener("input", (event) => latency.begin(event));

const box = new Combobox(input, {
  client,
  listbox: byId("list"),
  label: "Completions with this session",
  debounce: 0,
  stay: true,
  draw(option, suggestion) {
    drawRow(option, suggestion);
    option.append(element("b.moved"));
  },
  onShow({ typed, answer, suggestions }) {
    const answered = answer?.prefix === typed;
    byId("list-nothing").hidden = !answered || suggestions.length > 0;
    // What is for something else goes, here as in the list of the session.
    if (plainFor !== typed) drawPlain(narrowed(plain, typed), typed);
    else compare();
    if (answered) {
      latency.end(answer.engineMilliseconds);
      askPlain(typed);
    }
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
    invite();
    search(text);
  },
  onError() {
    clearTimeout(summing);
    hint("The service does not answer; what still fits stays. The next letter asks again.", true);
  },
});

/** @param {HTMLElement} row @param {import("./espalier/types.js").Suggestion} suggestion */
function drawRow(row, suggestion) {
  row.append(element(`i.dot.${wordFor(suggestion.source)}`));
  drawText(row, suggestion);
  const text = row.querySelector("bdi");
  const typed = text.firstChild;
  if (typed.length <= ROOM) return;
  // What is long gives way, or what completes it would not be seen.
  text.className = "long";
  row.title = text.textContent;
  typed.replaceWith(element("span", {}, typed.data));
}

// ---- without context ----------------------------------------------------------------

function askPlain(typed) {
  without.ask(typed, {
    answer({ suggestions }) {
      drawPlain(suggestions, typed);
      byId("plain-nothing").hidden = suggestions.length > 0 || box.shown.suggestions.length === 0;
      summing = setTimeout(summarise, QUIET);
    },
  });
}

/** @param {import("./espalier/types.js").Suggestion[]} suggestions @param {string} typed */
function drawPlain(suggestions, typed) {
  plain = suggestions;
  plainFor = typed;
  clearTimeout(summing);
  byId("plain-nothing").hidden = true;
  byId("plain").replaceChildren(
    ...suggestions.map((one) => {
      const row = element("li", {
        onpointerenter: () => {
          pointed = { context: false, text: one.text };
          explainSoon(0);
        },
      });
      drawRow(row, one);
      return row;
    }),
  );
  compare();
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
    mark.title = before === undefined
      ? "Not among the first without context"
      : `Place ${place + 1}; without context ${before + 1}`;
    if (session.texts.length === 0) mark.textContent = "";
  });
}

let summing = 0;

/** Says in words what the session did, once nobody types any more. */
function summarise() {
  const { typed } = box.shown;
  const marks = [...byId("list").querySelectorAll(".moved.up:not(:empty)")];
  if (session.texts.length === 0) hint(typed ? "" : FIRST);
  else if (typed) {
    const fresh = marks.filter((one) => one.textContent === "new").length;
    const up = marks.length - fresh;
    const did = [fresh && `brings in ${fresh} (new)`, up && `moves ${up} up (▲)`].filter(Boolean);
    hint(`After “${session.texts[0]}” the session ${did.join(" and ") || "changes nothing here"}.`);
  } else invite();
}

function invite() {
  const [last] = session.texts;
  hint(`Now type two letters: the list on the left knows of “${last}”, the other does not.`);
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
      // Nothing is known of what is shown, and what is no longer shown goes.
    }
    const found = text ? suggestions.find((one) => one.text === text) : suggestions[0];
    if (pointed.text !== text || typed !== box.shown.typed) return;
    const key = JSON.stringify(found);
    if (key !== drawn) explain(found, about.groups);
    drawn = key;
  }, wait);
}

// ---- the rest -----------------------------------------------------------------------

function hint(text, wrong = false) {
  byId("hint").textContent = text;
  byId("hint").classList.toggle("wrong", wrong);
}

async function begin() {
  explain(undefined, {});
  box.refresh();
  const [facts, popular] = await Promise.all([
    fetch("/demo/about").then((reply) => reply.json()),
    without.get(""),
  ]);
  about = facts;
  // What was explained before the groups were known has no bars.
  drawn = "";
  explainSoon(0);
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
