// How far an operation is, and how long it will still take: as words, and as a bar.

import { lastSeen, now, since } from "./clock.js";
import { attribute } from "./elements.js";
import { amount, coarse, count, percent, range, rough, words } from "./format.js";
import { hasEnded } from "./model.js";

const GUESSED = new Set(["stages", "history", "token_budget"]);

/**
 * Sets a `<progress>`: without a value it is indeterminate, in sight and for screen readers. Of what has ended it only
 * shows where that broke off.
 */
export function paint(bar, row) {
  const isUnknown = row.progress === null;
  if (isUnknown && bar.hasAttribute("value")) bar.removeAttribute("value");
  if (!isUnknown && bar.getAttribute("value") !== String(row.progress)) bar.value = row.progress;
  attribute(bar, "hidden", hasEnded(row) && (row.status === "completed" || !row.progress));
  attribute(bar, "aria-label", `Progress of ${row.name}`);
  attribute(bar, "data-state", stateOf(row));
}

/** The status, or the most pressing thing about it. */
export function stateOf(row) {
  if (hasEnded(row)) return row.status;
  if (row.stalled) return "stalled";
  return row.waiting_for ? "waiting" : row.status;
}

/** When one that runs was last seen, where nobody knows whether it still does; else null. */
export const seenAt = (row) => (hasEnded(row) ? null : lastSeen());

/** `42 %`, with a tilde where it is a guess. */
export function percentage(row) {
  if (row.progress === null) return "";
  return `${GUESSED.has(row.progress_source) ? "~" : ""}${percent(row.progress)}`;
}

/** `84 of 200 rows`, `step 2 of 5`, `84 rows`, with what has failed of them. */
export function amounts(row) {
  const failed = row.counts?.failed ? `${count(row.counts.failed)} failed` : "";
  return [counted(row), failed].filter(Boolean).join(", ");
}

function counted(row) {
  if (row.completed !== null && row.total !== null) return `${part(row)} of ${amount(row.total, row.unit)}`;
  if (row.step !== null) return row.total_steps === null ? `step ${row.step}` : `step ${row.step} of ${row.total_steps}`;
  return row.completed === null ? "" : amount(row.completed, row.unit);
}

const part = (row) => (row.unit === "By" ? amount(row.completed, "By") : count(row.completed));

/** Seconds that it has run, or did run. */
export function elapsed(row, at = now()) {
  return hasEnded(row) ? row.elapsed_seconds : since(row.started_at, at);
}

/** `{ text: "8 s left", range: "5–14 s" }`, each empty where nothing is known; while it is stalled nothing is. */
export function remaining(row, at = now()) {
  if (hasEnded(row) || row.stalled || row.estimated_remaining_seconds === null) return { text: "", range: "" };
  const passed = Math.max(0, (elapsed(row, at) ?? 0) - row.elapsed_seconds);
  const left = row.estimated_remaining_seconds - passed;
  if (left <= 0) return { text: "any moment", range: "" };
  const { low, high } = row.estimate ?? { low: left, high: left };
  const [from, to] = [Math.max(0, low - passed), Math.max(0, high - passed)];
  return { text: `${rough(left)} left`, range: rough(from) === rough(to) ? "" : range(from, to) };
}

/** What is to be known beside the stage: stalled, waiting, a further attempt, a cancellation. */
export function notices(row, at = now()) {
  if (hasEnded(row)) return row.attempt > 1 ? [`attempt ${row.attempt}`] : [];
  const told = [];
  if (row.stalled) told.push(`stalled ${coarse(since(row.progressed_at, at))}`);
  if (row.waiting_for) told.push(waiting(row, at));
  if (row.attempt > 1) told.push(`attempt ${row.attempt}`);
  if (row.cancel.requested_at) told.push("cancelling");
  if (row.deadline_at && Date.parse(row.deadline_at) < at) told.push("past its deadline");
  return told;
}

function waiting(row, at) {
  const left = row.next_retry_at ? Math.ceil((Date.parse(row.next_retry_at) - at) / 1000) : 0;
  const why = row.waiting_for === "retry" ? "retry" : words(row.waiting_for);
  return left > 0 ? `${why}, next try in ${rough(left)}` : `waiting: ${why}`;
}
