"""The standard stage plan: which share of a whole LLM operation each stage takes (seed S3-40)."""

from __future__ import annotations

from midspan.core.operation import Stage

STANDARD_PLAN: dict[str, tuple[float, float]] = {
    Stage.INITIALIZING: (0.0, 0.02),
    Stage.VALIDATING_INPUT: (0.02, 0.05),
    Stage.RESOLVING_TEMPLATE: (0.05, 0.08),
    Stage.GENERATING_PROMPT: (0.08, 0.12),
    Stage.SELECTING_MODEL: (0.12, 0.15),
    Stage.CONNECTING_TO_MODEL: (0.15, 0.18),
    Stage.SENDING_REQUEST: (0.18, 0.22),
    Stage.WAITING_FIRST_CHUNK: (0.22, 0.25),
    Stage.STREAMING_RESPONSE: (0.25, 0.92),
    Stage.PROCESSING_RESPONSE: (0.92, 0.97),
    Stage.COLLECTING_METADATA: (0.97, 1.0),
}
"""Stage → (start, end) of its share. `retrying` has none: it keeps the progress reached before."""

PROMPT_PLAN: dict[str, tuple[float, float]] = {
    Stage.WAITING_FIRST_CHUNK: (0.0, STANDARD_PLAN[Stage.STREAMING_RESPONSE][0]),
    Stage.STREAMING_RESPONSE: STANDARD_PLAN[Stage.STREAMING_RESPONSE],
    Stage.PROCESSING_RESPONSE: STANDARD_PLAN[Stage.PROCESSING_RESPONSE],
}
"""The same of a call whose server tells how much of the prompt it has processed."""

STANDARD_STAGES = frozenset(str(stage) for stage in Stage)


def metric_stage(stage: str | None) -> str:
    """The stage as a metric label: a standard one by its name, any other as `custom`, none as `none`."""
    if stage is None:
        return "none"
    return stage if stage in STANDARD_STAGES else "custom"
