"""Amazon Bedrock, as botocore calls it, and boto3, which stands above: `converse` and `invoke_model`, streamed or not.

Its clients are synchronous; their asynchronous twins are those of aiobotocore, and of aioboto3, which stands above.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from midspan_instrumentation.provider import Body, Dispatch, Provider, Server, StreamClass, Target, replace
from midspan_instrumentation.providers import _bedrock_bodies, _bedrock_invoke, _converse, _converse_content
from midspan_instrumentation.providers._addresses import server_at
from midspan_instrumentation.providers._fields import field, seconds, text

if TYPE_CHECKING:
    from botocore.client import BaseClient  # pyright: ignore[reportMissingTypeStubs]

_SERVICE = "bedrock-runtime"


def _read_client(instance: object) -> object:
    return instance


def _read_server(instance: object) -> Server:
    meta: Any = cast("BaseClient", instance).meta
    return server_at(meta.endpoint_url, seconds(meta.config.read_timeout))


_CONVERSE = Target(
    module="botocore.client",
    qualname="BaseClient._make_api_call",
    operation="chat",
    read_request=_converse.read_request,
    read_response=_converse.read_response,
    read_chunk=_converse.read_message,
    read_prompt=_converse_content.read_prompt,
    read_answer=_converse_content.read_answer,
    read_pieces=_converse_content.read_pieces,
)
_INVOKE = replace(
    _CONVERSE,
    read_request=_bedrock_invoke.read_request,
    read_response=_bedrock_invoke.read_response,
    read_chunk=_bedrock_invoke.read_chunk,
    read_prompt=_bedrock_invoke.read_prompt,
    read_answer=_bedrock_bodies.read_answer,
    read_pieces=_bedrock_invoke.read_pieces,
    body=Body(_bedrock_invoke.find_body, _bedrock_bodies.parse),
)
_IMAGES = replace(_INVOKE, operation="generate_images", operation_type="image")
_KINDS = {
    "embed": replace(_INVOKE, operation="embeddings", operation_type="embedding"),
    "image": _IMAGES,
    "stability.": _IMAGES,
    "canvas": _IMAGES,
    "rerank": replace(_INVOKE, operation="rerank", operation_type="retrieval"),
    "titan-text": replace(_INVOKE, operation="text_completion"),
}
"""What a model's identifier holds → what invoking it is; all others chat."""


def _choose(instance: Any, operation_name: str, api_params: Any) -> Target | None:
    """Every call of every service of AWS passes here."""
    if operation_name not in _TARGETS or instance.meta.service_model.service_name != _SERVICE:
        return None
    target = _TARGETS[operation_name]
    return _invoked(text(field(api_params, "modelId")) or "") if target is _INVOKE else target


@lru_cache(maxsize=256)
def _invoked(model: str) -> Target:
    return next((target for part, target in _KINDS.items() if part in model), _INVOKE)


_TARGETS = {
    "Converse": _CONVERSE,
    "ConverseStream": _CONVERSE,
    "InvokeModel": _INVOKE,
    "InvokeModelWithResponseStream": _INVOKE,
}

PROVIDER = Provider(
    name="aws.bedrock",
    dispatches=(
        Dispatch("botocore.client", "BaseClient._make_api_call", _choose),
        Dispatch("aiobotocore.client", "AioBaseClient._make_api_call", _choose, is_async=True, optional=True),
    ),
    streams=(StreamClass("botocore.eventstream", "EventStream", iterator="_event_generator", response="_raw_stream"),),
    read_client=_read_client,
    read_server=_read_server,
)
