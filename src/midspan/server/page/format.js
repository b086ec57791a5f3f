// Values as people read them. Pure: the same in, the same out.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1, notation: "compact" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DAY = 86_400;
const BYTES = ["B", "kB", "MB", "GB", "TB"];

/** Two units at most: `420 ms`, `4.2 s`, `42 s`, `3 min 12 s`, `2 h 05 min`, `3 d 4 h`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.9995) return `${Math.round(Math.max(0, seconds) * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return coarse(seconds);
}

/** The same without fractions, for what ticks or is only estimated. */
export function coarse(seconds) {
  const all = Math.max(0, Math.round(seconds));
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${two(all % 60)} s`;
  if (all < DAY) return `${Math.floor(all / 3600)} h ${two(Math.floor((all % 3600) / 60))} min`;
  return `${Math.floor(all / DAY)} d ${Math.floor((all % DAY) / 3600)} h`;
}

/** One unit: `8 s`, `3 min`, `2 h`. */
export function rough(seconds) {
  if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3570) return `${Math.round(seconds / 60)} min`;
  return seconds < DAY ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / DAY)} d`;
}

/** A range of seconds in one unit where both ends have the same: `5–14 s`. */
export function range(low, high) {
  const [from, to] = [rough(low), rough(high)];
  if (from === to) return to;
  const [value, unit] = from.split(" ");
  return to.endsWith(` ${unit}`) ? `${value}–${to}` : `${from} – ${to}`;
}

const two = (value) => String(value).padStart(2, "0");

/** A fraction as a percentage; done is only what is done: 0.999 is 99 %. */
export function percent(fraction) {
  if (fraction === null || fraction === undefined) return "–";
  return `${Math.floor(fraction * 100 + 1e-9)} %`;
}

/** A share as a percentage with a decimal where that tells more. */
export function share(fraction) {
  if (fraction === null || fraction === undefined) return "–";
  const value = fraction * 100;
  return `${value > 90 && value < 99.95 ? value.toFixed(1) : Math.round(value)} %`;
}

export function count(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) < 1e5 ? whole.format(value) : short.format(value);
}

export function bytes(value) {
  let power = 0;
  while (value >= 1000 && power < BYTES.length - 1) {
    value /= 1000;
    power += 1;
  }
  return `${power ? value.toFixed(1) : value} ${BYTES[power]}`;
}

/** An amount with its unit: bytes (`By` in UCUM) by size, anything else as it is called. */
export function amount(value, unit) {
  if (unit === "By") return bytes(value);
  return unit ? `${count(value)} ${unit}` : count(value);
}

export const rate = (perSecond) => (perSecond < 10 ? perSecond.toFixed(1) : count(perSecond));

/** A time of day, with the day where that is not today. */
export function moment(milliseconds, now = Date.now()) {
  const at = new Date(milliseconds);
  const time = clock.format(at);
  return at.toDateString() === new Date(now).toDateString() ? time : `${day.format(at)} ${time}`;
}

export const ago = (seconds) => (seconds < 3 ? "just now" : `${rough(seconds)} ago`);

/** `streaming_response` → `streaming response`. */
export const words = (name) => (name ?? "").replaceAll("_", " ");
