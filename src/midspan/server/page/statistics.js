// The figures at the top.

import { read } from "./api.js";
import { synchronise } from "./clock.js";
import { attribute, element, find, write } from "./elements.js";
import { count, duration, rate, share } from "./format.js";
import { hasEnded } from "./model.js";

const PAUSE = 3000;
const FIGURES = [
  ["running", "in flight", "operations that run now"],
  ["stalled", "stalled", "running without progress for longer than their limit"],
  ["success", "success", "share of the ended ones that completed"],
  ["p50", "p50", "half of the ended ones took no longer"],
  ["p95", "p95", "95 of 100 ended ones took no longer"],
  ["rate", "tokens/s", "of the calls that run now"],
];

export class Statistics {
  #values = {};
  #window = find("window");
  #timer = null;
  #isOn = false;

  constructor() {
    for (const [name, term, meaning] of FIGURES) {
      this.#values[name] = element("dd", {}, "–");
      find("figures").append(element("div", { "data-figure": name, title: meaning }, element("dt", {}, term), this.#values[name]));
    }
    this.#window.addEventListener("change", () => this.#isOn && this.#ask());
  }

  open() {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#ask();
  }

  close() {
    this.#isOn = false;
    clearTimeout(this.#timer);
  }

  async #ask() {
    clearTimeout(this.#timer);
    const begun = performance.now();
    try {
      const told = await read(`v1/statistics?window=${this.#window.value}`);
      synchronise(told.at, performance.now() - begun);
      this.#tell(told);
    } catch {
      // The stream tells what is wrong with the connection.
    }
    clearTimeout(this.#timer);
    if (this.#isOn) this.#timer = setTimeout(() => this.#ask(), PAUSE);
  }

  #tell(told) {
    this.#told = told;
    const { success_rate: success, duration_seconds: took } = told;
    write(this.#values.success, share(success));
    write(this.#values.p50, duration(took.p50));
    write(this.#values.p95, duration(took.p95));
    write(this.#values.rate, told.running_tokens_per_second ? rate(told.running_tokens_per_second) : "0");
    attribute(this.#values.success.parentElement, "data-bad", success !== null && success < 0.9);
  }

  #told = null;

  /** What is counted here and now, where all of it is known here. */
  count(model) {
    let [running, stalled] = [0, 0];
    for (const row of model.rows.values()) {
      if (hasEnded(row)) continue;
      running += 1;
      stalled += row.stalled;
    }
    if (!model.isComplete && this.#told) [running, stalled] = [Math.max(running, this.#told.running), Math.max(stalled, this.#told.stalled)];
    write(this.#values.running, count(running));
    write(this.#values.stalled, count(stalled));
    attribute(this.#values.stalled.parentElement, "data-bad", stalled > 0);
  }
}
