"""Reading embeddings, as OpenAI's API has them and many others too. Of their content nothing is read."""

from __future__ import annotations

from midspan_instrumentation.provider import Reading, Request
from midspan_instrumentation.providers._chat_completions import read_usage
from midspan_instrumentation.providers._fields import given, listed, parsed, seconds, text


def read_request(
    *_: object,
    model: object = None,
    dimensions: object = None,
    encoding_format: object = None,
    timeout: object = None,
    **_rest: object,
) -> Request:
    """`embeddings.create`."""
    return Request(
        model=text(model),
        timeout=seconds(timeout),
        attributes=given(
            {
                "gen_ai.embeddings.dimension.count": dimensions,
                "gen_ai.request.encoding_formats": listed(encoding_format),
            }
        ),
    )


def read_response(result: object) -> Reading:
    """A `CreateEmbeddingResponse`."""
    response = parsed(result)
    return Reading(
        model=text(getattr(response, "model", None)),
        usage=read_usage(getattr(response, "usage", None), "prompt", "completion"),
    )
