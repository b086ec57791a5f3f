"""Groq's batches, which speak OpenAI's protocol."""

from __future__ import annotations

from midspan_instrumentation.jobs._openai_readers import STATES, read
from midspan_instrumentation.jobs._stainless import methods, pages
from midspan_instrumentation.jobs._table import JobTable, Poll

TABLE = JobTable(
    provider="groq",
    states=STATES,
    read=read,
    targets=(
        *methods("groq.resources.batches", "Batches", "batch_id", read, "create", "retrieve cancel", optional=True),
        *pages("groq", read),
    ),
    polls=(Poll("batch", "batch", (lambda client, job_id: client.batches.retrieve(job_id),)),),
    client="groq:Groq",
)
