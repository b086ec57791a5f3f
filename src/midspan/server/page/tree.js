// Which operations are shown where: those that match, below the ones they belong to.

import { byEnding, byStart, hasEnded } from "./model.js";

const MAX_DEPTH = 6;
const WITH_STATUS = {
  running: (row) => !hasEnded(row),
  stalled: (row) => !hasEnded(row) && row.stalled,
  completed: (row) => row.status === "completed",
  failed: (row) => row.status === "failed" || row.status === "lost",
  cancelled: (row) => row.status === "cancelled",
};

/** A filter as a predicate: `text` in what a row says, in either case; `status`, one of the choices; `type`. */
export function matcher({ text, status, type }) {
  const wanted = text.trim().toLowerCase();
  return (row) =>
    (!type || row.operation_type === type) &&
    (!status || WITH_STATUS[status](row)) &&
    (!wanted || said(row).some((each) => each?.toLowerCase().includes(wanted)));
}

const said = (row) => [
  ...[row.operation_id, row.operation_type, row.name, row.stage, row.message, row.provider, row.model],
  ...[row.error?.type, row.error?.message],
];

/** Ids of the rows by the id of their parent. */
export function byParent(rows) {
  const found = new Map();
  for (const row of rows) {
    if (row.parent_id === null) continue;
    const siblings = found.get(row.parent_id);
    if (siblings) siblings.push(row);
    else found.set(row.parent_id, [row]);
  }
  return found;
}

/**
 * The rows of one section as `{ row, depth, below, isOpen }`, parents before their children. `below` is how many are
 * shown below it when it is open; `isOpen(row)` says whether it is.
 */
export function arranged(rows, { matches, isOpen, order }) {
  const within = new Map(rows.map((row) => [row.operation_id, row]));
  const shown = withAncestors(rows.filter(matches), within);
  const children = byParent([...shown].sort(byStart));
  const roots = [...shown].filter((row) => !within.has(row.parent_id) || !shown.has(within.get(row.parent_id)));
  const found = [];
  const seen = new Set();
  for (const root of roots.sort(order)) walk(root, 0);
  // Two that name each other as parents have no root.
  for (const row of shown) if (!seen.has(row) && !isBelow(row, within, seen)) walk(row, 0);
  return found;

  function walk(row, depth) {
    if (seen.has(row)) return;
    seen.add(row);
    const below = children.get(row.operation_id) ?? [];
    const isUnfolded = below.length > 0 && isOpen(row);
    found.push({ row, depth: Math.min(depth, MAX_DEPTH), below: below.length, isOpen: isUnfolded });
    if (isUnfolded) for (const child of below) walk(child, depth + 1);
  }
}

function withAncestors(rows, within) {
  const shown = new Set();
  for (let row of rows) {
    while (row && !shown.has(row)) {
      shown.add(row);
      row = within.get(row.parent_id);
    }
  }
  return shown;
}

function isBelow(row, within, seen) {
  const passed = new Set();
  for (let parent = within.get(row.parent_id); parent && !passed.has(parent); parent = within.get(parent.parent_id)) {
    if (seen.has(parent)) return true;
    passed.add(parent);
  }
  return false;
}

/** The two sections: what runs, or has ended a moment ago (`lingers`), and what ended before. */
export function sections(model, { matches, isFiltered, lingers, toggled }) {
  const [running, recent] = [[], []];
  for (const row of model.rows.values()) (hasEnded(row) && !lingers(row) ? recent : running).push(row);
  const unlessToggled = (isOpen) => (row) => isOpen !== toggled.has(row.operation_id);
  return {
    running: arranged(running, { matches, order: byStart, isOpen: unlessToggled(true) }),
    recent: arranged(recent, { matches, order: byEnding, isOpen: unlessToggled(isFiltered) }),
  };
}
