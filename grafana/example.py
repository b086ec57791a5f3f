"""The example application of compose.yaml: jobs that make progress, fail and stall."""

import random
import threading
import time

import midspan

STAGES = ("validating_input", "sending_request", "streaming_response", "processing_response")


def job(name: str, kind: str, steps: int, pause: float, *, failing: float = 0.0, stalling: float = 0.0) -> None:
    """Does it again and again; `failing` and `stalling` are shares of the runs."""
    while True:
        try:
            with midspan.ProgressTracker(None, kind, steps, name=name, deadline=2 * steps * pause) as tracker:
                for step in range(steps):
                    tracker.update(step=step, stage=STAGES[step * len(STAGES) // steps])
                    time.sleep(pause * random.uniform(0.5, 1.5))
                if random.random() < stalling:
                    time.sleep(90)
                if random.random() < failing:
                    raise TimeoutError("the provider did not answer")
        except TimeoutError:
            pass


if __name__ == "__main__":
    for arguments in (("import", "batch", 300, 1.0), ("train", "fine_tuning", 900, 1.0), ("search", "tool", 10, 0.2)):
        threading.Thread(target=job, args=arguments, kwargs={"failing": 0.05, "stalling": 0.05}).start()
