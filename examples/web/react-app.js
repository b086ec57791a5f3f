import { createElement as h, useState } from "react";
import { useTask } from "./use-task.js";
import { ask } from "./watch-task.js";

function App() {
  const [taskId, setTaskId] = useState(new URLSearchParams(location.search).get("task"));
  const [refused, setRefused] = useState(null);
  const { progress, message, result, error, history } = useTask(taskId);
  const start = () => ask({ question: "Will it rain?" }).then(setTaskId, (reason) => setRefused(reason.message));
  return h(
    "div",
    null,
    h("h1", null, "A task in React"),
    h("button", { onClick: start }, "Ask"),
    h("p", null, h("progress", { max: 100, value: progress, "aria-label": "Progress" })),
    h("p", { id: "message" }, message),
    h("ol", { id: "log" }, ...history.map((row) => h("li", null, `${row.stage}: ${row.progress}% - ${row.message}`))),
    result && h("p", { id: "result" }, result.response),
    (error || refused) && h("p", { id: "error", className: "error", role: "alert" }, error || refused),
  );
}

globalThis.ReactDOM.createRoot(document.getElementById("root")).render(h(App));
