// Elements, made and changed through textContent and attributes only: what operations say is never parsed as HTML.

/** An element with attributes (null and false: left out) and children (elements or text). */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attribute(made, name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets an attribute where it differs; null and false take it away. */
export function attribute(of, name, value) {
  if (value === null || value === undefined || value === false) {
    if (of.hasAttribute(name)) of.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (of.getAttribute(name) !== text) of.setAttribute(name, text);
}

/** Writes a text where it differs: what stays the same costs no layout. */
export function write(into, text) {
  if (into.textContent !== text) into.textContent = text;
}

export function show(each, isShown) {
  if (each.hidden === isShown) each.hidden = !isShown;
}

/** Puts `wanted` in place as the children of `parent`, moving as few of them as possible. */
export function arrange(parent, wanted) {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const child of wanted) {
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

export const find = (id) => document.getElementById(id);
