/** @import {Answer, ComboboxOptions, Shown, Suggestion} from "./types.js" */
import { Lookup } from "./lookup.js";
import { narrowed, partsOf } from "./parts.js";

let count = 0;

/**
 * An input with completions below it: the combobox pattern of WAI-ARIA 1.2, with a list of
 * which one is chosen by hand.
 *
 * The focus stays in the box. Down and Up go through the list and the box itself, Enter takes
 * what is chosen or submits what is typed, Escape closes the list and then empties the box, Tab
 * leaves; Alt with Down opens the list, with Up closes it; Right at the end of the text (Left
 * where it runs that way) puts the chosen suggestion into the box to go on from. While an input method composes, keys are
 * its own and the box is not touched. It asks all the same: on a phone every word is composed.
 */
export class Combobox {
  #input;
  #options;
  #lookup;
  #list;
  #status;
  #made = false;
  /** @type {[HTMLElement, string, string | null][]} Attributes as they were. */
  #were = [];
  /** @type {string | undefined} What was typed last; undefined: nothing since the last query. */
  #episode;
  /** Whether the form is submitted for a suggestion that is reported already. */
  #reported = false;
  #ended = new AbortController();
  /** @type {Shown} */
  #shown = { typed: "", suggestions: [], answer: undefined, open: false };
  #active = -1;
  /** @type {string | undefined} What was asked last; undefined: nothing counts as asked. */
  #asked;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #speaking;

