// Tells a screen reader what has ended or stalled, and whether the connection is lost: politely, together, and not more
// than once in five seconds.

import { find } from "./elements.js";
import { hasEnded } from "./model.js";

const PAUSE = 5000;
const MAX_NAMED = 2;

export class Announcer {
  #said = find("announcer");
  #news = new Map();
  #isLost = false;
  #loss = null;
  #timer = null;
  #spokenAt = -PAUSE;

  /** Notes what has become of an operation; `before` is what was known of it. */
  note(row, before) {
    const state = hasEnded(row) ? row.status : row.stalled ? "stalled" : null;
    const known = before && (hasEnded(before) ? before.status : before.stalled ? "stalled" : null);
    if (!before || state === null || state === known) return;
    const names = this.#news.get(state) ?? [];
    this.#news.set(state, [...names, row.name]);
    this.#speakSoon();
  }

  /** Notes that the connection is lost, or is back: once, however often it is tried in between. */
  connection(isLost, said) {
    if (isLost === this.#isLost) return;
    this.#isLost = isLost;
    this.#loss = said;
    this.#speakSoon();
  }

  #speakSoon() {
    this.#timer ??= setTimeout(() => this.#speak(), Math.max(0, this.#spokenAt + PAUSE - performance.now()));
  }

  #speak() {
    this.#timer = null;
    this.#spokenAt = performance.now();
    const told = [...this.#news].map(([state, names]) =>
      names.length > MAX_NAMED ? `${names.length} ${state}` : `${names.join(" and ")} ${state}`);
    this.#said.textContent = [this.#loss, ...told].filter(Boolean).join(", ");
    this.#news.clear();
    this.#loss = null;
  }
}
