import assert from "node:assert/strict";
import { test } from "node:test";

import { narrowed, partsOf } from "../src/index.js";
import { suggestion } from "./support.js";

test("what is shown is split where the typed part ends", () => {
  assert.deepEqual(partsOf(suggestion("tent pegs", 3)), { typed: "ten", rest: "t pegs" });
  assert.deepEqual(partsOf(suggestion("tent", 0)), { typed: "", rest: "tent" });
  assert.deepEqual(partsOf(suggestion("tent", 4)), { typed: "tent", rest: "" });
});

test("capitals and wide forms are split where the plain text is", () => {
  assert.deepEqual(partsOf(suggestion("tent pegs", 3, "Tent Pegs")), {
    typed: "Ten",
    rest: "t Pegs",
  });
  // One character that stands for two.
  assert.deepEqual(partsOf(suggestion("fish tank", 4, "ﬁsh tank")), {
    typed: "ﬁsh",
    rest: " tank",
  });
});

test("a character of two units is never torn", () => {
  assert.deepEqual(partsOf(suggestion("🏕️ tent", 3)), { typed: "🏕️", rest: " tent" });
  assert.deepEqual(partsOf(suggestion("𝒜b", 2, "𝒜b")), { typed: "𝒜", rest: "b" });
});

test("what begins otherwise is not split", () => {
  assert.deepEqual(partsOf(suggestion("tent", 3, "Camping tent")), {
    typed: "",
    rest: "Camping tent",
  });
});

test("what still fits what is typed stays, and is split anew", () => {
  const list = [suggestion("tent", 1), suggestion("tea pot", 1), suggestion("torch", 1)];

  assert.deepEqual(
    narrowed(list, "Te").map((one) => [one.text, one.matchedUtf16Units]),
    [["tent", 2], ["tea pot", 2]],
  );
  assert.deepEqual(narrowed(list, "x"), []);
  assert.equal(narrowed(list, "  tea   p").length, 1);
});
