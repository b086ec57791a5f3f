"""Found first by a Python that `midspan run` starts: the app's own sitecustomize, and then midspan.

The folder holds nothing else, so that nothing else of it can be imported by accident.
"""

import importlib
import importlib.util
import os
import signal
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _load_the_apps_own() -> None:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
    ours = sys.modules.pop("sitecustomize", None)
    importlib.invalidate_caches()
    if importlib.util.find_spec("sitecustomize") is not None:
        importlib.import_module("sitecustomize")
    elif ours is not None:
        sys.modules["sitecustomize"] = ours


def _attach() -> None:
    try:
        from midspan.runtime.wiring import boot

        boot()
    except KeyboardInterrupt:
        # Within `site` it would be a fatal error of Python's; a program at its first line dies of the signal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except Exception as error:
        # The program must run all the same, whatever is wrong with midspan in this Python.
        sys.stderr.write(f"midspan: not attached: it is not usable in {sys.executable} ({error!r})\n")


try:
    _load_the_apps_own()
finally:
    _attach()
