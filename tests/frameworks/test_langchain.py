"""LangChain and LangGraph, with langchain-openai below."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import END, START, MessagesState, StateGraph
from openinference.instrumentation.langchain import LangChainInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor as GenAI

from midspan.core.operation import Status
from tests.fakes.openai_server import CONTENT, FakeOpenAI
from tests.frameworks.conftest import CALL, Both, told
from tests.frameworks.tracing import lines, traced

PROMPT = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{question}")])
QUESTION = "Does it work?"
ASKED = {"question": QUESTION}


def model(server: FakeOpenAI, name: str = "ok") -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=server.base_url, api_key="x", max_retries=0)


def chain_of(server: FakeOpenAI) -> Runnable[Any, str]:
    return PROMPT | model(server) | StrOutputParser()


def test_a_chain_is_one_operation_for_its_one_call(server: FakeOpenAI, both: Both) -> None:
    assert [told(each) for each in both(lambda: chain_of(server).invoke(ASKED))] == [CALL]


def test_the_tokens_of_a_streamed_chain_are_seen(server: FakeOpenAI, both: Both) -> None:
    (operation,) = both(lambda: [part for part in chain_of(server).stream(ASKED) if part])
    assert told(operation) == CALL
    assert (operation.chunks or 0) >= len(CONTENT)


def test_an_async_stream_left_early_is_cancelled(server: FakeOpenAI, both: Both) -> None:
    async def first() -> str:
        parts = model(server).astream(QUESTION)
        async for part in parts:
            if part.content:
                await parts.aclose()  # type: ignore[attr-defined]
                return str(part.content)
        return ""

    (operation,) = both(lambda: asyncio.run(first()))
    assert operation.status is Status.CANCELLED


def test_an_error_is_the_frameworks_own_and_fails_the_operation(server: FakeOpenAI, both: Both) -> None:
    (operation,) = both(lambda: model(server, "refused").invoke(QUESTION))
    assert operation.status is Status.FAILED
    assert operation.error is not None
    assert operation.error.type == "openai.BadRequestError"


def test_each_node_of_a_graph_that_asks_a_model_is_one_operation(server: FakeOpenAI, both: Both) -> None:
    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model(server).invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("draft", ask)
    graph.add_node("review", ask)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", "review")
    graph.add_edge("review", END)
    compiled = graph.compile()

    def run() -> list[str]:
        question: Any = {"messages": [("user", "Does it work?")]}
        return [str(message.content) for message in compiled.invoke(question)["messages"]]

    assert [told(each) for each in both(run)] == [CALL, CALL]


def ask_store(server: FakeOpenAI, is_streamed: bool = False) -> str:
    """A question, answered with what a vector store knows."""
    embeddings = OpenAIEmbeddings(
        model="ok", base_url=server.base_url, api_key="x", check_embedding_ctx_length=False, max_retries=0
    )
    store = InMemoryVectorStore.from_texts(["It works."], embeddings)
    chain = {"question": store.as_retriever()} | PROMPT | model(server) | StrOutputParser()
    return "".join(chain.stream(QUESTION)) if is_streamed else chain.invoke(QUESTION)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
def test_the_steps_of_a_chain_are_its_children_where_they_have_spans(is_streamed: bool, server: FakeOpenAI) -> None:
    with traced(GenAI()) as captured:
        assert ask_store(server, is_streamed) == "".join(CONTENT)
        chain = "workflow:RunnableSequence"
        assert lines(captured) == [
            "embedding:embeddings",
            chain,
            f"{chain} > retrieval:retrieval",
            f"{chain} > retrieval:retrieval > embedding:embeddings",
            f"{chain} > llm_request:chat",
        ]


# OpenInference's, of LangChain.
@pytest.mark.filterwarnings("ignore:Calling .text")
def test_steps_whose_spans_say_at_their_end_what_they_were_are_around_the_calls_too(server: FakeOpenAI) -> None:
    with traced(OpenInference()) as captured:
        ask_store(server)
        chain = "workflow:RunnableSequence"
        search = f"{chain} > workflow:RunnableParallel<question> > retrieval:VectorStoreRetriever"
        assert lines(captured) == [
            "embedding:embeddings",
            chain,
            f"{chain} > workflow:RunnableParallel<question>",
            search,
            f"{search} > embedding:embeddings",
            f"{chain} > general:ChatPromptTemplate",
            f"{chain} > llm_request:chat",
            f"{chain} > workflow:StrOutputParser",
        ]


# OpenInference's, of LangChain.
@pytest.mark.filterwarnings("ignore:Calling .text")
def test_steps_run_while_a_stream_is_read(server: FakeOpenAI) -> None:
    with traced(OpenInference()) as captured:
        stream = (PROMPT | model(server) | StrOutputParser()).stream({"question": QUESTION})
        next(stream)
        assert {each.operation_type: each.status for each in captured.operations}["workflow"] is Status.RUNNING
        list(stream)
        assert {each.status for each in captured.operations} == {Status.COMPLETED}
