"""Prints how long the functions and files of the given folders are, against the aims."""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_MEDIAN, FUNCTION_P90, FILE_AIM, FILE_LIMIT = 8, 30, 120, 400


def function_lengths(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (lines, place) of every function in one file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield lines, f"{path}:{node.lineno} {node.name}"


def main(folders: list[str]) -> int:
    """Prints the report; returns 1 only when a file is over the limit."""
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    files = sorted(((path.read_text("utf-8").count("\n"), str(path)) for path in paths), reverse=True)
    functions = sorted((found for path in paths for found in function_lengths(path)), reverse=True)
    lengths = [lines for lines, _ in functions]
    p90 = statistics.quantiles(lengths, n=10)[-1]
    print(
        f"{len(files)} files, {sum(lines for lines, _ in files)} lines; {len(functions)} functions: "
        f"median {statistics.median(lengths):.0f} (aim {FUNCTION_MEDIAN}), "
        f"p90 {p90:.0f} (aim {FUNCTION_P90}), longest {lengths[0]} ({functions[0][1]})"
    )
    for lines, path in files:
        if lines > FILE_AIM:
            print(f"  {lines:4} lines, aim {FILE_AIM}: {path}")
    return int(files[0][0] > FILE_LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
