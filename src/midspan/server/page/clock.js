// The server's time: this machine's clock may be wrong, and durations must not be. Nobody knows more than the server
// has told, so the clock stands still while the connection is not live.

// It is asked every three seconds: so long after its last word nothing is amiss.
const GRACE = 4000;

let ahead = 0;
let heardAt = null;
let heldAt = null;
let isLost = false;

const going = () => Date.now() + ahead;

/** Takes the time that an answer bears, half a round trip old. */
export function synchronise(serverTime, roundTrip) {
  ahead = Date.parse(serverTime) + roundTrip / 2 - Date.now();
  heard();
}

/** Notes that the server has said something. */
export function heard() {
  heardAt = going();
}

/** Stops the clock at the time when the server was last heard; before that there is nothing to stop. */
export function hold(asLost) {
  if (heardAt === null) return;
  heldAt ??= Math.min(going(), heardAt + GRACE);
  isLost ||= asLost;
}

/** Lets the clock go on from the server's time. */
export function release() {
  heldAt = null;
  isLost = false;
}

/** When the server was last heard, while the connection to it is lost; else null. */
export const lastSeen = () => (isLost ? heldAt : null);

/** Now, in milliseconds since 1970, by the server's clock. */
export const now = () => heldAt ?? going();

/** Seconds since a time of the server (RFC 3339); null since none. */
export const since = (time, at = now()) => (time ? Math.max(0, (at - Date.parse(time)) / 1000) : null);
