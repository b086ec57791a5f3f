"""A tool with progress: a generator that any agent framework can call like a plain function.

python examples/manual_tool.py
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from midspan import ProgressStream, progress

PAUSE = 0.1


@progress
def convert(file: str) -> Generator[dict[str, Any], None, str]:
    """Converts one file."""
    for page in range(4):
        yield {"progress": (page + 1) / 4, "status": f"{file}: page {page + 1}"}
        time.sleep(PAUSE)
    return file.replace(".doc", ".pdf")


@progress(expect_children=len)
def convert_all(files: list[str]) -> Generator[dict[str, Any], None, list[str]]:
    """Converts several files; the calls inside count as its parts."""
    results: list[str] = []
    for file in files:
        yield {"status": f"Next is {file}"}
        results.append(convert(file))
    return results


def main() -> None:
    print("called like a function:", convert("one.doc"))

    print("each step of a generator:")
    stream = ProgressStream(convert, "two.doc")
    for event in stream:
        print(f"  {event.progress:4.0%}  {event.status}")
    print("  gives", stream.result)

    print("everything that runs under any other callable:")
    watched = ProgressStream(lambda: convert_all(["three.doc", "four.doc"]))
    for event in watched:
        print(f"  {event.progress:4.0%}  {event.data['name']:<12} {event.status or ''}")
    print("  gives", watched.result)


if __name__ == "__main__":
    main()
