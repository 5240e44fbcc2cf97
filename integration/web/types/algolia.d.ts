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
export function createEspalierPlugin({ client, lookup, transformSource }: PluginOptions): {
    name: string;
    /** @param {{query: string}} given */
    getSources: ({ query }: {
        query: string;
    }) => Source[];
    /** @param {{state: {query: string}}} given */
    onSubmit: ({ state }: {
        state: {
            query: string;
        };
    }) => void;
};
export type Item = Suggestion & {
    suggestionSetId: string;
    position: number;
};
/**
 * A source as `autocomplete` takes it.
 */
export type Source = {
    sourceId: string;
    getItems: () => Promise<Item[]>;
    getItemInputValue: (given: {
        item: Item;
    }) => string;
    onSelect: (given: {
        item: Item;
    }) => void;
    templates: {
        item: (given: {
            item: Item;
            html: any;
        }) => any;
    };
};
export type PluginOptions = {
    /**
     * Whom to ask.
     */
    client: Client;
    /**
     * Where answers are kept; one of its own by default.
     */
    lookup?: Lookup;
    /**
     * Changes the source, as to give it
     * templates of your own.
     */
    transformSource?: (source: Source) => Source;
};
import type { Suggestion } from "./types.js";
import type { Client } from "./client.js";
import { Lookup } from "./lookup.js";
