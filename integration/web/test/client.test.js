import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, ServiceError } from "../src/index.js";
import { Service } from "./support.js";

test("a request says what stands in the box and what was submitted before", async () => {
  const service = new Service();
  const client = new Client({
    url: "https://complete.shop.example",
    index: "en",
    unit: "u1",
    previousQueries: () => ["tent"],
    fields: () => ({ allowedSources: ["SUGGESTION_SOURCE_MODEL"] }),
    fetch: service.fetch,
  });
  const answer = client.complete(client.request("c"));
  service.newest.reply(["camp stove"]);

  assert.equal(service.newest.url, "https://complete.shop.example/v1/complete");
  const { intentId, ...asked } = service.newest.body;
  assert.match(intentId, /^\w{8,64}$/);
  assert.deepEqual(asked, {
    prefix: "c",
    maxSuggestions: 8,
    experiment: { unit: "u1" },
    index: "en",
    previousQueries: ["tent"],
    allowedSources: ["SUGGESTION_SOURCE_MODEL"],
  });
  assert.equal((await answer).suggestions[0]?.text, "camp stove");
  assert.equal((await answer).engineMilliseconds, 0.214);
});

test("a refusal says its status and nothing that was typed", async () => {
  const service = new Service();
  const client = new Client({ fetch: service.fetch });
  const answer = client.complete(client.request("canary"));
  service.newest.refuse(429);

  await assert.rejects(answer, (error) => {
    assert.ok(error instanceof ServiceError);
    assert.equal(error.status, 429);
    assert.doesNotMatch(error.message, /canary/);
    return true;
  });
});

test("an answer that is something else is refused", async () => {
  const client = new Client({ fetch: async () => new Response('{"hello": 1}') });

  await assert.rejects(client.complete({ prefix: "c" }), ServiceError);
});

test("an answer that takes too long is given up", async () => {
  const service = new Service();
  const client = new Client({ fetch: service.fetch, timeout: 5 });

  await assert.rejects(client.complete({ prefix: "c" }), { name: "TimeoutError" });
});

test("who stops waiting stops the request", async () => {
  const service = new Service();
  const client = new Client({ fetch: service.fetch });
  const stop = new AbortController();
  const answer = client.complete({ prefix: "c" }, stop.signal);
  stop.abort();

  await assert.rejects(answer, { name: "AbortError" });
  assert.equal(service.newest.init.signal?.aborted, true);
});

test("a submitted query goes by beacon, with the suggestion it came from", () => {
  const { beacon, beacons } = new Service();
  const client = new Client({ sessionId: "s1", beacon });
  const intent = client.request("c").intentId;
  const accepted = { suggestionSetId: "set-1", position: 2 };
  client.submitted("camp stove", accepted, { suggestionSetId: "set-1", prefixLength: 1 });
  client.submitted("tent");

  assert.deepEqual(beacons.map((one) => one.url), ["/v1/queries", "/v1/queries"]);
  const [{ eventId, ...first }, { eventId: other, ...second }] = beacons.map((one) => one.body);
  assert.deepEqual(first, {
    sessionId: "s1",
    query: "camp stove",
    intentId: intent,
    suggestionSetId: "set-1",
    prefixLength: 1,
    accepted,
  });
  assert.notEqual(eventId, other);
  assert.notEqual(second.intentId, intent);
});

test("without a session queries are reported as events", () => {
  const { beacon, beacons } = new Service();
  const client = new Client({ beacon, unit: "u1" });
  client.submitted("camp stove", { suggestionSetId: "set-1", position: 2 });

  const [{ url, body }] = /** @type {[{url: string, body: any}]} */ (beacons);
  assert.equal(url, "/v1/events");
  assert.deepEqual(
    body.events.map((/** @type {any} */ one) => [one.action, one.query, one.unit, one.position]),
    [
      ["EVENT_ACTION_ACCEPTANCE", "camp stove", "u1", 2],
      ["EVENT_ACTION_SUBMISSION", "camp stove", "u1", undefined],
    ],
  );
  assert.equal(body.events[0].intentId, body.events[1].intentId);
  assert.notEqual(body.events[0].eventId, body.events[1].eventId);
});

test("what is given up is an event of its own, and ends its episode", () => {
  const { beacon, beacons } = new Service();
  const client = new Client({ sessionId: "s1", unit: "u1", beacon });
  const intentId = client.request("te").intentId;
  client.abandoned("te", { suggestionSetId: "set-1", prefixLength: 2 });

  const [{ url, body }] = /** @type {[{url: string, body: any}]} */ (beacons);
  const { eventId, ...event } = body.events[0];
  assert.equal(url, "/v1/events");
  assert.deepEqual(event, {
    action: "EVENT_ACTION_ABANDONMENT",
    query: "te",
    intentId,
    sessionId: "s1",
    unit: "u1",
    suggestionSetId: "set-1",
    prefixLength: 2,
  });
  assert.match(eventId, /^\w+$/);
  assert.notEqual(client.request("te").intentId, intentId);
});

test("nothing is reported of blank queries, nor where that is switched off", () => {
  const { beacon, beacons } = new Service();
  new Client({ beacon, report: false }).submitted("tent");
  new Client({ beacon, report: false }).abandoned("te");
  new Client({ beacon }).abandoned(" ");
  new Client({ sessionId: "s1", beacon }).submitted("  ");

  assert.deepEqual(beacons, []);
});

test("where there are no beacons a request that outlives the page is sent", () => {
  const service = new Service();
  new Client({ sessionId: "s1", fetch: service.fetch }).submitted("tent");

  assert.equal(service.newest.init.keepalive, true);
  assert.equal(service.newest.body.query, "tent");
});

test("a session is forgotten by its id, whatever is in it", async () => {
  const service = new Service();
  const client = new Client({ sessionId: "a/b ?", fetch: service.fetch });
  const forgotten = client.forget();
  service.newest.reply([]);
  await forgotten;

  assert.equal(service.newest.url, "/v1/sessions/a%2Fb%20%3F");
  assert.equal(service.newest.init.method, "DELETE");
});
