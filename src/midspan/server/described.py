"""Rows of the table for routes that are made elsewhere: streams, tickets, sessions, probes."""

from __future__ import annotations

from typing import Any

from midspan.server.endpoint import Answer, Endpoint
from midspan.server.parameters import ANY_TEXT, ID, Parameter
from midspan.server.streams import RESUME, STREAM
from midspan.server.tickets import Ticket, TicketRequest

EVENTS = ("text/event-stream",)
LAST_EVENT = Parameter("Last-Event-ID", "id of the last event received", ANY_TEXT, "header")


DESCRIBED = (
    Endpoint(
        method="GET",
        path="/v1/stream",
        summary="Changes of many operations, as server-sent events",
        parameters=(*STREAM, LAST_EVENT),
        answers={200: Answer("events: snapshot, update, end, reset, overflow, bye", Any, media=EVENTS)},
        problems=(503,),
    ),
    Endpoint(
        method="GET",
        path="/v1/operations/{id}/stream",
        summary="Changes of one operation, as server-sent events",
        parameters=(ID, *RESUME, LAST_EVENT),
        answers={
            200: Answer("events: snapshot, update, end, reset, overflow, bye", Any, media=EVENTS),
            204: Answer("the last event was the last one"),
        },
        problems=(503,),
    ),
    Endpoint(
        method="POST",
        path="/v1/tickets",
        summary="A ticket for a stream or a WebSocket, where no header can be sent",
        body=TicketRequest,
        answers={201: Answer("the ticket", Ticket)},
    ),
    Endpoint(
        method="POST",
        path="/v1/session",
        summary="A cookie in exchange for the token of the request",
        answers={204: Answer("the cookie is set", headers=("set-cookie",))},
    ),
    Endpoint(
        method="DELETE",
        path="/v1/session",
        summary="Take the cookie away",
        answers={204: Answer("it is gone", headers=("set-cookie",))},
    ),
    Endpoint(
        method="GET",
        path="/healthz",
        summary="Whether the server answers at all",
        answers={200: Answer("it does", str, media=("text/plain",))},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        summary="Whether the server is ready",
        answers={200: Answer("it is", str, media=("text/plain",))},
        problems=(503,),
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        summary="Metrics for Prometheus",
        answers={200: Answer("text or OpenMetrics", str, media=("text/plain", "application/openmetrics-text"))},
    ),
)
