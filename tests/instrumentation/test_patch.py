"""Wrapping on import, beside other tools, and undoing it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest
import wrapt

import midspan_instrumentation as instrumentation
from midspan_instrumentation import _tables
from midspan_instrumentation._importing import OnImport
from midspan_instrumentation._patch import Patch
from tests.fakes.openai_calls import ANSWERS, http, sync_client

SOURCE = """
__version__ = "4.0"
class Greeter:
    def greet(self, name):
        return [name]
"""


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that can be imported and is not."""
    name = f"sdk_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def mark(word: str) -> Callable[..., object]:
    """A wrapper that adds a word to the result."""

    def wrapper(
        wrapped: Callable[..., list[str]],
        _instance: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> list[str]:
        return [*wrapped(*args, **kwargs), word]

    return wrapper


def greet(module: ModuleType) -> list[str]:
    return module.Greeter().greet("you")


def test_applying_imports_no_sdk_and_no_http_client() -> None:
    code = (
        "import sys, midspan_instrumentation as m; m.apply(); m.apply(); "
        "print(sorted({'openai', 'httpx', 'httpx2'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    path = f"{root / 'src'}:{root / 'instrumentation'}"
    shown = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert (shown.stdout, shown.stderr) == ("[]\n", "")


def test_a_callable_is_wrapped_when_its_module_is_imported(name: str) -> None:
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    assert (patch.applied, name in sys.modules) == (False, False)
    assert greet(importlib.import_module(name)) == ["you", "ours"]


def test_a_callable_is_wrapped_at_once_when_its_module_is_there(name: str) -> None:
    module = importlib.import_module(name)
    Patch(name, "Greeter.greet", mark("ours")).install()
    assert greet(module) == ["you", "ours"]


def test_installing_twice_wraps_once(name: str) -> None:
    module = importlib.import_module(name)
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    patch.install()
    assert greet(module) == ["you", "ours"]


def test_removing_restores_the_very_object(name: str) -> None:
    module = importlib.import_module(name)
    original = vars(module.Greeter)["greet"]
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    assert vars(module.Greeter)["greet"] is not original
    patch.remove()
    assert vars(module.Greeter)["greet"] is original


def test_a_table_of_several_packages_is_read_once_when_the_first_of_them_is_imported(name: str) -> None:
    reads: list[str] = []

    def read_table() -> list[Patch]:
        reads.append(name)
        return [Patch(name, "Greeter.greet", mark("seen"))]

    on_import = OnImport("no_such_sdk", read_table, (name, "no_such_cloud"))
    on_import.install()
    assert reads == []
    assert importlib.import_module(name).Greeter().greet("a") == ["a", "seen"]
    on_import.remove()
    on_import.install()
    assert reads == [name]
    on_import.remove()


def test_a_patch_removed_before_the_import_wraps_nothing(name: str) -> None:
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    patch.remove()
    assert greet(importlib.import_module(name)) == ["you"]


def test_a_patch_can_be_installed_again(name: str) -> None:
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    patch.remove()
    module = importlib.import_module(name)
    patch.install()
    assert greet(module) == ["you", "ours"]


def test_a_missing_callable_is_named_with_the_version_in_one_warning_and_skipped(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An SDK version whose targets are gone."""
    patch = Patch(name, "Greeter.gone", mark("ours"))
    patch.install()
    module = importlib.import_module(name)
    assert greet(module) == ["you"]
    patch.install()
    assert [f"midspan: {name} has no Greeter.gone ({name} 4.0): its calls are not seen"] == caplog.messages
    assert not patch.applied


def test_a_callable_that_not_every_release_has_is_skipped_in_silence(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    patch = Patch(name, "Greeter.gone", mark("ours"), optional=True)
    patch.install()
    assert greet(importlib.import_module(name)) == ["you"]
    assert caplog.messages == []


def test_ours_goes_under_another_tools_wrapper_and_leaves_it(name: str) -> None:
    module = importlib.import_module(name)
    theirs = wrapt.FunctionWrapper(vars(module.Greeter)["greet"], mark("theirs"))
    module.Greeter.greet = theirs
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    assert greet(module) == ["you", "ours", "theirs"]
    patch.remove()
    assert greet(module) == ["you", "theirs"]
    assert vars(module.Greeter)["greet"] is theirs


def test_a_wrapper_that_came_later_stays_when_ours_is_removed(name: str) -> None:
    module = importlib.import_module(name)
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    theirs = wrapt.FunctionWrapper(vars(module.Greeter)["greet"], mark("theirs"))
    module.Greeter.greet = theirs
    assert greet(module) == ["you", "ours", "theirs"]
    patch.remove()
    assert greet(module) == ["you", "theirs"]
    assert vars(module.Greeter)["greet"] is theirs


def test_ours_goes_inert_under_a_wrapper_it_cannot_leave_and_awakes_there(name: str) -> None:
    module = importlib.import_module(name)
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    ours = vars(module.Greeter)["greet"]
    module.Greeter.greet = lambda self, name: [*ours(self, name), "theirs"]
    patch.remove()
    assert greet(module) == ["you", "theirs"]
    patch.install()
    assert greet(module) == ["you", "ours", "theirs"]


def test_a_bound_method_kept_from_before_goes_inert(name: str) -> None:
    module = importlib.import_module(name)
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    kept = module.Greeter().greet
    assert kept("you") == ["you", "ours"]
    patch.remove()
    assert kept("you") == ["you"]


def test_lazy_parts_of_a_module_are_not_loaded(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("def __getattr__(name):\n    raise RuntimeError(name)\n")
    patch = Patch(name, "Greeter.greet", mark("ours"))
    patch.install()
    importlib.import_module(name)
    assert not patch.applied


def test_an_unknown_provider_is_named_with_what_is_accepted() -> None:
    with pytest.raises(ValueError, match=r"unknown provider openia; accepted: openai"):
        instrumentation.apply(["openia"])
    with pytest.raises(ValueError, match=r"unknown provider openia; accepted: openai"):
        instrumentation.apply(excluded=["openia"])


TABLE = """
from midspan_instrumentation.provider import Provider, Reading, Request, Target

TARGET = Target("{name}", "Greeter.greet", "greet", lambda *_, **__: Request(), lambda _: Reading())
PROVIDER = Provider("{name}", (TARGET,))
"""


@pytest.fixture
def third_party(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A provider of another package, under the entry point group."""
    (tmp_path / f"{name}_table.py").write_text(TABLE.format(name=name))
    installed = tmp_path / f"{name}-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[midspan_provider]\n{name} = {name}_table:PROVIDER\n")
    monkeypatch.syspath_prepend(tmp_path)
    _tables._third_parties.cache_clear()
    yield name
    instrumentation.undo()
    _tables._third_parties.cache_clear()


def test_a_third_partys_provider_is_found_by_its_entry_point(third_party: str) -> None:
    assert (*instrumentation.PROVIDERS, third_party) == instrumentation.provider_names()
    instrumentation.apply([third_party])
    module = importlib.import_module(third_party)
    assert isinstance(vars(module.Greeter)["greet"], wrapt.FunctionWrapper)


def test_what_is_installed_is_not_parsed_where_none_of_it_has_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tables.metadata, "entry_points", lambda **_: pytest.fail("parsed"))
    _tables._third_parties.cache_clear()
    assert instrumentation.provider_names() == tuple(instrumentation.PROVIDERS)
    _tables._third_parties.cache_clear()


def test_an_excluded_provider_is_left_alone(third_party: str) -> None:
    instrumentation.apply(excluded=[third_party])
    module = importlib.import_module(third_party)
    assert not isinstance(vars(module.Greeter)["greet"], wrapt.FunctionWrapper)


def test_undo_restores_every_callable_of_the_sdk_and_of_the_http_client() -> None:
    from openai import AsyncStream, Stream

    places = [
        *((kind, "send") for kind in (http.Client, http.AsyncClient)),
        *((kind, "__init__") for kind in (Stream, AsyncStream)),
    ]
    with sync_client("http://127.0.0.1:1/v1") as client:
        methods = [case.method_of(client) for case in ANSWERS]
    resources = [type(method.__self__) for method in methods]
    places += [(kind, method.__name__) for kind, method in zip(resources, methods, strict=True)]
    asynchronous = [vars(sys.modules[kind.__module__])[f"Async{kind.__name__}"] for kind in resources]
    places += [(kind, method.__name__) for kind, method in zip(asynchronous, methods, strict=True)]
    before = [vars(kind)[name] for kind, name in places]
    instrumentation.apply()
    during = [vars(kind)[name] for kind, name in places]
    instrumentation.undo()
    after = [vars(kind)[name] for kind, name in places]
    assert [True] * len(places) == [a is b for a, b in zip(before, after, strict=True)]
    assert [False] * len(places) == [a is b for a, b in zip(before, during, strict=True)]
