import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Client, Lookup } from "../src/index.js";
import { Service, settled } from "./support.js";

/** @type {Service} */
let service;
/** @type {string[]} */
let previous;
/** @type {string[]} */
let shown;
/** @type {unknown[]} */
let failed;
/** @type {number} */
let now;

beforeEach(() => {
  service = new Service();
  previous = [];
  shown = [];
  failed = [];
  now = 0;
});

/** @param {import("../src/index.js").LookupOptions} [options] */
function lookupOf(options) {
  const client = new Client({ fetch: service.fetch, previousQueries: () => previous });
  return new Lookup(client, { now: () => now, ...options });
}

/** @param {Lookup} lookup @param {string} prefix */
function ask(lookup, prefix) {
  lookup.ask(prefix, {
    answer: (answer) => shown.push(answer.prefix),
    error: (error) => failed.push(error),
  });
}

test("an old answer never comes after a newer one", async () => {
  const lookup = lookupOf();
  ask(lookup, "t");
  ask(lookup, "te");
  service.asked[1]?.reply(["tent"]);
  await settled();
  service.asked[0]?.reply(["tea"]);
  await settled();

  assert.deepEqual(shown, ["te"]);
  assert.equal(service.asked[0]?.init.signal?.aborted, true);
});

test("the oldest question stays under way, so that a slow line shows something", async () => {
  const lookup = lookupOf();
  for (const prefix of ["t", "te", "ten", "tent"]) ask(lookup, prefix);

  const stopped = service.asked.map((one) => one.init.signal?.aborted);
  assert.deepEqual(stopped, [false, true, true, false]);
  service.asked[0]?.reply(["tent"]);
  await settled();
  service.asked[3]?.reply(["tent pegs"]);
  await settled();
  assert.deepEqual(shown, ["t", "tent"]);
  assert.deepEqual(failed, []);
});

test("for every order in which answers come, what is shown last is the newest", async () => {
  for (const order of permutations([0, 1, 2, 3])) {
    service = new Service();
    shown = [];
    const lookup = lookupOf();
    for (const prefix of ["t", "te", "ten", "tent"]) ask(lookup, prefix);
    for (const place of order) {
      service.asked[place]?.reply(["tent"]);
      await settled();
    }
    assert.equal(shown.at(-1), "tent");
    assert.deepEqual(shown, [...shown].sort((one, other) => one.length - other.length));
  }
});

test("what was asked before is answered at once, as long as it is fresh", async () => {
  const lookup = lookupOf({ cacheSeconds: 30 });
  ask(lookup, "t");
  service.newest.reply(["tent"]);
  await settled();
  now = 29_000;
  ask(lookup, "t");
  assert.deepEqual([shown.length, service.asked.length], [2, 1]);

  now = 31_000;
  ask(lookup, "t");
  assert.equal(service.asked.length, 2);
});

test("another context is another question", async () => {
  const lookup = lookupOf();
  ask(lookup, "t");
  service.newest.reply(["tent"]);
  await settled();
  previous = ["tent"];
  ask(lookup, "t");

  assert.equal(service.asked.length, 2);
});

test("the cache holds so many answers and no more", async () => {
  const lookup = lookupOf({ cacheSize: 2 });
  for (const prefix of ["a", "b", "c"]) {
    ask(lookup, prefix);
    service.newest.reply([]);
    await settled();
  }
  ask(lookup, "c");
  assert.equal(service.asked.length, 3);
  ask(lookup, "a");
  assert.equal(service.asked.length, 4);
});

test("what is degraded is not kept", async () => {
  const lookup = lookupOf();
  ask(lookup, "t");
  service.newest.reply(["tent"], { degradations: ["DEGRADATION_POPULAR_ONLY"] });
  await settled();
  ask(lookup, "t");

  assert.equal(service.asked.length, 2);
});

test("a kept answer overtakes a question that is under way", async () => {
  const lookup = lookupOf();
  ask(lookup, "t");
  service.newest.reply(["tent"]);
  await settled();
  ask(lookup, "te");
  ask(lookup, "t");
  service.newest.reply(["tea"]);
  await settled();

  assert.deepEqual(shown, ["t", "t"]);
});

test("only the newest question tells that it failed", async () => {
  const lookup = lookupOf();
  ask(lookup, "t");
  ask(lookup, "te");
  service.asked[0]?.fail(new TypeError("offline"));
  await settled();
  assert.deepEqual(failed, []);

  service.asked[1]?.fail(new TypeError("offline"));
  await settled();
  assert.equal(failed.length, 1);
});

test("what is given up says nothing any more", async () => {
  const lookup = lookupOf();
  ask(lookup, "t");
  lookup.cancel();
  service.newest.reply(["tent"]);
  await settled();

  assert.deepEqual([shown, failed], [[], []]);
  assert.equal(service.newest.init.signal?.aborted, true);
});

test("a session that changed leaves nothing behind", async () => {
  const lookup = lookupOf();
  ask(lookup, "t");
  service.newest.reply(["tent"]);
  await settled();
  lookup.clear();
  ask(lookup, "t");

  assert.equal(service.asked.length, 2);
});

/** @param {number[]} items @returns {number[][]} */
function permutations(items) {
  if (items.length < 2) return [items];
  return items.flatMap((item, place) =>
    permutations(items.filter((_, other) => other !== place)).map((rest) => [item, ...rest]),
  );
}

test("an answer from before the session changed is not kept after it", async () => {
  const lookup = lookupOf();
  const given = lookup.get("t");
  lookup.clear();
  service.newest.reply(["tea"]);
  await given;
  const again = lookup.get("t");
  await settled();

  assert.equal(service.asked.length, 2);
  service.newest.reply(["tent"]);
  assert.equal((await again).suggestions[0]?.text, "tent");
});
