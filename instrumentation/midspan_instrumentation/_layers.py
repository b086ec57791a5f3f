"""An answer whose progress is told part by part: the bytes of all the parts that are known so far."""

from __future__ import annotations

from midspan.tracking import instrumenting
from midspan_instrumentation.provider import Layer, Reading

MAX_LAYERS = 1_000
"""A model has some tens of them; of more, only the first are counted."""


class Layers:
    """The parts of one answer. Parts that become known later make the whole larger; what is done never falls."""

    __slots__ = ("_known", "_tracker")

    def __init__(self, tracker: instrumenting.CallTracker) -> None:
        self._tracker = tracker
        self._known: dict[str, Layer] = {}

    def take(self, found: Reading) -> None:
        """The provider tells of a stage, of a part, or of both."""
        if found.stage is not None:
            self._tracker.enter_stage(found.stage)
        layer = found.layer
        if layer is None or (layer.key not in self._known and len(self._known) >= MAX_LAYERS):
            return
        before = self._known.get(layer.key, layer)
        self._known[layer.key] = Layer(layer.key, max(layer.completed, before.completed), layer.total or before.total)
        known = self._known.values()
        self._tracker.reached(sum(each.completed for each in known), sum(each.total or 0.0 for each in known), "byte")
