// All about one operation, in a dialog that follows it.

import { post, read } from "./api.js";
import { attribute, element, find, show, write } from "./elements.js";
import { coarse, duration, moment } from "./format.js";
import { factsOf, metadataOf, plain, terms } from "./facts.js";
import { Timeline, attemptList, stageList } from "./history.js";
import { hasEnded } from "./model.js";
import { amounts, elapsed, notices, paint, percentage, remaining, seenAt, stateOf } from "./progress.js";
import { outcome } from "./row.js";

const PAUSE = 1000;

/** A part with a heading, which is only made again when what it shows has changed. */
class Part {
  #key = null;
  #content = element("div");

  constructor(title) {
    this.element = element("section", { hidden: true }, element("h3", {}, title), this.#content);
  }

  tell(shown, key, make) {
    show(this.element, Boolean(shown));
    const text = JSON.stringify(key);
    if (!shown || text === this.#key) return;
    this.#key = text;
    this.#content.replaceChildren(make());
  }
}

export class Detail {
  #dialog = find("detail");
  #title = find("detail-title");
  #bar = element("progress", { max: 1 });
  #head = element("div", { class: "head" });
  #state = element("strong", { class: "state" });
  // While the dialog is open, a screen reader hears nothing of what lies behind it.
  #seen = element("span", { class: "muted", role: "status" });
  #said = element("p", { class: "said" });
  #notice = element("p", { class: "notice" });
  #far = element("p", { class: "numbers" });
  #cancel = element("button", { type: "button", class: "danger", hidden: true });
  #refused = element("p", { class: "bad", role: "alert" });
  #timeline = new Timeline();
  #parts = Object.fromEntries(
    [["facts", "Facts"], ["attempts", "Attempts"], ["stages", "Stages"], ["below", "Below it"], ["metadata", "Metadata"],
      ["content", "Content"], ["result", "Result"], ["events", "Events"]].map(([name, title]) => [name, new Part(title)]),
  );
  #on;
  #row = null;
  #parent = undefined;
  #isAsking = false;
  #isArmed = false;
  #known = null;
  #timer = null;

  /** `on.close()`, `on.open(id)` for another one, `on.refused(refusal)`. */
  constructor(on) {
    this.#on = on;
    this.#head.append(element("p", {}, this.#state, this.#seen), this.#said, this.#notice, this.#bar, this.#far);
    const action = element("p", { class: "action" }, this.#cancel);
    const parts = Object.values(this.#parts).map((part) => part.element);
    find("detail-body").append(this.#head, action, this.#refused, ...parts);
    this.#cancel.addEventListener("click", () => this.#cancelled());
    this.#cancel.addEventListener("blur", () => this.#arm(false));
    find("detail-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => {
      this.#leave();
      on.close();
    });
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    find("detail-body").addEventListener("click", (event) => {
      const id = event.target.closest("[data-open]")?.dataset.open;
      if (id) on.open(id);
    });
  }

  get id() {
    return this.#row?.operation_id ?? null;
  }

  /** Opens with what is known already; the history comes after it. Of an unknown one only the id is known. */
  async open(id, known) {
    if (this.id === id) return;
    this.#leave();
    this.#row = known ?? { operation_id: id };
    this.#parent = undefined;
    this.#known = null;
    write(this.#title, known?.name ?? id);
    write(this.#refused, "");
    for (const part of Object.values(this.#parts)) part.tell(false);
    this.#tellHead(known);
    if (!this.#dialog.open) this.#dialog.showModal();
    find("detail-body").scrollTop = 0;
    this.#title.focus();
    await this.#ask();
  }

  close() {
    this.#leave();
    if (this.#dialog.open) this.#dialog.close();
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#row = null;
    this.#arm(false);
  }

  /** Takes a newer row of the operation, from the stream; its history is asked for, once a second at most. */
  follow(row, below, parent) {
    if (!row || row.operation_id !== this.id) return;
    this.#row = row;
    this.#parent = parent;
    this.#tell(row);
    this.#tellBelow(below);
    if (this.#known && this.#known.sequence < row.sequence) this.#askSoon();
  }

  #askSoon() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#ask();
    }, PAUSE);
  }

  async #ask() {
    const id = this.id;
    if (id === null || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const row = await read(`v1/operations/${encodeURIComponent(id)}`);
      if (this.id === id) this.#learn(row);
    } catch (refusal) {
      if (this.id === id) this.#refuse(refusal);
    } finally {
      this.#isAsking = false;
    }
    if (this.id !== null && this.id !== id) await this.#ask();
  }

  #learn(row) {
    this.#known = row;
    if (this.#row.status === undefined || row.sequence >= this.#row.sequence) this.#row = row;
    this.#tell(this.#row);
    this.#tellHistory(row);
  }

  #refuse(refusal) {
    if (refusal.status === 401) this.#on.refused(refusal);
    write(this.#refused, refusal.status === 404 ? "This operation is not kept any more." : refusal.message);
  }

  /** Of an operation that is not known yet nothing is told, and nothing any more of the one before it. */
  #tellHead(known) {
    if (known) {
      this.#tell(known);
      return;
    }
    attribute(this.#dialog, "data-state", null);
    for (const each of [this.#state, this.#seen, this.#said, this.#notice, this.#far]) write(each, "");
    for (const each of [this.#bar, this.#cancel]) show(each, false);
  }

  #tell(row) {
    write(this.#title, [row.name, row.model].filter(Boolean).join(" "));
    attribute(this.#dialog, "data-state", stateOf(row));
    const [doing, message] = outcome(row);
    write(this.#state, row.error ? `${row.status}: ${doing}` : doing);
    write(this.#said, message);
    paint(this.#bar, row);
    this.tick();
    this.#tellCancel(row);
    const facts = factsOf(row, this.#parent);
    this.#parts.facts.tell(true, facts.map(([term, value]) => [term, value.textContent ?? value]), () => terms(facts));
    const metadata = metadataOf(row);
    this.#parts.metadata.tell(metadata.length, metadata, () => terms(metadata));
    this.#tellText(this.#parts.content, row.content_preview);
    this.#tellText(this.#parts.result, row.result);
  }

  #tellText(part, value) {
    const isThere = value !== null && value !== undefined;
    part.tell(isThere, value, () => element("pre", { tabindex: 0 }, plain(value)));
  }

  #tellHistory(row) {
    const { stages, attempts, events } = this.#parts;
    const hasStages = row.history.some((event) => event.type === "stage");
    stages.tell(hasStages || row.stages_completed.length, [row.sequence, this.#second(row)], () => stageList(row));
    attempts.tell(row.attempt > 1, [row.sequence, this.#second(row)], () => attemptList(row));
    this.#timeline.update(row);
    events.tell(row.history.length, row.operation_id, () => this.#timeline.element);
  }

  #second(row) {
    return hasEnded(row) ? null : Math.round(elapsed(row) ?? 0);
  }

  #tellBelow(rows) {
    const key = rows.map((row) => [row.operation_id, row.status]);
    this.#parts.below.tell(rows.length, key, () => element("ul", { class: "below" }, ...rows.map(belowItem)));
  }

  /** Lets what depends on the time go on. */
  tick() {
    const row = this.#row;
    if (!row?.status) return;
    const left = remaining(row);
    const range = left.range && `(${left.range})`;
    const seconds = elapsed(row);
    const took = seconds === null ? "not started" : hasEnded(row) ? duration(seconds) : coarse(seconds);
    write(this.#far, [percentage(row), amounts(row), took, `${left.text} ${range}`.trim()].filter(Boolean).join(" · "));
    write(this.#notice, notices(row).join(" · "));
    this.#tellSeen(seenAt(row));
    if (this.#known && !hasEnded(row)) this.#tellHistory(this.#known);
  }

  #tellSeen(at) {
    attribute(this.#head, "data-seen", at !== null);
    write(this.#seen, at === null ? "" : ` · not connected, as last seen ${moment(at)}`);
  }

  // --- cancelling ---------------------------------------------------------------------------

  #tellCancel(row) {
    show(this.#cancel, !hasEnded(row) && row.cancel.mode !== "none");
    this.#cancel.disabled = row.cancel.requested_at !== null;
    this.#arm(this.#isArmed && !this.#cancel.disabled);
  }

  #arm(isArmed) {
    this.#isArmed = isArmed;
    const asked = this.#cancel.disabled ? "Cancellation was asked for" : "Cancel operation";
    write(this.#cancel, isArmed ? "Press again to cancel it" : asked);
  }

  async #cancelled() {
    if (!this.#isArmed) {
      this.#arm(true);
      return;
    }
    this.#arm(false);
    write(this.#refused, "");
    try {
      this.#learn(await post(`v1/operations/${encodeURIComponent(this.id)}/cancel`, { reason: "cancelled on the page" }));
    } catch (refusal) {
      this.#refuse(refusal);
    }
  }
}

function belowItem(row) {
  const button = element("button", { type: "button", class: "name", "data-open": row.operation_id }, row.name);
  return element("li", { "data-state": stateOf(row) }, button, element("span", { class: "muted" }, row.status));
}
