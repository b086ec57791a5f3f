// The server's time: this machine's clock may be wrong, and durations must not be.

let ahead = 0;

/** Takes the time that an answer bears, half a round trip old. */
export function synchronise(serverTime, roundTrip) {
  ahead = Date.parse(serverTime) + roundTrip / 2 - Date.now();
}

/** Now, in milliseconds since 1970, by the server's clock. */
export const now = () => Date.now() + ahead;

/** Seconds since a time of the server (RFC 3339); null since none. */
export const since = (time, at = now()) => (time ? Math.max(0, (at - Date.parse(time)) / 1000) : null);
