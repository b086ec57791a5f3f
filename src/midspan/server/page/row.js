// One operation in a list.

import { now, since } from "./clock.js";
import { attribute, element, show, write } from "./elements.js";
import { ago, coarse, count, duration, rate, words } from "./format.js";
import { hasEnded } from "./model.js";
import { amounts, elapsed, notices, paint, percentage, remaining, seenAt, stateOf } from "./progress.js";

const SIGNS = { pending: "○", running: "●", waiting: "◔", stalled: "!", completed: "✓", failed: "✕", cancelled: "–", lost: "?" };
const SEEN = "◌";

export class RowView {
  #parts = {
    sign: element("span", { class: "sign", "aria-hidden": "true" }),
    status: element("span", { class: "hidden" }),
    name: element("button", { class: "name", type: "button" }),
    model: element("span", { class: "model" }),
    fold: element("button", { class: "fold", type: "button", hidden: true }),
    kind: element("p", { class: "kind" }),
    doing: element("p", { class: "doing" }),
    notice: element("span", { class: "notice" }),
    message: element("span", { class: "message" }),
    bar: element("progress", { max: "1" }),
    percent: element("span"),
    amounts: element("span", { class: "amounts" }),
    tokens: element("p", { class: "tokens" }),
    rate: element("p", { class: "muted" }),
    elapsed: element("p", { class: "elapsed" }),
    left: element("span"),
    range: element("span", { class: "spare" }),
  };

  #foldCount = element("span");

  constructor(id) {
    const part = this.#parts;
    part.fold.append(this.#foldCount, element("span", { class: "spare" }, " below"));
    this.element = element(
      "li",
      { class: "operation", "data-id": id },
      part.sign,
      element("div", { class: "what" }, element("p", {}, part.status, part.name, part.model, part.fold), part.kind),
      element("div", { class: "how" }, part.doing, element("p", { class: "said" }, part.notice, part.message)),
      element("div", { class: "far" }, part.bar, element("p", { class: "numbers" }, part.percent, part.amounts)),
      element("div", { class: "counted" }, part.tokens, part.rate),
      element("div", { class: "long" }, part.elapsed, element("p", { class: "muted" }, part.left, part.range)),
    );
  }

  get name() {
    return this.#parts.name;
  }

  update({ row, depth, below, isOpen }, parent) {
    this.#tellState(stateOf(row), seenAt(row) !== null);
    attribute(this.element, "data-depth", depth || null);
    write(this.#parts.name, row.name);
    attribute(this.#parts.name, "title", row.operation_id);
    write(this.#parts.model, row.model ?? "");
    this.#tellFold(below, isOpen, row);
    write(this.#parts.kind, kind(row, depth ? null : parent));
    this.#tellDoing(row);
    this.#tellProgress(row);
    this.tick(row);
  }

  #tellState(state, isSeen) {
    attribute(this.element, "data-state", state);
    attribute(this.element, "data-seen", isSeen);
    write(this.#parts.sign, isSeen ? SEEN : SIGNS[state] ?? "");
    write(this.#parts.status, isSeen ? `${state} when last seen: ` : `${state}: `);
  }

  #tellFold(below, isOpen, row) {
    show(this.#parts.fold, below > 0);
    attribute(this.#parts.fold, "aria-expanded", String(isOpen));
    attribute(this.#parts.fold, "aria-label", `${below} below ${row.name}`);
    write(this.#foldCount, String(below));
  }

  #tellDoing(row) {
    const [doing, message] = outcome(row);
    write(this.#parts.doing, doing);
    write(this.#parts.message, message);
    attribute(this.#parts.message, "title", message || null);
  }

  #tellProgress(row) {
    paint(this.#parts.bar, row);
    write(this.#parts.percent, this.#parts.bar.hidden ? "" : percentage(row));
    write(this.#parts.amounts, amounts(row));
    write(this.#parts.tokens, output(row));
    write(this.#parts.rate, row.tokens_per_second ? `${rate(row.tokens_per_second)} /s` : "");
  }

  /** What changes by time alone. */
  tick(row, at = now()) {
    write(this.#parts.notice, notices(row, at).join(" · "));
    const seconds = elapsed(row, at);
    write(this.#parts.elapsed, hasEnded(row) ? duration(seconds) : seconds === null ? "not started" : coarse(seconds));
    const left = remaining(row, at);
    write(this.#parts.left, hasEnded(row) ? ago(since(row.ended_at, at)) : left.text);
    write(this.#parts.range, left.range && ` (${left.range})`);
  }
}

function kind(row, parent) {
  const below = parent ? `in ${parent.name}` : null;
  return [words(row.operation_type), row.provider, below].filter(Boolean).join(" · ");
}

/** What an operation is doing, or how it has ended: in a word, and in a sentence. */
export function outcome(row) {
  if (row.error) return [row.error.type, row.error.message ?? row.message ?? ""];
  if (hasEnded(row)) return [row.status, row.status_reason ?? row.message ?? ""];
  return [words(row.stage) || row.status, row.message ?? ""];
}

function output(row) {
  return row.tokens?.output ? `${row.tokens.estimated ? "~" : ""}${count(row.tokens.output)} tokens` : "";
}
