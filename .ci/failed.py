"""Prints the tests that failed in a run of pytest, by the cache that it kept; exits with 1 where that is not all."""

import json
import sys
from pathlib import Path

BY_CHANCE = 10
TESTS_FAILED = 1


def read(cache: Path, name: str) -> object:
    """What pytest has kept under this name, or None."""
    try:
        return json.loads((cache / "v" / name).read_text(encoding="utf-8"))
    except OSError:
        return None


def main(folder: str) -> int:
    """Run again only what ran to its end with a few failures: not what broke off, and not what is simply broken."""
    failed = read(Path(folder), "cache/lastfailed")
    if read(Path(folder), "midspan/exitstatus") != TESTS_FAILED or not isinstance(failed, dict) or not failed:
        print("the run did not come to its end: not tried again", file=sys.stderr)
        return 1
    print(*sorted(failed), sep="\n")
    if len(failed) > BY_CHANCE:
        print(f"{len(failed)} failed, which is no chance: not tried again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
