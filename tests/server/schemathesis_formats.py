"""What schemathesis cannot make up itself: values that only the server gives out."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies

from midspan.server.paging import write_cursor

schemathesis.openapi.format("cursor", strategies.just(write_cursor((1_700_000_000.0, "op-1"))))
