// What is looked for, and which operation is open: kept in the address, so that it can be sent to somebody.

import { element, find } from "./elements.js";
import { words } from "./format.js";

export class Filters {
  #form = find("filters");
  #search = find("search");
  #type = find("type");
  #types = "";

  constructor(changed) {
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", () => {
      history.replaceState(null, "", this.#address(opened()));
      changed();
    });
    this.read();
  }

  get value() {
    const status = this.#form.elements.status.value;
    return { text: this.#search.value, status, type: this.#type.value };
  }

  get isSet() {
    return Object.values(this.value).some(Boolean);
  }

  focus() {
    this.#search.focus();
    this.#search.select();
  }

  /** Takes what the address says. */
  read() {
    const said = fragment();
    this.#search.value = said.get("q") ?? "";
    this.#offer(said.get("type"));
    this.#type.value = said.get("type") ?? "";
    const wanted = said.get("status") ?? "";
    for (const choice of this.#form.elements.status) choice.checked = choice.value === wanted;
    if (!this.#form.querySelector(":checked")) this.#form.elements.status[0].checked = true;
  }

  /** Offers the types that there are. */
  types(known) {
    const key = known.join("\n");
    if (key === this.#types) return;
    this.#types = key;
    for (const type of known) this.#offer(type);
  }

  #offer(type) {
    if (!type || [...this.#type.options].some((option) => option.value === type)) return;
    this.#type.append(element("option", { value: type }, words(type)));
  }

  /** Opens an operation, or with null none, as a step that the browser can go back. */
  visit(id) {
    if (id !== opened()) history.pushState(null, "", this.#address(id));
  }

  #address(id) {
    const { text, status, type } = this.value;
    const said = new URLSearchParams(Object.entries({ q: text, status, type, op: id ?? "" }).filter(([, value]) => value));
    return `${location.pathname}${location.search}${said.size ? `#${said}` : ""}`;
  }
}

const fragment = () => new URLSearchParams(location.hash.slice(1));

/** The id of the operation that the address opens; null: of none. */
export const opened = () => fragment().get("op");

/** `/` searches; the arrows go through the names of a list. */
export function keys(filters) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "/" && !event.target.matches("input, select")) {
      event.preventDefault();
      filters.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !event.target.matches("input[type=radio], select")) move(step, event);
  });
}

function move(step, event) {
  const names = [...document.querySelectorAll(".operations .name")];
  const here = names.indexOf(document.activeElement);
  const next = here < 0 ? (step > 0 ? names[0] : null) : names[here + step];
  if (!next || (here < 0 && !event.target.matches("body, input, main, section"))) return;
  event.preventDefault();
  next.focus();
}
