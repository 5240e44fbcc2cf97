import assert from "node:assert/strict";
import { test } from "node:test";

import core from "@algolia/autocomplete-core";

import { createEspalierPlugin } from "../src/algolia.js";
import { Client } from "../src/index.js";
import { Service, settled, suggestion } from "./support.js";

function search() {
  const service = new Service();
  const client = new Client({ sessionId: "s1", fetch: service.fetch, beacon: service.beacon });
  /** @type {any} */
  let state;
  const box = core.createAutocomplete({
    id: "search",
    openOnFocus: true,
    environment: /** @type {any} */ (globalThis),
    plugins: [/** @type {any} */ (createEspalierPlugin({ client }))],
    onStateChange: (change) => {
      state = change.state;
    },
  });
  return { service, box, state: () => state };
}

test("completions are a source", async () => {
  const { service, box, state } = search();
  box.setQuery("te");
  const refreshed = box.refresh();
  await settled();
  service.newest.reply(["tent", "tea pot"]);
  await refreshed;

  const [collection] = state().collections;
  assert.equal(collection.source.sourceId, "espalier");
  assert.deepEqual(
    collection.items.map((/** @type {any} */ one) => [one.text, one.position, one.suggestionSetId]),
    [["tent", 1, "set-1"], ["tea pot", 2, "set-1"]],
  );
  assert.equal(collection.source.getItemInputValue({ item: collection.items[0] }), "tent");
});

test("what is taken is reported with its place, what is typed without", async () => {
  const { service, box, state } = search();
  box.setQuery("te");
  const refreshed = box.refresh();
  await settled();
  service.newest.reply(["tent", "tea pot"]);
  await refreshed;
  const [{ source, items }] = state().collections;
  source.onSelect({ item: items[1] });
  box.getFormProps({ inputElement: null }).onSubmit(
    /** @type {any} */ ({ preventDefault: () => {} }),
  );

  assert.deepEqual(
    service.beacons.map(({ body }) => [body.sessionId, body.query, body.accepted]),
    [
      ["s1", "tea pot", { suggestionSetId: "set-1", position: 2 }],
      ["s1", "te", undefined],
    ],
  );
});

test("a suggestion is drawn as text, with what was typed told apart", () => {
  const plugin = createEspalierPlugin({ client: new Client({ fetch: new Service().fetch }) });
  const [source] = plugin.getSources({ query: "te" });
  const drawn = source?.templates.item({
    item: { ...suggestion("tent", 2, "Tent"), suggestionSetId: "set-1", position: 1 },
    html: (/** @type {TemplateStringsArray} */ _parts, /** @type {string[]} */ ...values) => values,
  });

  assert.deepEqual(drawn, ["Te", "nt"]);
});
