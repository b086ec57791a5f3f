"""Anthropic: messages, created, parsed and streamed, also through the clients for other clouds."""

from __future__ import annotations

from functools import partial

from midspan_instrumentation.provider import ManagerClass, Provider, StreamClass, Target, replace
from midspan_instrumentation.providers import _claude, _claude_content
from midspan_instrumentation.providers._stainless import read_client, retry_delays, server_behind

_CLOUDS = {
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "google_cloud": "gcp.vertex_ai",
    "foundry": "azure.ai.inference",
}
"""Package under `anthropic.lib` → provider, for the clients that send the same messages elsewhere."""


def _name_of_cloud(client: object) -> str | None:
    for kind in type(client).__mro__:
        package, _, rest = kind.__module__.partition("anthropic.lib.")
        cloud = _CLOUDS.get(rest.partition(".")[0]) if not package else None
        if cloud is not None:
            return cloud
    return None


_CREATE = Target(
    module="anthropic.resources.messages.messages",
    # Before 0.42.
    older_modules=("anthropic.resources.messages",),
    qualname="Messages.create",
    operation="chat",
    read_request=_claude.read_request,
    read_response=_claude.read_message,
    read_chunk=_claude.read_event,
    read_prompt=_claude_content.read_prompt,
    read_answer=_claude_content.read_answer,
    read_pieces=_claude_content.read_pieces,
    end_mark=b"event: message_stop",
)
_BETA = replace(
    _CREATE,
    module="anthropic.resources.beta.messages.messages",
    older_modules=("anthropic.resources.beta.messages",),
    optional=True,
)


def _targets_of(create: Target) -> tuple[Target, ...]:
    parse = replace(create, qualname="Messages.parse", optional=True)
    return (create, create.as_async(), parse, parse.as_async())


def _managed_of(create: Target) -> tuple[Target, ...]:
    stream = replace(create, qualname="Messages.stream", read_request=_claude.read_streamed, optional=True)
    return (stream, stream.as_async())


_MANAGERS = tuple(
    ManagerClass(f"anthropic.lib.streaming.{module}", qualname, is_async=is_async)
    for module, qualname, is_async in (
        ("_messages", "MessageStreamManager", False),
        ("_messages", "AsyncMessageStreamManager", True),
        ("_beta_messages", "BetaMessageStreamManager", False),
        ("_beta_messages", "BetaAsyncMessageStreamManager", True),
    )
)

PROVIDER = Provider(
    name="anthropic",
    targets=(*_targets_of(_CREATE), *_targets_of(_BETA)),
    managed=(*_managed_of(_CREATE), *_managed_of(_BETA)),
    streams=tuple(
        StreamClass("anthropic._streaming", qualname, is_async=is_async, maker="__stream__", asked="stream_observer")
        for qualname, is_async in (("Stream", False), ("AsyncStream", True))
    ),
    managers=_MANAGERS,
    retry_delays=retry_delays("anthropic"),
    read_client=read_client,
    read_server=partial(server_behind, named=_name_of_cloud),
)
