// The history of one operation: its stages with how long each took, its attempts, and its events.

import { now } from "./clock.js";
import { arrange, element, write } from "./elements.js";
import { duration, percent, words } from "./format.js";

const RETRYING = "retrying";

/** Each stage that its history tells of, as `{ name, begin, end, isOver }` in milliseconds. */
export function stagesOf(row, at = now()) {
  const entered = row.history.filter((event) => event.type === "stage" && event.stage);
  const last = row.ended_at ? Date.parse(row.ended_at) : at;
  return entered.map((event, index) => ({
    name: event.stage,
    begin: Date.parse(event.at),
    end: index + 1 < entered.length ? Date.parse(entered[index + 1].at) : last,
    isOver: index + 1 < entered.length || row.ended_at !== null,
  }));
}

/** The attempts of a call that was sent more than once: each until it failed, and the wait after it. */
export function attemptsOf(row, at = now()) {
  const attempts = [];
  let [begin, failed] = [Date.parse(row.started_at ?? row.created_at), null];
  for (const stage of stagesOf(row, at)) {
    if (stage.name === RETRYING) failed ??= stage.begin;
    else if (failed !== null) {
      attempts.push({ seconds: (failed - begin) / 1000, waited: (stage.begin - failed) / 1000 });
      [begin, failed] = [stage.begin, null];
    }
  }
  const end = failed ?? (row.ended_at ? Date.parse(row.ended_at) : at);
  attempts.push({ seconds: (end - begin) / 1000, waited: null });
  return attempts;
}

export function stageList(row) {
  const stages = stagesOf(row);
  const longest = Math.max(1, ...stages.map((stage) => stage.end - stage.begin));
  const items = stages.map((stage) => {
    const took = stage.end - stage.begin;
    const bar = element("progress", { max: longest, value: took, "aria-hidden": "true" });
    return element(
      "li",
      { "data-state": stage.isOver ? "over" : "running" },
      element("span", { class: "term" }, words(stage.name)),
      bar,
      element("span", { class: "number" }, duration(took / 1000)),
    );
  });
  const told = new Set(stages.map((stage) => stage.name));
  const before = row.stages_completed.filter((name) => !told.has(name));
  const forgotten = before.map((name) => element("li", {}, element("span", { class: "term" }, words(name)), "", ""));
  return element("ol", { class: "stages" }, ...forgotten, ...items);
}

export function attemptList(row) {
  const attempts = attemptsOf(row);
  const items = attempts.map(({ seconds, waited }, index) => {
    const failed = index + 1 < attempts.length ? `failed after ${duration(seconds)}, waited ${duration(waited)}` : null;
    return element("li", {}, failed ?? `${row.ended_at ? row.status : "running"}, ${duration(seconds)}`);
  });
  return element("ol", { class: "attempts", start: Math.max(1, row.attempt - attempts.length + 1) }, ...items);
}

/** The events, each with an element of its own that stays. */
export class Timeline {
  element = element("ol", { class: "timeline" });
  #items = new Map();

  update(row) {
    const begin = Date.parse(row.created_at);
    const items = row.history.map((event) => this.#item(event, begin));
    this.#items = new Map(row.history.map((event, index) => [event.sequence, items[index]]));
    arrange(this.element, items);
  }

  #item(event, begin) {
    return this.#items.get(event.sequence) ?? item(event, (Date.parse(event.at) - begin) / 1000);
  }
}

function item(event, seconds) {
  const made = element(
    "li",
    { "data-type": event.type },
    element("time", { datetime: event.at, title: event.at }, `+${duration(seconds)}`),
    element("span", { class: "type" }),
    element("span", { class: "said" }),
  );
  const [, type, said] = made.children;
  write(type, event.type);
  write(said, told(event));
  return made;
}

function told(event) {
  const step = event.step === null ? null : `step ${event.step}`;
  const progress = event.progress === null || event.type === "start" ? null : percent(event.progress);
  const stage = event.type === "stage" ? words(event.stage) : null;
  const data = event.data && Object.keys(event.data).length ? JSON.stringify(event.data) : null;
  return [stage, event.message, step, progress, data].filter(Boolean).join(" · ");
}
