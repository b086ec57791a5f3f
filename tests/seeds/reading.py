"""Takes the code blocks out of the seeds' markdown, where the seeds are beside this checkout."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(__file__).parents[2].parent / "shared" / "seeds"
S0 = SEEDS / "S0-llm-gateway-progress.md"
S1 = SEEDS / "S1-mcp-progress-tracking.md"
S2 = SEEDS / "S2-realtime-chat-progress.md"
S3 = SEEDS / "S3-llm-processing-monitor.md"
S4 = SEEDS / "S4-progress-streaming.md"

needs_seeds = pytest.mark.skipif(not SEEDS.is_dir(), reason=f"the seeds are not beside this checkout ({SEEDS.name}/)")

IMPORTS = [
    (r"^from asf\.medical\.llm_gateway\.progress\.models import", "from midspan.models import"),
    (r"^from asf\.medical\.llm_gateway\.progress import", "from midspan import"),
    (r"^from ai_infra import", "from midspan import"),
    (r"^import httpx$", "import httpx2 as httpx"),
]


def blocks(seed: Path, language: str = "python") -> list[str]:
    """Its blocks in a language, with the imports substituted."""
    pattern = rf"^( *)```{language}\n(.*?)^\1```"
    found = re.findall(pattern, seed.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    given = [textwrap.dedent(block) for _, block in found]
    for name, ours in IMPORTS:
        given = [re.sub(name, ours, block, flags=re.MULTILINE) for block in given]
    return given


def run_block(block: str, names: dict[str, Any]) -> None:
    """Run a block in the module `names`; one that awaits at its top is run in an event loop of its own."""
    code = compile(block, "seed", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    # Annotations such as `websocket: WebSocket` are looked up in the module that a function belongs to.
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)
