"""The table of the native API: every path and method, with what it takes and how it answers."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from midspan.core.operation import Operation
from midspan.server import parameters
from midspan.server.described import DESCRIBED
from midspan.server.documents import Events, Page, Tree
from midspan.server.endpoint import Answer, Endpoint, bound, routes_of
from midspan.server.hub import Hub
from midspan.server.ingest import RULED_REPORT, Creation
from midspan.server.openapi import openapi_endpoint
from midspan.server.rest import Rest
from midspan.server.rows import Rows
from midspan.server.statistics import Statistics
from midspan.server.tasks import TASKS, TaskEndpoints
from midspan.server.writing import CancelRequest, Cleanup, Removed, Writing
from midspan.tracking.tasks import Tasks
from midspan.tracking.tracker import ProgressRegistry

ONE = "/v1/operations/{id}"
ROW = Answer("the operation", Operation, headers=("etag", "retry-after"))
UNCHANGED = Answer("the tag is still the same", headers=("etag",))
EXPORTED = ("text/csv", "application/json", "application/x-ndjson")

READING = (
    Endpoint(
        method="GET",
        path="/v1/operations",
        summary="Operations, newest first",
        call=Rest.listing,
        parameters=parameters.LISTING,
        answers={200: Answer("a page", Page, headers=("link",))},
    ),
    Endpoint(
        method="GET",
        path=ONE,
        summary="One operation; with `wait` after a change",
        call=Rest.one,
        parameters=(*parameters.WAIT, parameters.IF_NONE_MATCH),
        answers={200: ROW, 304: UNCHANGED},
        problems=(404, 429, 503),
    ),
    Endpoint(
        method="GET",
        path=f"{ONE}/events",
        summary="History of one operation",
        call=Rest.events,
        parameters=parameters.AFTER,
        answers={200: Answer("its events, oldest first", Events, headers=("retry-after",))},
        problems=(404, 410),
    ),
    Endpoint(
        method="GET",
        path=f"{ONE}/result",
        summary="What an operation has come to",
        call=Rest.result,
        answers={
            200: Answer("the result, as it was reported", Any),
            202: Answer("it has not ended yet", Operation, headers=("retry-after",)),
        },
        problems=(404, 409),
    ),
    Endpoint(
        method="GET",
        path="/v1/tree/{id}",
        summary="An operation with everything below it",
        call=Rest.tree,
        answers={200: Answer("nested, with sums", Tree)},
        problems=(404,),
    ),
    Endpoint(
        method="GET",
        path="/v1/statistics",
        summary="Counts, rates and durations",
        call=Rest.statistics,
        parameters=parameters.WINDOW,
        answers={200: Answer("the statistics", Statistics)},
    ),
    Endpoint(
        method="GET",
        path="/v1/export",
        summary="Operations as a file, newest first",
        call=Rest.export,
        parameters=parameters.EXPORT,
        answers={200: Answer("the file", Any, media=EXPORTED)},
    ),
)
WRITING = (
    Endpoint(
        method="POST",
        path="/v1/operations",
        summary="A new operation that is reported from outside",
        call=Writing.create,
        body=Creation,
        answers={201: Answer("the operation", Operation, headers=("etag", "location"))},
        problems=(409, 503),
    ),
    Endpoint(
        method="PATCH",
        path=ONE,
        summary="What is new about an operation that is reported from outside",
        call=Writing.report,
        parameters=(parameters.IF_MATCH,),
        body=RULED_REPORT,
        answers={200: ROW},
        problems=(404, 409),
    ),
    Endpoint(
        method="DELETE",
        path=ONE,
        summary="Forget an ended operation",
        call=Writing.delete,
        parameters=parameters.FORCE,
        answers={204: Answer("it is forgotten")},
        problems=(404, 409),
    ),
    Endpoint(
        method="POST",
        path=f"{ONE}/cancel",
        summary="Ask an operation to stop",
        call=Writing.cancel,
        body=CancelRequest,
        optional_body=True,
        answers={
            200: Answer("it has ended cancelled already", Operation),
            202: Answer("it was asked, now or before", Operation),
        },
        problems=(404, 409),
    ),
    Endpoint(
        method="POST",
        path="/v1/cleanup",
        summary="Forget ended operations",
        call=Writing.cleanup,
        body=Cleanup,
        optional_body=True,
        answers={200: Answer("how many", Removed)},
    ),
)


def native_routes(registry: ProgressRegistry, hub: Hub, rows: Rows, tasks: Tasks) -> list[Route]:
    """The routes of the resource API and of the tasks, and the document of these and of all others under `/v1`."""
    table = [
        *bound(READING, Rest(registry, hub, rows.whole)),
        *bound(WRITING, Writing(registry, rows.whole)),
        *bound(TASKS, TaskEndpoints(tasks, rows.whole)),
    ]
    return routes_of([*table, openapi_endpoint([*table, *DESCRIBED])])
