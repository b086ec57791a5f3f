// One task over EventSource. Every text that arrives is data: show it with textContent, never as HTML.

const BASE = "/api/v1/streaming-chat";

/** Start the task `ask-question` with `body`; resolves to its id. */
export async function ask(body, token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(`${BASE}/ask-question`, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer.task_id;
}

/**
 * Follow a task. `on` has the functions status, progress, complete, error and ping, each optional.
 * Returns what stops it. A connection that is lost is made again by the browser, unless it was refused.
 */
export function watchTask(taskId, on, token) {
  const query = token ? `?token=${encodeURIComponent(token)}` : "";
  const source = new EventSource(`${BASE}/sse/${encodeURIComponent(taskId)}${query}`);
  const handlers = {
    enhanced_status: (data) => on.status?.(data),
    enhanced_progress: (data) => on.progress?.(data),
    enhanced_ping: (data) => on.ping?.(data.connection_alive_seconds),
    enhanced_complete: (data) => {
      source.close();
      on.complete?.(data.result, data.summary);
    },
    enhanced_error: (data) => {
      source.close();
      on.error?.(data.error);
    },
  };
  source.onmessage = (event) => {
    const data = JSON.parse(event.data);
    handlers[data.type]?.(data);
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) on.error?.("the connection was refused");
  };
  return () => source.close();
}
