// The one event stream, over fetch: unlike EventSource that can send a token, and sees why it is refused.

import { Refusal, ask } from "./api.js";
import { heard } from "./clock.js";

const SHORTEST = 500;
const LONGEST = 10_000;
// The server says something every 15 seconds.
const SILENCE = 40_000;

/** Reads server-sent events out of pieces of text; calls `tell(name, data, id)` for each. */
export class Parser {
  #rest = "";
  #tell;

  constructor(tell) {
    this.#tell = tell;
  }

  feed(text) {
    const blocks = (this.#rest + text).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = blocks.pop();
    for (const block of blocks) this.#read(block);
  }

  #read(block) {
    const fields = { event: "message" };
    const data = [];
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon < 1) continue;
      const [name, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
      if (name === "data") data.push(value);
      else fields[name] = value;
    }
    if (data.length) this.#tell(fields.event, data.join("\n"), fields.id);
  }
}

/**
 * Follows `path` from `open` to `close`, through lost connections and restarts of the server, from the last event on.
 * `on.event(name, document)`, `on.state(connecting | live | lost | paused)`, `on.refused(refusal)` when that is final.
 * A state may be told again; it is live when what was missed, or the first of a snapshot, has been told.
 */
export class Stream {
  #path;
  #on;
  #last = null;
  #stop = null;
  #failures = 0;

  constructor(path, on) {
    this.#path = path;
    this.#on = on;
  }

  open() {
    if (this.#stop) return;
    this.#stop = new AbortController();
    this.#on.state("connecting");
    this.#run(this.#stop.signal);
  }

  close() {
    this.#stop?.abort();
    this.#stop = null;
    this.#on.state("paused");
  }

  async #run(stopped) {
    while (!stopped.aborted) {
      // What the server has ended in good order, once an hour at least, is only lost when it cannot be taken up again.
      let [state, pause] = ["connecting", 0];
      try {
        await this.#follow(stopped);
      } catch (error) {
        if (stopped.aborted) return;
        if (error instanceof Refusal && (error.status === 401 || error.status === 403)) {
          this.#stop = null;
          this.#on.refused(error);
          return;
        }
        [state, pause] = ["lost", (error.retryAfter ?? 0) * 1000];
      }
      if (stopped.aborted) return;
      this.#on.state(state);
      await rest(Math.max(pause, this.#backOff()), stopped);
    }
  }

  #backOff() {
    const wait = Math.min(LONGEST, SHORTEST * 2 ** this.#failures);
    this.#failures += 1;
    return wait * (0.75 + Math.random() / 2);
  }

  async #follow(stopped) {
    const silent = new AbortController();
    const signal = AbortSignal.any([stopped, silent.signal]);
    let timer = setTimeout(() => silent.abort(), SILENCE);
    try {
      const headers = { Accept: "text/event-stream", ...(this.#last && { "Last-Event-ID": this.#last }) };
      const response = await ask(this.#path, { headers, signal, cache: "no-store" });
      this.#failures = 0;
      const parser = new Parser((name, data, id) => this.#tell(name, data, id));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENCE);
        heard();
        parser.feed(piece.value);
        this.#on.state("live");
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #tell(name, data, id) {
    if (id) this.#last = id;
    this.#on.event(name, JSON.parse(data));
  }
}

function rest(milliseconds, stopped) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    stopped.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });
}
