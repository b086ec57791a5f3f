"""Groq's batches, which speak OpenAI's protocol."""

from __future__ import annotations

from midspan_instrumentation.jobs._openai_readers import STATES, read
from midspan_instrumentation.jobs._stainless import pages
from midspan_instrumentation.jobs._table import JobTable, Poll, methods, named

TABLE = JobTable(
    provider="groq",
    states=STATES,
    read=read,
    targets=(
        *methods(
            "groq.resources.batches",
            "Batches",
            read,
            named("batch_id", "batch"),
            made="create",
            asked="retrieve cancel",
            optional=True,
        ),
        *pages("groq", read),
    ),
    polls=(Poll("batch", "batch", (lambda client, job_id: client.batches.retrieve(job_id),)),),
    client="groq:Groq",
)
