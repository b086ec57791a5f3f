"""Which functions of midspan each application reaches, found out once for all tests."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FunctionType
from typing import NamedTuple

from midspan.runtime.pulse import Pulse
from midspan.tracking.tracker import get_progress_registry
from tests.fakes.sdks import SDKS
from tests.faults import listed
from tests.faults.application import Application
from tests.faults.calls import Calls
from tests.faults.inject import called, functions
from tests.faults.job_calls import JobCalls
from tests.faults.transport_calls import IS_INSTALLED, TransportCalls

AnyApplication = Application | Calls | JobCalls | TransportCalls
Used = str
"""What an application uses: an SDK or a part by its name, or everything of OpenAI's."""
MAIN: Used = "everything"
OTHERS: dict[Used, Callable[[], AnyApplication]] = {MAIN: Application, "jobs": JobCalls}
if IS_INSTALLED:
    OTHERS["transports"] = TransportCalls
EVERY: tuple[Used, ...] = (*OTHERS, *sorted({*SDKS}))
INJECTED: tuple[Used, ...] = tuple(used for used in EVERY if used != "openai")
"""OpenAI's calls are those of the main application."""
OURS = (
    "midspan_instrumentation.",
    "midspan.core.known_jobs",
    "midspan.core.call_transitions.connect",
    "midspan.tracking.job_reading",
    "midspan.tracking.provider_jobs",
)
"""What does something else in every application, and is made to raise in each."""

Reached = dict[str, list[int]]
"""Names of functions, and the numbers of the actions that call each."""


@contextmanager
def application_of(used: Used) -> Generator[AnyApplication]:
    """The application, with clients that are new."""
    made = OTHERS[used]() if used in OTHERS else Calls(SDKS[used])
    try:
        yield made
    finally:
        made.close()


class Reach(NamedTuple):
    """What an application reaches with clients that are new, and with those that have done everything before."""

    at_first: Reached
    again: Reached


class Survey:
    """What each application reaches, whichever test asks first; to be asked where midspan is on."""

    def __init__(self) -> None:
        self._known: dict[Used, Reach] = {}

    def of(self, used: Used) -> Reach:
        if used not in self._known:
            self._known[used] = _reach(used)
        return self._known[used]

    def injected(self, used: Used) -> Reach:
        """What is made to raise: in the main application everything, elsewhere `OURS` and what that one does not reach.

        With clients that are new only what is not reached again.
        """
        elsewhere = set[str]() if used == MAIN else {name for reached in self.of(MAIN) for name in reached}
        at_first, again = (
            {name: numbers for name, numbers in reached.items() if name not in elsewhere or name.startswith(OURS)}
            for reached in self.of(used)
        )
        return Reach({name: numbers for name, numbers in at_first.items() if name not in again}, again)


def _reach(used: Used) -> Reach:
    with application_of(used) as application:
        # What is done once in a process is done now, whichever application comes first.
        for action in application.actions():
            action()
        keep()
        again = _reached_by(application)
    with application_of(used) as application:
        return Reach(_reached_by(application), again)


def keep() -> None:
    """What was made so far (classes, mostly) is not looked at in every collection that a dropped stream forces."""
    gc.collect()
    gc.freeze()


def _reached_by(application: AnyApplication) -> Reached:
    known = {function.__code__: name for name, function in all_functions().items()}
    reached: Reached = {}
    for number, action in enumerate(application.actions()):
        # A job that is known already passes other functions than a new one.
        get_progress_registry().clear()
        with called() as codes:
            action()
            # Here, and not in an action to come.
            Pulse(get_progress_registry()).beat()
        for code in codes & known.keys():
            reached.setdefault(known[code], []).append(number)
    return reached


def all_functions() -> dict[str, FunctionType]:
    """Name → function, of all modules that are not listed as left out."""
    return functions(listed.is_elsewhere)
