// Every session over one WebSocket, open only while somebody looks at the page.

const AGAIN_MS = 1000;
const MOST_ROWS = 100;
const rows = new Map();
const table = document.getElementById("sessions");
let socket = null;

function rowOf(id) {
  if (!rows.has(id)) {
    const row = table.insertRow(0);
    for (let cell = 0; cell < 4; cell++) row.insertCell();
    rows.set(id, row);
    if (rows.size > MOST_ROWS) forget(rows.keys().next().value);
  }
  return rows.get(id);
}

function forget(id) {
  rows.get(id).remove();
  rows.delete(id);
}

function show({ session_id, task, current_stage, stage, progress_percent, indeterminate, status }) {
  const { cells } = rowOf(session_id);
  cells[0].textContent = task;
  cells[1].textContent = stage ?? current_stage;
  cells[2].textContent = indeterminate ? "?" : `${Math.round(progress_percent)}%`;
  cells[3].textContent = status;
}

function receive({ type, sessions, events }) {
  if (type === "snapshot") {
    rows.clear();
    table.replaceChildren();
    sessions.reverse().forEach(show);
  } else if (type === "update") {
    events.forEach(show);
  }
}

function say(text) {
  document.getElementById("connection").textContent = text;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const mine = (socket = new WebSocket(`${scheme}://${location.host}/ws/monitoring`));
  mine.onopen = () => say("open");
  mine.onmessage = (event) => receive(JSON.parse(event.data));
  mine.onclose = () => {
    say("closed");
    if (socket === mine) setTimeout(() => socket === mine && connect(), AGAIN_MS);
  };
}

function look() {
  if (!document.hidden && !socket) connect();
  if (document.hidden && socket) {
    const left = socket;
    socket = null;
    left.close();
  }
}

document.addEventListener("visibilitychange", look);
look();
