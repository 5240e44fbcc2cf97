import { byId, element } from "./dom.js";

const NAMES = {
  host: ["Host search", "SQLite FTS5, BM25 over stems"],
  retrieval: ["Retrieval model", "the tree that completes, trained on products"],
};
let asked = 0;

/**
 * Searches, and shows what was found.
 *
 * @param {string} query
 */
export async function search(query) {
  const place = byId("results");
  const mine = ++asked;
  place.setAttribute("aria-busy", "true");
  let lists;
  try {
    const reply = await fetch(`/demo/search?q=${encodeURIComponent(query)}`);
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    ({ lists } = await reply.json());
  } catch {
    if (mine === asked) show(place, element("p.note", {}, "The search did not answer; try again."));
    return;
  }
  if (mine !== asked) return;
  if (lists.length === 0) {
    show(place, element("p.note", {}, "Completions only: no catalogue was given (serve.demo_catalogue)."));
    return;
  }
  const title = element("h2", {}, "Results for ", element("bdi", {}, query));
  const known = new Set(lists[0].products.map((one) => one.product_id));
  const columns = lists.map((list, number) => column(list, number > 0 ? known : undefined));
  show(place, title, element("div.columns", {}, ...columns));
}

/** @param {HTMLElement} place @param {...Node} children */
function show(place, ...children) {
  place.removeAttribute("aria-busy");
  place.replaceChildren(...children);
}

function column({ name, milliseconds, products }, known) {
  const [title, what] = NAMES[name];
  const cards = products.map((one) => card(one, known && !known.has(one.product_id)));
  return element(
    "section",
    {},
    element("h3", {}, title, element("small", {}, ` ${what} · ${milliseconds.toFixed(2)} ms`)),
    cards.length ? element("ol.cards", {}, ...cards) : element("p.note", {}, "Nothing found."),
  );
}

function card(product, own) {
  const swatch = element("i.swatch", { "aria-hidden": "true" }, product.category.slice(0, 1).toUpperCase());
  if (CSS.supports("color", product.colour)) swatch.style.setProperty("--colour", product.colour);
  const about = [product.category, product.price && `£${product.price}`].filter(Boolean).join(" · ");
  return element(
    "li",
    {},
    swatch,
    element("bdi", {}, product.title),
    element("small", {}, about, ...(own ? [element("b.own", {}, "only here")] : [])),
  );
}
