"""Runs the tests of the instrumentation with each major version of the SDKs: `python -m tests.majors [pytest options]`.

And those of `/mcp` with a client of the MCP SDK's other major version.

Each version has an environment of its own beside this one. It is made with the versions of `requirements-dev.txt`,
of all packages but the SDK and what the SDK needs differently. Prints what was run with what, and what could not be.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/endings", "tests/instrumentation", "tests/transparency")
SDK_VERSIONS = (
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
# An asynchronous stream that is left early closes no connection before google-genai 2.
UNCLOSED = ("-W", "ignore:unclosed:ResourceWarning")
# Its responses need `mcp` also where no tool is called.
LITELLM = (("litellm==1.106.2", "mcp"),)
"""It wants other versions of what the SDKs of this environment need."""
# Pydantic warns of what it does inside of a call.
WARNED = ("-W", "ignore:Item:UserWarning", "-W", "ignore:Accessing:DeprecationWarning")
LITELLM_TESTS = (*TESTS, "-k", "litellm", *WARNED, *UNCLOSED)
MCP_CLIENTS = (("mcp==1.30.0",),)
"""Of these only the client: the server that it talks to is midspan's in this environment."""
MCP_TESTS = ("tests/mcp_client",)
SERVER_PYTHON = "MCP_SERVER_PYTHON"
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


def constraints() -> str:
    """The lock without its hashes, and without what the versions under test decide."""
    rows = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (ROOT / "requirements-dev.txt").read_text("utf-8"), re.M)
    return "\n".join(f"{name}=={version}" for name, version in rows if name not in FREED)


def make_environment(requirements: tuple[str, ...]) -> Path:
    """Its python, with midspan, pytest and the version; made anew where the requirements have changed."""
    folder = environment_of(requirements[0])
    python, made_of = folder / "bin" / "python", folder / "made_of.txt"
    wanted = "\n".join([*requirements, constraints()])
    if made_of.is_file() and made_of.read_text("utf-8") == wanted:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as limits:
        limits.write(constraints())
        limits.flush()
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--constraint", limits.name]
        tools = ("pytest", "pytest-randomly", "pytest-timeout", "hatchling", "editables")
        subprocess.run([*uv, *tools, *requirements], check=True, cwd=ROOT)
        subprocess.run([*uv, "--no-build-isolation", "--editable", "."], check=True, cwd=ROOT)
    made_of.write_text(wanted, "utf-8")
    return python


def run(requirements: tuple[str, ...], tests: tuple[str, ...], options: list[str]) -> bool:
    """True when the tests pass with this version."""
    print(f"== {' '.join(requirements)}", flush=True)
    try:
        python = make_environment(requirements)
    except subprocess.CalledProcessError as error:
        print(f"   not run: its environment could not be made ({error.returncode})", flush=True)
        return False
    environ = {**os.environ, SERVER_PYTHON: sys.executable}
    done = subprocess.run([python, "-m", "pytest", *tests, *options], cwd=ROOT, env=environ, check=False)
    return done.returncode == 0


def main(options: list[str]) -> int:
    """Runs them all; 1 when one fails or could not be made."""
    rows = [
        *((each, TESTS) for each in SDK_VERSIONS),
        *((each, (*TESTS, "-k", each[0].partition("==")[0].replace("-", "_"), *UNCLOSED)) for each in OTHER_SDKS),
        *((each, LITELLM_TESTS) for each in LITELLM),
        *((each, MCP_TESTS) for each in MCP_CLIENTS),
    ]
    outcomes = {requirements[0]: run(requirements, tests, options) for requirements, tests in rows}
    for sdk, passed in outcomes.items():
        print(f"{sdk:20} {'passed' if passed else 'FAILED'}")
    return int(not all(outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
