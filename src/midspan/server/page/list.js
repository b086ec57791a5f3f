// A list of operations: one element for each, kept as long as it is shown.

import { arrange, attribute, show, write } from "./elements.js";
import { hasEnded } from "./model.js";
import { RowView } from "./row.js";

const STEP = 100;

export class OperationList {
  #list;
  #more;
  #views = new Map();
  #nodes = [];
  #limit = STEP;

  /** `on.open(id)`, `on.toggle(id)`, `on.changed()` when more are wanted. */
  constructor(list, more, on) {
    this.#list = list;
    this.#more = more;
    list.addEventListener("click", (event) => this.#clicked(event, on));
    more.addEventListener("click", () => {
      this.#limit += STEP;
      on.changed();
    });
  }

  #clicked(event, on) {
    const id = event.target.closest("[data-id]")?.dataset.id;
    if (!id) return;
    if (event.target.closest(".fold")) on.toggle(id);
    else if (event.target.closest(".name") || !String(getSelection())) on.open(id);
  }

  /** Shows `nodes`, as `arranged` makes them; `rows` are all that are known, by id. */
  render(nodes, rows) {
    this.#nodes = nodes.slice(0, this.#limit);
    const views = this.#nodes.map((node) => this.#view(node, rows));
    arrange(this.#list, views.map((view) => view.element));
    const shown = new Set(this.#nodes.map((node) => node.row.operation_id));
    for (const id of this.#views.keys()) if (!shown.has(id)) this.#views.delete(id);
    const hidden = nodes.length - this.#nodes.length;
    show(this.#more, hidden > 0);
    write(this.#more, `${hidden} more`);
    attribute(this.#list, "hidden", nodes.length === 0);
  }

  #view(node, rows) {
    const id = node.row.operation_id;
    const view = this.#views.get(id) ?? new RowView(id);
    this.#views.set(id, view);
    view.update(node, rows.get(node.row.parent_id));
    return view;
  }

  /** Lets what depends on the time go on. */
  tick() {
    for (const { row } of this.#nodes) this.#views.get(row.operation_id)?.tick(row);
  }

  has(id) {
    return this.#views.has(id);
  }

  focus(id) {
    this.#views.get(id)?.name.focus();
  }

  get hasRunning() {
    return this.#nodes.some((node) => !hasEnded(node.row));
  }
}