  /**
   * @param {HTMLInputElement} input
   * @param {ComboboxOptions} options
   */
  constructor(input, options) {
    this.#input = input;
    this.#options = options;
    this.#lookup = options.lookup ?? new Lookup(options.client);
    this.#list = options.listbox ?? this.#newList();
    this.#status = hidden(input.ownerDocument);
    this.#list.after(this.#status);
    const list = this.#list;
    this.#set(list, {
      id: list.id || `espalier-list-${++count}`,
      role: "listbox",
      "aria-label": options.label ?? "Suggestions",
      hidden: "",
    });
    this.#set(input, {
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": list.id,
      autocomplete: "off",
      autocapitalize: "off",
      autocorrect: "off",
      spellcheck: "false",
      enterkeyhint: "search",
    });
    this.#listen();
  }

  /** What is shown. */
  get shown() {
    return this.#shown;
  }

  /** The suggestion that is chosen, if one is. */
  get active() {
    return this.#shown.suggestions[this.#active];
  }

  /** Asks anew for what stands in the box: the context has changed. */
  refresh() {
    this.#asked = undefined;
    this.#ask();
  }

  /** Closes the list. */
  close() {
    this.#lookup.cancel();
    clearTimeout(this.#timer);
    this.#asked = undefined;
    this.#show({ open: false });
  }

  /** Takes everything away that was added, and leaves the box as it was. */
  destroy() {
    this.#abandon();
    this.close();
    this.#ended.abort();
    clearTimeout(this.#speaking);
    this.#status.remove();
    this.#list.replaceChildren();
    if (this.#made) this.#list.remove();
    for (const [element, name, value] of this.#were.splice(0)) {
      if (value === null) element.removeAttribute(name);
      else element.setAttribute(name, value);
    }
  }

  /** @param {HTMLElement} element @param {Record<string, string>} attributes */
  #set(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      this.#were.push([element, name, element.getAttribute(name)]);
      element.setAttribute(name, value);
    }
  }

  // ---- what happens ---------------------------------------------------------------

  #listen() {
    const input = this.#input;
    const list = this.#list;
    const { signal } = this.#ended;
    const changed = () => {
      // Chosen is chosen for what was typed.
      this.#activate(-1);
      // Who empties the box may go on; what was there is remembered until it is left.
      if (input.value.trim()) this.#episode = input.value;
      this.#later();
    };
    input.addEventListener("input", changed, { signal });
    // Some browsers end a composition without an input event.
    input.addEventListener("compositionend", changed, { signal });
    input.addEventListener("keydown", (event) => this.#key(event), { signal });
    input.addEventListener("focus", () => this.#later(), { signal });
    // After Escape, or where the focus was set before.
    input.addEventListener("click", () => this.#shown.open || this.#later(), { signal });
    const left = () => {
      if (!this.#options.stay) this.close();
      // With text in it the box is left for its button, or for a moment.
      if (!input.value.trim()) this.#abandon();
    };
    input.addEventListener("blur", left, { signal });
    const view = input.ownerDocument.defaultView;
    view?.addEventListener("pagehide", () => this.#abandon(), { signal });
    // The focus stays in the box, or the list would close before the click.
    list.addEventListener("mousedown", (event) => event.preventDefault(), { signal });
    list.addEventListener("click", (event) => this.#take(this.#at(event)), { signal });
    const point = (/** @type {Event} */ event) => this.#point(this.#at(event));
    list.addEventListener("pointerover", point, { signal });
    list.addEventListener("pointerleave", () => this.#point(this.#active), { signal });
    input.form?.addEventListener("submit", (event) => this.#submitted(event), { signal });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // 229: Safari ends the composition before the Enter that ended it.
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey) return;
    const { open, suggestions } = this.#shown;
    const { key, altKey } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      if (key === "ArrowUp" && altKey) this.close();
      else if (!open) this.refresh();
      else if (!altKey) this.#move(key === "ArrowDown" ? 1 : -1);
    } else if (key === "Enter") {
      if (open && this.#active >= 0) {
        event.preventDefault();
        this.#take(this.#active);
      } else if (!this.#input.form) {
        this.#submit(this.#input.value);
      }
    } else if (key === "Escape") {
      // Where a dialog is around the box, the key is the dialog's if there is nothing to close.
      if (!open && !this.#input.value) return;
      event.preventDefault();
      event.stopPropagation();
      if (open) this.close();
      else this.#fill("");
    } else if (key === "Tab") {
      if (!this.#options.stay) this.close();
    } else if (key === onward(this.#input)) {
      const chosen = suggestions[this.#active];
      if (!chosen || event.shiftKey || altKey) return;
      const { value, selectionStart, selectionEnd } = this.#input;
      if (selectionStart !== value.length || selectionEnd !== value.length) return;
      event.preventDefault();
      this.#fill(shownOf(chosen));
    } else if (key === "Home" || key === "End") {
      this.#activate(-1);
    }
  }

  /** @param {number} step */
  #move(step) {
    // The box is one place more, between the last and the first.
    const places = this.#shown.suggestions.length + 1;
    this.#activate(((this.#active + 1 + step + places) % places) - 1);
  }

  /** @param {Event} event */
  #at(event) {
    const option = /** @type {Element} */ (event.target).closest("[role=option]");
    return option ? [...this.#list.children].indexOf(option) : -1;
  }

  /** @param {number} place */
  #take(place) {
    const suggestion = this.#shown.suggestions[place];
    if (suggestion) this.#submit(shownOf(suggestion), suggestion, place + 1);
  }

  /** @param {SubmitEvent} event */
  #submitted(event) {
    if (this.#options.onSubmit) event.preventDefault();
    if (!this.#reported) this.#submit(this.#input.value);
  }

  /**
   * @param {string} query
   * @param {Suggestion} [suggestion]
   * @param {number} [position]
   */
  #submit(query, suggestion, position) {
    const { answer } = this.#shown;
    const typed = this.#input.value;
    const { client, onSubmit } = this.#options;
    const suggestionSetId = answer?.suggestionSetId;
    const accepted = suggestionSetId && position ? { suggestionSetId, position } : undefined;
    this.#input.value = query;
    if (query.trim()) this.#episode = undefined;
    this.close();
    client.submitted(query, accepted, {
      prefixLength: [...typed].length,
      ...(suggestionSetId && { suggestionSetId }),
    });
    // What was asked before knows nothing of this query.
    this.#lookup.clear();
    if (onSubmit) onSubmit(query, suggestion);
    else if (suggestion) this.#resubmit();
  }

  /** Submits the form as its button does: what the page checks or does then is done. */
  #resubmit() {
    this.#reported = true;
    this.#input.form?.requestSubmit();
    this.#reported = false;
  }

  /** Reports that what was typed came to nothing. */
  #abandon() {
    const typed = this.#episode;
    if (typed === undefined) return;
    this.#episode = undefined;
    const suggestionSetId = this.#shown.answer?.suggestionSetId;
    this.#options.client.abandoned(typed, {
      prefixLength: [...typed].length,
      ...(suggestionSetId && { suggestionSetId }),
    });
  }

  /** @param {string} text */
  #fill(text) {
    this.#input.value = text;
    this.#input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // ---- asking ---------------------------------------------------------------------

  #later() {
    clearTimeout(this.#timer);
    const wait = this.#options.debounce ?? 50;
    if (wait > 0) this.#timer = setTimeout(() => this.#ask(), wait);
    else this.#ask();
  }

  #ask() {
    clearTimeout(this.#timer);
    const typed = this.#input.value;
    if (typed === this.#asked) return;
    if (typed.length < (this.#options.minLength ?? 0)) {
      this.close();
      return;
    }
    this.#asked = typed;
    this.#list.setAttribute("aria-busy", "true");
    this.#lookup.ask(typed, {
      answer: (answer) => this.#answered(answer, typed),
      error: (error) => {
        // What still fits may stay; a list for something else would mislead.
        this.#asked = undefined;
        this.#still(this.#input.value);
        this.#options.onError?.(error);
      },
    });
  }

  /**
   * @param {Answer} answer
   * @param {string} typed What it is the answer to.
   */
  #answered(answer, typed) {
    const now = this.#input.value;
    if (typed !== now && typed !== this.#asked) {
      // An older answer, while the newest is on its way.
      this.#show({ answer, suggestions: answer.suggestions });
      this.#still(now);
      this.#list.setAttribute("aria-busy", "true");
      return;
    }
    const { suggestions } = answer;
    this.#show({ typed, answer, suggestions, open: suggestions.length > 0 });
  }

  /** @param {string} typed */
  #still(typed) {
    const suggestions = narrowed(this.#shown.suggestions, typed);
    this.#show({ typed, suggestions, open: suggestions.length > 0 });
  }

  // ---- showing --------------------------------------------------------------------

  /** @param {Partial<Shown>} change */
  #show(change) {
    const before = this.active?.text;
    this.#shown = { ...this.#shown, ...change };
    const { open, suggestions } = this.#shown;
    this.#list.removeAttribute("aria-busy");
    this.#list.replaceChildren(...suggestions.map((one, place) => this.#option(one, place)));
    this.#list.hidden = !open;
    this.#input.setAttribute("aria-expanded", String(open));
    this.#active = -1;
    // Who has chosen one and gets a newer list keeps it, if it is still there.
    this.#activate(open ? suggestions.findIndex((one) => one.text === before) : -1);
    this.#speak();
    this.#options.onShow?.(this.#shown);
  }

  /**
   * @param {Suggestion} suggestion
   * @param {number} place
   */
  #option(suggestion, place) {
    const option = this.#list.ownerDocument.createElement("div");
    option.id = `${this.#list.id}-${place}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    (this.#options.draw ?? drawText)(option, suggestion);
    return option;
  }

  /** @param {number} place */
  #activate(place) {
    const options = this.#list.children;
    options[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = place;
    const option = options[place];
    if (option) {
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      this.#input.setAttribute("aria-activedescendant", option.id);
    } else {
      this.#input.removeAttribute("aria-activedescendant");
    }
    this.#point(place);
  }

  /** @param {number} place */
  #point(place) {
    this.#options.onPoint?.(this.#shown.suggestions[place]);
  }

  /** Says how many there are once nobody types any more. */
  #speak() {
    clearTimeout(this.#speaking);
    this.#speaking = setTimeout(() => {
      const { open, typed, suggestions } = this.#shown;
      const say = this.#options.announce ?? counted;
      this.#status.textContent = open || typed ? say(open ? suggestions.length : 0) : "";
    }, 600);
  }

  #newList() {
    const list = this.#input.ownerDocument.createElement("div");
    list.className = "espalier-list";
    this.#input.after(list);
    this.#made = true;
    return list;
  }
}

/**
 * Draws the text of a suggestion: what was typed, and what completes it in a `mark`.
 *
 * @param {HTMLElement} parent
 * @param {Suggestion} suggestion
 */
export function drawText(parent, suggestion) {
  const { typed, rest } = partsOf(suggestion);
  const page = parent.ownerDocument;
  // One text with a direction of its own, whatever is around it.
  const text = page.createElement("bdi");
  const mark = page.createElement("mark");
  mark.textContent = rest;
  text.append(typed, mark);
  parent.append(text);
}

/**
 * The key that goes on in the text.
 *
 * @param {Element} input
 */
function onward(input) {
  return getComputedStyle(input).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
}

/** @param {Suggestion} suggestion */
function shownOf(suggestion) {
  return suggestion.displayText || suggestion.text;
}

/** @param {number} many */
function counted(many) {
  return many === 0 ? "No suggestions" : many === 1 ? "1 suggestion" : `${many} suggestions`;
}

/**
 * An element that is read out and not seen.
 *
 * @param {Document} page
 */
function hidden(page) {
  const status = page.createElement("div");
  status.setAttribute("role", "status");
  Object.assign(status.style, {
    position: "absolute",
    width: "1px",
    height: "1px",
    overflow: "hidden",
    clipPath: "inset(50%)",
    whiteSpace: "nowrap",
  });
  return status;
}
