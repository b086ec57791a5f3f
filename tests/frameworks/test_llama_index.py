"""LlamaIndex: a model, an index, and questions to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.llama_index import LlamaIndexInstrumentor as GenAI

from midspan.core.operation import Status
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.frameworks.conftest import Both, told
from tests.frameworks.tracing import lines, traced

MODEL = "gpt-4o"
"""One whose context window LlamaIndex knows."""
CALL = ("chat", "openai", MODEL, Status.COMPLETED, 3)
QUESTION = "Does it work?"


def model(server: FakeOpenAI, name: str = MODEL) -> OpenAI:
    return OpenAI(model=name, api_base=server.base_url, api_key="x", max_retries=0)


def index(server: FakeOpenAI) -> VectorStoreIndex:
    embedding = OpenAIEmbedding(model_name="ok", api_base=server.base_url, api_key="x", max_retries=0)
    return VectorStoreIndex.from_documents([Document(text="It works.")], embed_model=embedding)


def test_a_completion_is_one_operation(server: FakeOpenAI, both: Both) -> None:
    assert [told(each) for each in both(lambda: model(server).complete(QUESTION).text)] == [CALL]


def test_the_tokens_of_a_streamed_completion_are_seen(server: FakeOpenAI, both: Both) -> None:
    (operation,) = both(lambda: [part.delta for part in model(server).stream_complete(QUESTION)])
    assert told(operation) == CALL
    assert (operation.chunks or 0) >= len(CONTENT)


def test_an_async_stream_is_one_operation(server: FakeOpenAI, both: Both) -> None:
    async def read() -> list[Any]:
        return [part.delta async for part in await model(server).astream_complete(QUESTION)]

    assert [told(each) for each in both(lambda: asyncio.run(read()))] == [CALL]


def test_a_question_to_an_index_is_an_embedding_and_a_call(server: FakeOpenAI, both: Both) -> None:
    def ask() -> str:
        return str(index(server).as_query_engine(llm=model(server)).query(QUESTION))

    documents, question, call = both(ask)
    assert told(call) == CALL
    assert [each.operation_type for each in (documents, question)] == ["embedding", "embedding"]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_the_search_of_a_question_is_around_its_embedding_where_it_has_a_span(
    is_streamed: bool, server: FakeOpenAI
) -> None:
    with traced(GenAI()) as captured:
        engine = index(server).as_query_engine(llm=model(server), streaming=is_streamed)
        assert str(engine.query(QUESTION)) == "".join(CONTENT)
        assert lines(captured) == [
            "embedding:embeddings",
            "retrieval:retrieval",
            "retrieval:retrieval > embedding:embeddings",
            "llm_request:chat",
        ]


def test_steps_whose_spans_say_at_their_end_what_they_were_are_around_the_calls_too(server: FakeOpenAI) -> None:
    with traced(OpenInference()) as captured:
        index(server).as_query_engine(llm=model(server)).query(QUESTION)
        query = "workflow:RetrieverQueryEngine.query"
        seen = [line for line in lines(captured) if line.startswith(query)]
        assert seen[:3] == [
            query,
            f"{query} > retrieval:VectorIndexRetriever.retrieve",
            f"{query} > retrieval:VectorIndexRetriever.retrieve > embedding:embeddings",
        ]
        assert seen[-1].startswith(f"{query} > workflow:CompactAndRefine.synthesize")
        assert seen[-1].endswith("> llm_request:chat")
        types = [operation.operation_type for operation in captured.operations]
        assert (types.count("llm_request"), types.count("embedding")) == (1, 2)
