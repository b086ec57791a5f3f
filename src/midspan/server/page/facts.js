// What is known of one operation, as terms and values.

import { element } from "./elements.js";
import { bytes, count, duration, moment, rate, words } from "./format.js";

const MAX_VALUE = 4000;

/** `[term, value]` for each thing that is known; a value is text, or an element. `parent` is its row, if known. */
export function factsOf(row, parent) {
  const { tokens, owner } = row;
  return [
    ["type", words(row.operation_type)],
    ["part of", partOf(row, parent)],
    ["provider", row.provider],
    ["model", row.model],
    ["tokens in", tokens && said(tokens.input, tokens.cached ? `${count(tokens.cached)} cached` : "")],
    ["tokens out", tokens && said(tokens.output, tokens.estimated ? "counted here" : reasoning(tokens))],
    ["rate", row.tokens_per_second && `${rate(row.tokens_per_second)} tokens/s`],
    ["first token", row.time_to_first_chunk !== null && `after ${duration(row.time_to_first_chunk)}`],
    ["chunks", row.chunks && count(row.chunks)],
    ["received", row.bytes && bytes(row.bytes)],
    ["started", time(row.started_at)],
    ["ended", time(row.ended_at)],
    ["deadline", time(row.deadline_at)],
    ["progress from", row.progress_source && words(row.progress_source)],
    ["estimate from", row.estimate && words(row.estimate.method)],
    ["cancelling", row.cancel.requested_at && `asked at ${moment(Date.parse(row.cancel.requested_at))}`],
    ["for", owner?.principal],
    ["process", owner && [owner.service, owner.host, owner.pid && `pid ${owner.pid}`].filter(Boolean).join(" · ")],
    ["id", element("code", {}, row.operation_id)],
    ["trace", trace(row)],
  ].filter(([, value]) => value);
}

function partOf(row, parent) {
  if (row.parent_id === null) return null;
  return element("button", { type: "button", class: "name", "data-open": row.parent_id }, parent?.name ?? row.parent_id);
}

const said = (value, more) => (value === null ? null : [count(value), more].filter(Boolean).join(", "));

const reasoning = (tokens) => (tokens.reasoning ? `${count(tokens.reasoning)} reasoning` : "");

const time = (at) => at && element("time", { datetime: at, title: at }, moment(Date.parse(at)));

/** A link where the server has an address for it; only of the web, whatever a template says. */
function trace(row) {
  if (!row.trace_id) return null;
  const id = element("code", {}, row.trace_id);
  if (!/^https?:\/\//i.test(row.trace_url ?? "")) return id;
  return element("a", { href: row.trace_url, target: "_blank", rel: "noopener noreferrer" }, "open trace ", id);
}

export function terms(pairs) {
  return element("dl", { class: "facts" }, ...pairs.map(([term, value]) => pair(term, value)));
}

const pair = (term, value) => element("div", {}, element("dt", {}, term), element("dd", {}, value));

export const metadataOf = (row) => Object.entries(row.metadata ?? {}).map(([key, value]) => [key, plain(value)]);

/** A value as text; at most 4,000 characters of it. */
export function plain(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)} …` : text;
}
