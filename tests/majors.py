"""Run the tests of the instrumentation with each major of the SDKs: `python -m tests.majors [NAME…] [-- PYTEST…]`.

And those of `/mcp` with a client of the MCP SDK's other major version. A name is that of a version: `groq==0.9.0`.

Each version has an environment of its own beside this one. It is made with the versions of `requirements-dev.txt`,
of all packages but the SDK and what the SDK needs differently. Prints what was run with what, and what could not be.
"""

from __future__ import annotations

import re
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.peers.environments import ROOT, install_step
from tests import apart
from tests.environ import SERVERS_PYTHON

TESTS = ("tests/endings", "tests/instrumentation", "tests/transparency")
OPENAI = (
    # The oldest that is supported: the one that brought structured outputs. Its client passes httpx an option that
    # httpx has dropped since.
    ("openai==1.40.0", "httpx<0.28"),
    ("openai==1.109.1",),
    ("openai==2.54.0",),
)
OTHER_SDKS = (
    ("anthropic==1.17.0", "openai"),
    # Of the oldest the client passes httpx an option that httpx has dropped since.
    ("anthropic==0.40.0", "openai", "httpx<0.28"),
    ("groq==0.37.1", "openai"),
    ("groq==0.9.0", "openai", "httpx<0.28"),
    ("google-genai==2.34.0", "openai"),
    ("google-genai==1.75.0", "openai"),
    ("ollama==0.4.0", "openai"),
    ("mistralai==2.10.1", "openai"),
    ("cohere==6.1.0", "openai"),
    ("cohere==5.21.1", "openai"),
    # The oldest with `converse`.
    ("botocore==1.34.116", "openai"),
    ("huggingface-hub==1.33.0", "openai", "numpy"),
)
"""Of these only the tests of that SDK, by its name; openai's is what all of the tests import."""
# The asynchronous clients of botocore, which pin it; the older one hands over bodies of another kind.
AWAITED = (("aiobotocore==3.10.0", "openai"), ("aiobotocore==2.26.0", "openai", "wrapt<2", "multidict<7"))
# It wants other versions of what the SDKs of this environment need; its responses need `mcp` also where no tool is
# called.
LITELLM = ("litellm==1.106.2", "mcp")
MCP = ("mcp==1.30.0",)
"""Of this only the client: the server that it talks to is midspan's in this environment."""
# An asynchronous stream that is left early closes no connection before google-genai 2.
UNCLOSED = ("-W", "ignore:unclosed:ResourceWarning")
# Pydantic warns of what it does inside of a call of litellm.
WARNED = ("-W", "ignore:Item:UserWarning", "-W", "ignore:Accessing:DeprecationWarning")
FREED = (
    "openai",
    "anthropic",
    "groq",
    "openai-agents",
    "mistralai",
    "cohere",
    "google-genai",
    "ollama",
    "httpx",
    "httpx2",
    "huggingface-hub",
    "filelock",
    "boto3",
    "botocore",
    "s3transfer",
    "mcp",
    "mcp-types",
    # An older major may not know the newest.
    "pydantic",
    "pydantic-core",
)


def environment_of(sdk: str) -> Path:
    """The folder of the environment for one version."""
    running = Path(sys.prefix).name
    return ROOT / f"{running}-{sdk.replace('==', '-')}"


def constraints(requirements: tuple[str, ...] = ()) -> str:
    """The lock without its hashes, and without what the versions under test decide, or want of another version."""
    freed = {*FREED, *(name for each in requirements if (name := _name(each)) != each)}
    rows = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (ROOT / "requirements-dev.txt").read_text("utf-8"), re.M)
    return "\n".join(f"{name}=={version}" for name, version in rows if name not in freed)


def _name(requirement: str) -> str:
    return re.split("[<=]", requirement)[0]


def make_environment(requirements: tuple[str, ...]) -> Path:
    """Its python, with midspan, pytest and the version; made anew where the requirements have changed.

    Raises BuildError where it cannot be made.
    """
    folder = environment_of(requirements[0])
    python, made_of = folder / "bin" / "python", folder / "made_of.txt"
    limits = constraints(requirements)
    wanted = "\n".join([*requirements, limits])
    if made_of.is_file() and made_of.read_text("utf-8") == wanted:
        return python
    install_step(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(limits)
        file.flush()
        uv = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--constraint", file.name)
        tools = ("pytest", "pytest-randomly", "pytest-timeout", "hatchling", "editables")
        install_step(*uv, *tools, *requirements)
        install_step(*uv, "--no-build-isolation", "--editable", ROOT)
    made_of.write_text(wanted, "utf-8")
    return python


def version(requirements: tuple[str, ...], *arguments: str) -> tuple[str, apart.Apart]:
    """The tests of one version, by its name; the servers that they talk to are programs of this environment."""
    environ = {SERVERS_PYTHON: sys.executable}
    return requirements[0], apart.Apart(partial(make_environment, requirements), arguments, environ)


def versions() -> dict[str, apart.Apart]:
    """All of them, by name."""
    others = [(each, _name(each[0]).replace("-", "_")) for each in OTHER_SDKS]
    others += [(each, "botocore") for each in AWAITED]
    return dict(
        [
            *(version(each, *TESTS) for each in OPENAI),
            *(version(each, *TESTS, "-k", name, *UNCLOSED) for each, name in others),
            version(LITELLM, *TESTS, "-k", "litellm", *WARNED, *UNCLOSED),
            version(MCP, "tests/mcp_client"),
        ]
    )


if __name__ == "__main__":
    sys.exit(apart.main("version", versions(), sys.argv[1:]))
