import { ask, watchTask } from "./watch-task.js";

const find = (id) => document.getElementById(id);
const show = (id, text) => (find(id).textContent = text);
let stop = () => {};

function step({ stage, progress, message }) {
  find("bar").value = progress;
  show("message", message);
  const row = document.createElement("li");
  row.textContent = `${stage}: ${progress}% - ${message}`;
  find("log").append(row);
}

function watch(taskId) {
  stop();
  find("log").replaceChildren();
  for (const id of ["message", "result", "error"]) show(id, "");
  stop = watchTask(taskId, {
    progress: step,
    complete: (result, summary) => show("result", `${result.response} (${summary.total_processing_time} ms)`),
    error: (text) => show("error", text),
  });
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask({ question: find("question").value }).then(watch, (error) => show("error", error.message));
});

// A page may be opened for a task that runs already: eventsource.html?task=ID
const known = new URLSearchParams(location.search).get("task");
if (known) watch(known);
