// The page: what the stream tells goes into the model, and from there to the screen, once a frame at most.

import { read } from "./api.js";
import { Announcer } from "./announcer.js";
import { hold, lastSeen, release } from "./clock.js";
import { Detail } from "./detail.js";
import { attribute, find, show, write } from "./elements.js";
import { Filters, keys, opened } from "./filters.js";
import { moment } from "./format.js";
import { OperationList } from "./list.js";
import { Login } from "./login.js";
import { Model, byStart, hasEnded } from "./model.js";
import { Statistics } from "./statistics.js";
import { Stream } from "./stream.js";
import { matcher, sections } from "./tree.js";

const GAP = 100;
const LINGERS = 2000;
const SEARCH_PAUSE = 300;
const RECENT = 100;
const SAID = { connecting: "connecting", live: "live", lost: "connection lost, trying again", paused: "paused" };
const LOST = new Set(["lost", "refused"]);

class Page {
  #model = new Model();
  #announcer = new Announcer();
  #statistics = new Statistics();
  #toggled = new Set();
  #endedAt = new Map();
  #frame = null;
  #drawnAt = 0;
  #isKnown = false;
  #isLive = false;
  #search = null;

  constructor() {
    const on = { open: (id) => this.#open(id), changed: () => this.#changed(), toggle: (id) => this.#toggle(id) };
    this.#running = new OperationList(find("running-list"), find("running-more"), on);
    this.#recent = new OperationList(find("recent-list"), find("recent-more"), on);
    const refused = (refusal) => this.#refused(refusal);
    this.#login = new Login(() => this.#resume());
    this.#detail = new Detail({ open: on.open, refused, close: () => this.#filters.visit(null) });
    this.#filters = new Filters(() => this.#filtered());
    const event = (name, document) => this.#told(name, document);
    this.#stream = new Stream("v1/stream", { event, refused, state: (state) => this.#connection(state) });
    keys(this.#filters);
    addEventListener("popstate", () => this.#visited());
    document.addEventListener("visibilitychange", () => this.#seen());
    setInterval(() => this.#tick(), 1000);
    this.#seen();
  }

  #running;
  #recent;
  #login;
  #detail;
  #filters;
  #stream;

  // --- the connection -----------------------------------------------------------------------

  #seen() {
    if (!document.hidden) this.#resume();
    else {
      this.#stream.close();
      this.#statistics.close();
    }
  }

  #resume() {
    this.#stream.open();
    this.#statistics.open();
    this.#visited();
  }

  #refused(refusal) {
    this.#statistics.close();
    this.#connection("refused", refusal.message);
    if (refusal.status === 401) this.#login.ask(refusal);
  }

  #connection(state, said = SAID[state]) {
    this.#isLive = state === "live";
    if (!this.#isLive) hold(LOST.has(state));
    else if (!this.#model.isDoubted) this.#goOn();
    const seen = this.#isLive ? null : lastSeen();
    const told = seen === null ? said : `${said} · as last seen ${moment(seen)}`;
    write(find("connection"), told);
    attribute(find("connection"), "data-state", state);
    if (LOST.has(state)) this.#announcer.connection(true, told);
    else if (this.#isLive) this.#announcer.connection(false, "connected");
    this.#changed();
  }

  #goOn() {
    if (this.#isLive) release();
  }

  #told(name, told) {
    if (name === "snapshot") this.#begin(told);
    else if (name === "update" || name === "end") this.#take(told);
    this.#changed();
  }

  #take(row) {
    const before = this.#model.rows.get(row.operation_id);
    if (!this.#model.take(row)) return;
    this.#announcer.note(row, before);
    // What somebody has seen running is seen ending, and does not jump away.
    if (hasEnded(row) && before && !hasEnded(before) && this.#running.has(row.operation_id)) {
      this.#endedAt.set(row.operation_id, performance.now());
    }
  }

  #begin(told) {
    this.#model.begin(told.operations, told.complete);
    this.#confirm();
  }

  async #confirm() {
    try {
      const query = new URLSearchParams({ limit: RECENT, status: "completed,failed,cancelled,lost" });
      const { operations } = await read(`v1/operations?${query}`);
      this.#model.confirm(operations);
      this.#isKnown = true;
    } catch {
      // The stream begins anew when the connection is back.
    }
    this.#goOn();
    this.#changed();
  }

  // --- the screen ---------------------------------------------------------------------------

  #changed() {
    this.#frame ??= setTimeout(() => requestAnimationFrame(() => this.#draw()), this.#drawnAt + GAP - performance.now());
  }

