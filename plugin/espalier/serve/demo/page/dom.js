/**
 * A new element. Text goes in as text: nothing on this page is ever read as markup.
 *
 * @param {string} tag With classes after dots, as `p.note.small`.
 * @param {Record<string, any>} [given] Attributes; `onclick` and the like are listened to.
 * @param {...(Node | string)} children
 */
export function element(tag, given = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  made.classList.add(...classes);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found;
}
