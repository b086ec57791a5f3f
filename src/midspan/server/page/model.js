// What the page knows of operations: rows of the API by id, the newest of each.

const MAX_ENDED = 500;
const ENDED = new Set(["completed", "failed", "cancelled", "lost"]);

export const hasEnded = (row) => ENDED.has(row.status);

export class Model {
  rows = new Map();
  /** False when the server runs more operations than it has told of. */
  isComplete = true;
  /** Ids that a new snapshot has not confirmed yet. */
  #doubted = new Set();
  #ended = 0;

  /** Whether it is open which rows have outlived the time before the last snapshot. */
  get isDoubted() {
    return this.#doubted.size > 0;
  }

  /** Takes a row; true when it is news. */
  take(row) {
    const known = this.rows.get(row.operation_id);
    this.#doubted.delete(row.operation_id);
    if (known && !isNewer(row, known)) return false;
    if (hasEnded(row) && !(known && hasEnded(known))) this.#ended += 1;
    // The newest goes to the end, so that the oldest ended ones are found first.
    if (known && hasEnded(row)) this.rows.delete(row.operation_id);
    this.rows.set(row.operation_id, row);
    if (this.#ended > MAX_ENDED + 100) this.#forgetOldest();
    return true;
  }

  /** Begins anew with what runs; the rest is kept until `confirm`, so that nothing flickers. */
  begin(rows, isComplete) {
    this.#doubted = new Set(this.rows.keys());
    this.isComplete = isComplete;
    for (const row of rows) this.take(row);
  }

  /** Takes the rows of the recent past, and forgets what neither these nor the snapshot have confirmed. */
  confirm(rows) {
    for (const row of [...rows].reverse()) this.take(row);
    for (const id of this.#doubted) this.forget(id);
    this.#doubted.clear();
  }

  forget(id) {
    const known = this.rows.get(id);
    if (known && hasEnded(known)) this.#ended -= 1;
    this.rows.delete(id);
  }

  #forgetOldest() {
    const ended = [...this.rows.values()].filter(hasEnded).sort(byEnding);
    for (const row of ended.slice(MAX_ENDED)) this.forget(row.operation_id);
  }

  /** The types that are known, in order. */
  types() {
    return [...new Set([...this.rows.values()].map((row) => row.operation_type))].sort();
  }
}

function isNewer(row, known) {
  if (row.epoch !== known.epoch) return row.epoch > known.epoch;
  if (hasEnded(row) !== hasEnded(known)) return hasEnded(row);
  return row.sequence >= known.sequence;
}

/** Oldest start first: rows keep their places while they run. */
export const byStart = (one, other) =>
  order(one.created_at, other.created_at) || order(one.epoch, other.epoch) || order(one.operation_id, other.operation_id);

/** Newest ending first. */
export const byEnding = (one, other) => order(other.ended_at, one.ended_at) || byStart(other, one);

const order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
