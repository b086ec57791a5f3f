"""LiteLLM: completions, responses, embeddings, images, sound, moderations and reranking of any service.

They are called by its own functions; completions and embeddings also through its router.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar, cast
from urllib.parse import urlsplit

from midspan_instrumentation.provider import Provider, Reading, Request, RetryDelay, Runner, Server, Target, replace
from midspan_instrumentation.providers import _audio, _cohere_content, _images, _moderations, _text_completions
from midspan_instrumentation.providers._fields import field, items, text
from midspan_instrumentation.providers._hosts import provider_at
from midspan_instrumentation.providers._openai_targets import chat, embeddings, responses, text_completion

R = TypeVar("R")

_NAMES = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_text": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "codestral": "mistral_ai",
    "cohere_chat": "cohere",
    "custom_openai": "openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "watsonx_text": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""LiteLLM's name for a service → that of the GenAI conventions, where they differ."""
_PORTS = {"https": 443, "http": 80}
_KIND = re.compile(r"^text-completion-|-[a-z0-9-]*models$")
"""What LiteLLM's table of models adds to a service's name: `text-completion-openai`, `vertex_ai-language-models`."""


def _service(model: object, named: object = None) -> tuple[str | None, str | None]:
    """The service that a model is at, in the words of the conventions, and its name there."""
    whole, told = text(model), text(named)
    prefix, slash, rest = (whole or "").partition("/")
    if slash and told in (None, prefix):
        return _NAMES.get(prefix, prefix), rest
    known = told or _known(whole)
    return (None if known is None else _NAMES.get(known, known)), whole


def _known(model: str | None) -> str | None:
    """The service of a model that is given without: LiteLLM looks into this table of its own, among others."""
    table = getattr(sys.modules.get("litellm"), "model_cost", None)
    found = cast("Mapping[str, object]", table).get(model or "") if isinstance(table, Mapping) else None
    service = text(field(found, "litellm_provider"))
    return None if service is None else _KIND.sub("", service)


def _server(provider: str | None, url: str | None) -> Server:
    if url is None:
        return Server(provider=provider)
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    return Server(parts.hostname, port, provider=provider_at(parts.hostname) or provider)


def _of_service(read: Callable[..., Request]) -> Callable[..., Request]:
    """A reader that is also told which service the call is for."""

    def read_request(
        *_: object,
        model: object = None,
        custom_llm_provider: object = None,
        api_base: object = None,
        base_url: object = None,
        **asked: object,
    ) -> Request:
        provider, name = _service(model, custom_llm_provider)
        server = _server(provider, text(api_base) or text(base_url))
        return replace(read(model=name, **asked), server=server)

    return read_request


def _positional(names: tuple[str, ...], read: Callable[..., R]) -> Callable[..., R]:
    """A reader for functions whose first parameters, of these names, are often given by position."""

    def read_named(*args: object, **kwargs: object) -> R:
        return read(**dict(zip(names, args, strict=False)), **kwargs)

    return read_named


def _functions(target: Target, *names: str) -> tuple[Target, ...]:
    """A function of the package and its async twin."""
    read_request = _positional(names, _of_service(target.read_request))
    seen = replace(target, read_request=read_request, read_prompt=_positional(names, target.read_prompt))
    return seen, replace(seen, qualname=f"a{target.qualname}", is_async=True)


def _methods(target: Target, *names: str) -> tuple[Target, ...]:
    """The same of a router, which has names of its own for models."""
    seen = replace(
        target,
        module="litellm.router",
        qualname=f"Router.{target.qualname}",
        read_request=_positional(names, target.read_request),
        read_prompt=_positional(names, target.read_prompt),
    )
    return seen, replace(seen, qualname=f"Router.a{target.qualname}", is_async=True)


def _read_text_chunk(chunk: object) -> int | Reading:
    """A chunk of `text_completion`. Each has a usage, which is all zeros until the server has told one."""
    found = _text_completions.read_chunk(chunk)
    if isinstance(found, Reading) and found.usage is not None and not (found.usage.input or found.usage.output):
        return replace(found, usage=None)
    return found


def _read_router(router: object) -> Server:
    """Where a router sends its requests: to one service, or to several, which have no name in common."""
    params = [field(deployment, "litellm_params") for deployment in items(field(router, "model_list"))]
    services = {_service(field(each, "model"), field(each, "custom_llm_provider"))[0] for each in params}
    return Server(provider=services.pop() if len(services) == 1 else None)


# Where the application finds them, whichever module each is made in.
_CHAT = chat("litellm", "completion")
_TEXT = replace(text_completion("litellm", "text_completion"), read_chunk=_read_text_chunk)
_EMBEDDINGS = embeddings("litellm", "embedding")
_RESPONSES = responses("litellm", "responses")
_IMAGES = Target(
    module="litellm",
    qualname="image_generation",
    operation="generate_images",
    operation_type="image",
    read_request=_images.read_request,
    read_response=_images.read_response,
    read_prompt=_audio.read_prompt,
)
_MODERATION = Target(
    module="litellm",
    qualname="moderation",
    operation="moderation",
    read_request=_moderations.read_request,
    read_response=_moderations.read_response,
    read_prompt=_moderations.read_prompt,
)
_RERANK = replace(
    _MODERATION,
    qualname="rerank",
    operation="rerank",
    operation_type="retrieval",
    read_prompt=_cohere_content.read_query,
)
_TRANSCRIPTION, _SPEECH = (
    replace(target, module="litellm", qualname=target.operation)
    for target in _audio.targets("litellm")
    if target.operation != "translation"
)

PROVIDER = Provider(
    name="litellm",
    covers_others=True,
    targets=(
        *_functions(_CHAT, "model", "messages"),
        *_functions(_TEXT, "prompt", "model"),
        *_functions(_EMBEDDINGS, "model", "input"),
        *_functions(_RESPONSES, "input", "model"),
        *_functions(_IMAGES, "prompt", "model"),
        *_functions(_MODERATION, "input", "model"),
        *_functions(_RERANK, "model", "query", "documents"),
        *_functions(_TRANSCRIPTION, "model", "file"),
        *_functions(_SPEECH, "model", "input", "voice"),
        *_methods(_CHAT, "model", "messages", "stream"),
        *_methods(_TEXT, "model", "prompt"),
        *_methods(_EMBEDDINGS, "model", "input"),
    ),
    retry_delays=(RetryDelay("litellm.router", "Router._time_to_sleep_before_retry"),),
    # By which a router asks where a loop is running in the caller's thread.
    runners=(Runner("litellm.router", "run_async_function"),),
    read_server=_read_router,
)
