"""These tests need the packages of a neighbour: outside of its environment they are not collected."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "NEIGHBOUR" in os.environ else ["test_*.py"]
