/**
 * Session-aware query completion in a search page.
 *
 *     import { Client, Combobox } from "espalier-web";
 *
 *     const client = new Client({ url: "https://complete.shop.example", sessionId });
 *     new Combobox(document.querySelector("#search"), { client });
 *
 * @module
 */
export { Client, ServiceError } from "./client.js";
export { Combobox, drawText } from "./combobox.js";
export { Lookup } from "./lookup.js";
export { narrowed, partsOf } from "./parts.js";

/** @typedef {import("./types.js").Accepted} Accepted */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Contribution} Contribution */
/** @typedef {import("./types.js").Suggestion} Suggestion */
/** @typedef {import("./types.js").Typed} Typed */
/** @typedef {import("./types.js").ClientOptions} ClientOptions */
/** @typedef {import("./types.js").ComboboxOptions} ComboboxOptions */
/** @typedef {import("./lookup.js").LookupOptions} LookupOptions */