  #draw() {
    this.#frame = null;
    this.#drawnAt = performance.now();
    const focused = document.activeElement?.closest?.(".operation")?.dataset.id;
    const shown = sections(this.#model, {
      matches: matcher(this.#filters.value),
      isFiltered: this.#filters.isSet,
      lingers: (row) => this.#lingers(row),
      toggled: this.#toggled,
    });
    this.#running.render(shown.running, this.#model.rows);
    this.#recent.render(shown.recent, this.#model.rows);
    this.#tellCounts(shown);
    this.#statistics.count(this.#model);
    this.#filters.types(this.#model.types());
    this.#follow();
    if (focused && !document.activeElement?.closest?.(".operation, dialog, form")) this.#focus(focused);
  }

  #tellCounts({ running, recent }) {
    const isEmpty = this.#isKnown && this.#model.rows.size === 0;
    show(find("empty"), isEmpty);
    for (const name of ["running", "recent"]) show(find(name), this.#isKnown && !isEmpty);
    const live = running.filter((node) => !hasEnded(node.row)).length;
    this.#tellSection("running", live, running.length, "Nothing is running.");
    this.#tellSection("recent", recent.length, recent.length, "Nothing has ended yet.");
    if (lastSeen() !== null) document.title = "not connected · midspan";
    else document.title = live ? `${live} running · midspan` : "midspan";
  }

  #tellSection(name, counted, shown, nothing) {
    write(find(`${name}-count`), counted ? String(counted) : "");
    write(find(`${name}-none`), this.#filters.isSet ? "Nothing here matches." : nothing);
    show(find(`${name}-none`), shown === 0);
  }

  #lingers(row) {
    const at = this.#endedAt.get(row.operation_id);
    return at !== undefined && performance.now() - at < LINGERS;
  }

  #focus(id) {
    (this.#running.has(id) ? this.#running : this.#recent).focus(id);
  }

  #follow() {
    const id = this.#detail.id;
    if (id === null) return;
    const below = [...this.#model.rows.values()].filter((row) => row.parent_id === id).sort(byStart);
    const row = this.#model.rows.get(id);
    this.#detail.follow(row, below, this.#model.rows.get(row?.parent_id));
  }

  #tick() {
    if (document.hidden) return;
    this.#running.tick();
    this.#recent.tick();
    this.#detail.tick();
    for (const [id, at] of this.#endedAt) {
      if (performance.now() - at < LINGERS) continue;
      this.#endedAt.delete(id);
      this.#changed();
    }
  }

  // --- what somebody does -------------------------------------------------------------------

  #toggle(id) {
    if (!this.#toggled.delete(id)) this.#toggled.add(id);
    this.#changed();
  }

  #open(id) {
    this.#filters.visit(id);
    this.#visited();
  }

  #visited() {
    this.#filters.read();
    const id = opened();
    if (id === null) this.#detail.close();
    else this.#detail.open(id, this.#model.rows.get(id));
    this.#changed();
  }

  /** What is known is filtered at once; what is not known any more is looked for on the server. */
  #filtered() {
    this.#changed();
    clearTimeout(this.#search);
    if (this.#filters.isSet) this.#search = setTimeout(() => this.#find(), SEARCH_PAUSE);
  }

  async #find() {
    const { text, status, type } = this.#filters.value;
    const statuses = { failed: "failed,lost", stalled: "running", running: "running,pending" }[status] ?? status;
    const given = Object.entries({ q: text.trim(), status: statuses, type }).filter(([, value]) => value);
    try {
      const { operations } = await read(`v1/operations?${new URLSearchParams([...given, ["limit", RECENT]])}`);
      for (const row of operations) this.#model.take(row);
      this.#changed();
    } catch {
      // What is known is shown all the same.
    }
  }
}

new Page();
