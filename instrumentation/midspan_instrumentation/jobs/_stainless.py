"""What the SDKs that Stainless generates have in common for jobs: raw responses, and pages."""

from __future__ import annotations

from midspan_instrumentation.jobs._table import LISTED, JobTarget, ReadJobs
from midspan_instrumentation.providers._fields import own, parsed


def answer_in(result: object) -> object:
    """What a call has returned, also in a raw response; None in one that the application has not read yet."""
    http = own(result, "http_response")
    return None if http is not None and not http.is_stream_consumed else parsed(result)


def pages(package: str, read: ReadJobs) -> tuple[JobTarget, JobTarget]:
    """Every page of a list passes here, also those that are fetched while one iterates."""

    def target(kind: str) -> JobTarget:
        return JobTarget(
            f"{package}._base_client", f"{kind}._set_private_attributes", read, how=LISTED, of_instance=True
        )

    return target("BaseSyncPage"), target("BaseAsyncPage")
