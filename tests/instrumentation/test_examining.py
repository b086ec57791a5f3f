"""Whether the tables fit what is installed, found out in a process of its own: SDKs are imported for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from midspan_instrumentation._examining import Callables, examine
from midspan_instrumentation._importing import OnImport
from midspan_instrumentation._patch import Patch
from midspan_instrumentation.provider import Reading, Request, Target


def target(module: str, qualname: str = "Thing.call", **more: object) -> Target:
    return Target(module, qualname, "chat", lambda: Request(), lambda _: Reading(), **more)  # type: ignore[arg-type]


def on_import(package: str) -> OnImport:
    return OnImport(package, tuple)


@pytest.mark.parametrize("package", ["no_such_sdk", "no_such_namespace.sdk"])
def test_an_sdk_that_is_not_there_is_not_imported(package: str) -> None:
    examined = examine("none", [target(f"{package}.resources")], [], on_import(package))
    assert (examined.is_installed, examined.package, examined.error) == (False, package, None)


def test_a_callable_that_is_not_patched_is_missing_unless_other_releases_have_it() -> None:
    calls, jobs = [target("json.decoder")], [target("json.decoder", optional=True)]
    examined = examine("json", calls, jobs, on_import("json"))
    assert examined.calls == Callables(missing=("Thing.call",))
    assert examined.jobs == Callables(absent=("Thing.call",))


def test_an_optional_callable_may_need_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sdk_with_cloud.py").write_text("import no_such_distribution")
    monkeypatch.syspath_prepend(tmp_path)
    optional, needed = (target("sdk_with_cloud", optional=each) for each in (True, False))
    assert examine("json", [optional], [], on_import("json")).calls == Callables(absent=("Thing.call",))
    assert "no_such_distribution" in (examine("json", [needed], [], on_import("json")).error or "")


def test_of_another_distribution_above_the_sdk_nothing_is_said_where_it_is_not_there() -> None:
    calls = [target("no_such_sdk.client", optional=True), target("json.decoder", optional=True)]
    assert examine("json", calls, [], on_import("json")).calls == Callables(absent=("Thing.call",))


def test_a_callable_is_not_taken_for_another_modules_of_the_same_name() -> None:
    def wrapper(wrapped: Any, _instance: object, args: Any, kwargs: Any) -> object:
        return wrapped(*args, **kwargs)

    sdk = OnImport("json", lambda: [Patch("json.decoder", "JSONDecoder.decode", wrapper)])
    sdk.install()
    try:
        named = [target(module, "JSONDecoder.decode") for module in ("json.decoder", "json.encoder")]
        examined = examine("json", named[:1], named[1:], sdk)
    finally:
        sdk.remove()
    assert (examined.calls.seen, examined.jobs.seen) == (("JSONDecoder.decode",), ())


def test_a_module_that_the_release_has_not_is_no_error() -> None:
    calls = [target("json.newer", older_modules=("json.decoder",)), target("json.gone")]
    examined = examine("json", calls, [], on_import("json"))
    assert examined.error is None and examined.is_installed


@pytest.mark.parametrize("line", ["import no_such_dependency", "raise OSError('broken')"])
def test_an_sdk_that_cannot_be_imported_says_why(line: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_an_sdk.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    error = examine("half", [target("half_an_sdk")], [], on_import("half_an_sdk")).error
    assert error is not None and error.endswith(("No module named 'no_such_dependency'", "OSError: broken"))


def test_examining_finds_what_can_be_patched_and_leaves_nothing_patched() -> None:
    program = """
import midspan_instrumentation as instrumentation
from openai.resources.chat.completions import Completions
before = Completions.create
[examined] = [each for each in instrumentation.examine_providers() if each.name == "openai"]
assert len(examined.calls.seen) >= 8 and examined.error is None, examined
assert {"Batches.create", "AsyncBatches.retrieve"} <= {*examined.jobs.seen}, examined
assert examined.calls.missing == examined.jobs.missing == (), examined
assert Completions.create is before
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
