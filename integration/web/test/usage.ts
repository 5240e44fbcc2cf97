// The package as somebody uses it from outside; never run, only checked.
import { Client, Combobox, Lookup, type Suggestion } from "espalier-web";
import { createEspalierPlugin } from "espalier-web/algolia";
import { autocomplete } from "@algolia/autocomplete-js";

const client = new Client({ url: "", sessionId: "s1", previousQueries: () => ["tent"] as const });
const input = document.createElement("input");
const box = new Combobox(input, { client, debounce: 0, onSubmit: (query) => query.trim() });
export const taken: Suggestion | undefined = box.active;
export const lookup = new Lookup(client, { cacheSize: 10 });

const plugin = createEspalierPlugin({ client, lookup });
export const sources = plugin.getSources({ query: "te" });
export const other = () => autocomplete({ container: "#search", plugins: [plugin] });

// @ts-expect-error a slip in the name of an option
new Client({ sesionId: "s1" });
// @ts-expect-error no box
new Combobox(document.createElement("p"), { client });
// @ts-expect-error no client
new Combobox(input, {});
