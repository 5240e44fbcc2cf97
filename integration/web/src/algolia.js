/** @import {Accepted, Suggestion} from "./types.js" */
/** @import {Client} from "./client.js" */
import { Lookup } from "./lookup.js";
import { partsOf } from "./parts.js";

/**
 * @typedef {Suggestion & {suggestionSetId: string, position: number}} Item
 *
 * @typedef {object} PluginOptions
 * @property {Client} client Whom to ask.
 * @property {Lookup} [lookup] Where answers are kept; one of its own by default.
 * @property {(source: Record<string, any>) => Record<string, any>} [transformSource] Changes
 *   the source, as to give it templates of your own.
 */

/**
 * A plugin for `autocomplete` of `@algolia/autocomplete-js`: completions as one source.
 *
 *     autocomplete({ container: "#search", plugins: [createEspalierPlugin({ client })] });
 *
 * What is submitted is reported, with the suggestion it came from; the order of answers is
 * kept by `autocomplete` itself.
 *
 * @param {PluginOptions} options
 */
export function createEspalierPlugin({ client, lookup, transformSource = (one) => one }) {
  const answers = lookup ?? new Lookup(client);
  /** @param {string} query @param {Accepted} [accepted] */
  const submitted = (query, accepted) => {
    client.submitted(query, accepted);
    answers.clear();
  };
  return {
    name: "espalier",
    /** @param {{query: string}} given */
    getSources: ({ query }) => [
      transformSource({
        sourceId: "espalier",
        /** @returns {Promise<Item[]>} */
        getItems: async () => {
          const { suggestions, suggestionSetId } = await answers.get(query);
          return suggestions.map((one, place) => ({
            ...one,
            suggestionSetId,
            position: place + 1,
          }));
        },
        /** @param {{item: Item}} given */
        getItemInputValue: ({ item }) => item.displayText || item.text,
        /** @param {{item: Item}} given */
        onSelect: ({ item }) => {
          const { suggestionSetId, position } = item;
          submitted(item.displayText || item.text, { suggestionSetId, position });
        },
        templates: {
          /** @param {{item: Item, html: (parts: TemplateStringsArray, ...values: unknown[]) => any}} given */
          item: ({ item, html }) => {
            const { typed, rest } = partsOf(item);
            return html`<bdi>${typed}<mark>${rest}</mark></bdi>`;
          },
        },
      }),
    ],
    /** @param {{state: {query: string}}} given */
    onSubmit: ({ state }) => submitted(state.query),
  };
}
