/** @import {Accepted, Suggestion} from "./types.js" */
/** @import {Client} from "./client.js" */
import { Lookup } from "./lookup.js";
import { partsOf } from "./parts.js";

/**
 * @typedef {Suggestion & {suggestionSetId: string, position: number}} Item
 *
 * @typedef {object} Source A source as `autocomplete` takes it.
 * @property {string} sourceId
 * @property {() => Promise<Item[]>} getItems
 * @property {(given: {item: Item}) => string} getItemInputValue
 * @property {(given: {item: Item}) => void} onSelect
 * @property {{item: (given: {item: Item, html: any}) => any}} templates
 *
 * @typedef {object} PluginOptions
 * @property {Client} client Whom to ask.
 * @property {Lookup} [lookup] Where answers are kept; one of its own by default.
 * @property {(source: Source) => Source} [transformSource] Changes the source, as to give it
 *   templates of your own.
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
        getItems: async () => {
          const { suggestions, suggestionSetId } = await answers.get(query);
          return suggestions.map((one, place) => ({
            ...one,
            suggestionSetId,
            position: place + 1,
          }));
        },
        getItemInputValue: ({ item }) => item.displayText || item.text,
        onSelect: ({ item }) => {
          const { suggestionSetId, position } = item;
          submitted(item.displayText || item.text, { suggestionSetId, position });
        },
        templates: {
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
