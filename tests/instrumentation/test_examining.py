"""Whether the tables fit what is installed, found out in a process of its own: SDKs are imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from midspan_instrumentation._examining import examine
from midspan_instrumentation._importing import OnImport
from midspan_instrumentation.provider import Reading, Request, Target


def target(module: str, **more: object) -> Target:
    return Target(module, "Thing.call", "chat", lambda: Request(), lambda _: Reading(), **more)  # type: ignore[arg-type]


def on_import(package: str) -> OnImport:
    return OnImport(package, tuple)


@pytest.mark.parametrize("package", ["no_such_sdk", "no_such_namespace.sdk"])
def test_an_sdk_that_is_not_there_is_not_imported(package: str) -> None:
    examined = examine("none", [target(f"{package}.resources")], on_import(package))
    assert (examined.is_installed, examined.package, examined.error) == (False, package, None)


def test_a_callable_that_is_not_patched_is_missing_unless_it_is_optional() -> None:
    assert examine("json", [target("json.decoder")], on_import("json")).missing == ("Thing.call",)
    assert examine("json", [target("json.decoder", optional=True)], on_import("json")).missing == ()


def test_a_module_that_the_release_has_not_is_no_error() -> None:
    examined = examine(
        "json", [target("json.newer", older_modules=("json.decoder",)), target("json.gone")], on_import("json")
    )
    assert examined.error is None and examined.is_installed


@pytest.mark.parametrize("line", ["import no_such_dependency", "raise OSError('broken')"])
def test_an_sdk_that_cannot_be_imported_says_why(line: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_an_sdk.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    error = examine("half", [target("half_an_sdk")], on_import("half_an_sdk")).error
    assert error is not None and error.endswith(("No module named 'no_such_dependency'", "OSError: broken"))


def test_examining_finds_what_can_be_patched_and_leaves_nothing_patched() -> None:
    program = """
import midspan_instrumentation as instrumentation
from openai.resources.chat.completions import Completions
before = Completions.create
[examined] = [each for each in instrumentation.examine_providers() if each.name == "openai"]
assert examined.seen >= 8 and examined.error is None, examined
assert {*examined.missing} <= {"Responses.create", "AsyncResponses.create"}, examined  # which 1.40 has not
assert Completions.create is before
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
