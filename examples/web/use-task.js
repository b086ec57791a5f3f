import { useEffect, useState } from "react";
import { watchTask } from "./watch-task.js";

const NEW = { progress: 0, stage: "", message: "", result: null, error: null, history: [] };

/** The state of a task as it runs: { progress (0 to 100), stage, message, result, error, history }. */
export function useTask(taskId, token) {
  const [state, setState] = useState(NEW);

  useEffect(() => {
    setState(NEW);
    if (!taskId) return undefined;
    const change = (what) => setState((before) => ({ ...before, ...what(before) }));
    return watchTask(
      taskId,
      {
        progress: ({ progress, stage, message, timestamp }) =>
          change(({ history }) => ({
            progress,
            stage,
            message,
            history: [...history, { progress, stage, message, timestamp }],
          })),
        complete: (result) => change(() => ({ result })),
        error: (error) => change(() => ({ error })),
      },
      token,
    );
  }, [taskId, token]);

  return state;
}
