import { byId, element } from "./dom.js";
import { SOURCES, wordFor } from "./sources.js";

const GROUPS = {
  context: "This session",
  language: "Words in a row",
  popularity: "Popularity",
  model: "Ranking tree",
  text: "Left to type",
  source: "Who found it",
};
const STRONGEST = 2;

/**
 * Draws what a suggestion's score is made of.
 *
 * @param {{displayText: string, source: string, contributions?: {feature: string, contribution: number}[]} | undefined} suggestion
 * @param {Record<string, string>} groups The group of each feature.
 */
export function explain(suggestion, groups) {
  const place = byId("why");
  if (!suggestion) {
    place.replaceChildren(
      element("p.note", {}, "Point at a suggestion, or go to it with the arrow keys."),
    );
    return;
  }
  const word = wordFor(suggestion.source);
  const head = [
    element("p.subject", {}, element("bdi", {}, suggestion.displayText)),
    element(
      "p.found",
      {},
      element(`i.dot.${word}`),
      element("b", {}, word),
      ` ${(SOURCES[suggestion.source] ?? ["", ""])[1]}`,
    ),
  ];
  const parts = (suggestion.contributions ?? []).filter((one) => one.feature !== "average");
  if (parts.length === 0) {
    place.replaceChildren(...head, element("p.note", {}, "Not scored: it stands in the order of its source."));
    return;
  }
  const sums = new Map(Object.keys(GROUPS).map((group) => [group, 0]));
  for (const { feature, contribution } of parts) {
    const group = groups[feature];
    if (sums.has(group)) sums.set(group, sums.get(group) + contribution);
  }
  const low = Math.min(0, ...sums.values());
  const span = Math.max(0, ...sums.values()) - low || 1;
  const bars = [...sums].map(([group, sum]) => {
    const bar = element(sum < 0 ? "i.bar.less" : "i.bar");
    bar.style.setProperty("--size", String(Math.abs(sum) / span));
    return element(
      "li",
      {},
      element("span", {}, GROUPS[group]),
      element("span.track", { "aria-hidden": "true" }, bar),
      element("span.sum", {}, signed(sum)),
    );
  });
  const strongest = [...parts]
    .sort((one, other) => Math.abs(other.contribution) - Math.abs(one.contribution))
    .slice(0, STRONGEST)
    .map((one) => element("span", {}, `${signed(one.contribution)} ${one.feature}`));
  const list = element("ul.bars", { "aria-label": "Parts of its score" }, ...bars);
  list.style.setProperty("--zero", `${(-100 * low) / span}%`);
  place.replaceChildren(...head, list, element("p.strongest", {}, "Strongest features", ...strongest));
}

/** @param {number} value */
function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}
