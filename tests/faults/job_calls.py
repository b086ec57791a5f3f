"""An application of the providers' jobs: each is made, asked for, listed, and asked for when it is not known."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import openai

from tests.fakes import openai_jobs, other_jobs
from tests.fakes.openai_jobs import FakeJobs
from tests.fakes.other_jobs import Answers
from tests.fakes.sdk import transport
from tests.fakes.sdks import SDKS
from tests.faults.calls import told

ANTHROPIC = [
    (lambda client: client.messages.batches.create(requests=[]), other_jobs.message_batch(processing=2)),
    (lambda client: client.messages.batches.retrieve("msgbatch_1"), other_jobs.message_batch("ended", succeeded=2)),
    (lambda client: client.messages.batches.retrieve("msgbatch_1"), 404),
]
GROQ = [(lambda client: client.batches.retrieve("batch_1"), openai_jobs.batch(done=1, total=2))]
VIDEO = "models/v/operations/1"
GOOGLE = [
    (lambda client: client.batches.get(name="batches/1"), other_jobs.google_batch("RUNNING")),
    (lambda client: client.batches.cancel(name="batches/1"), {}),
    (
        lambda client: client.operations.get(_video()),
        {"name": VIDEO, "done": True, "error": {"code": 3}},
    ),
    (lambda client: client.interactions.get("v1_1"), other_jobs.interaction("in_progress")),
]
MISTRAL = [(lambda client: client.batch.jobs.get(job_id="0815"), other_jobs.mistral_batch("FAILED", 1))]
PULL = [
    {"status": "pulling manifest"},
    {"status": "pulling aa", "digest": "sha256:aa", "total": 9, "completed": 3},
    {"status": "success"},
]


def _video() -> Any:
    from google.genai.types import GenerateVideosOperation

    return GenerateVideosOperation(name=VIDEO)


class JobCalls:
    """`actions()` are the calls; making one gives a line: what came back, or what was raised."""

    def __init__(self) -> None:
        self._openai = FakeJobs()
        self._clients: dict[str, tuple[Any, Answers]] = {}
        self._bedrock: Any = None
        # Once: what is read of a client is remembered.
        self._made = [*self._of_openai(), *self._of_ollama(), *self._of_cohere(), self._of_bedrock]

    def actions(self) -> list[Callable[[], str]]:
        """Everything that it does, in order."""
        made = [*self._made]
        for provider, calls in (
            ("anthropic", ANTHROPIC), ("groq", GROQ), ("google_genai", GOOGLE), ("mistralai", MISTRAL),
        ):  # fmt: skip
            made += [self._answered(provider, call, answer) for call, answer in calls if provider in SDKS]
        return [told(action) for action in made]

    def close(self) -> None:
        """Nothing is open."""

    def _answered(self, provider: str, call: Callable[[Any], object], answer: Any) -> Callable[[], object]:
        def act() -> object:
            if provider not in self._clients:
                answers = Answers()
                self._clients[provider] = SDKS[provider].over(answers)[0], answers
            client, answers = self._clients[provider]
            answers.answers = [answer] * 9  # however often an SDK asks again
            return call(client)

        return act

    def _of_openai(self) -> Iterator[Callable[[], object]]:
        client, twin, tell = self._openai.client(), self._openai.async_client(), self._openai.tell
        made: Any = {"input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h"}

        def batch() -> object:
            tell("POST", "/batches", openai_jobs.batch("validating"))
            ended = openai_jobs.batch("failed", 1, 1, 2, errors={"data": [{"code": "bad", "message": "m"}]})
            tell("GET", "/batches/batch_1", openai_jobs.batch(done=1, total=2), openai_jobs.batch("melting"), ended)
            asked = [client.batches.create(**made), *(client.batches.retrieve("batch_1") for _ in range(3))]
            return [each.status for each in asked]

        def unknown() -> object:
            tell("POST", "/batches", {**openai_jobs.batch(), "id": "batch/2"})
            tell("GET", "/batches/batch%2F2")
            client.batches.create(**made)
            return client.batches.retrieve("batch/2")

        def late() -> object:
            tell("GET", "/batches/batch_3", (404, {}), {**openai_jobs.batch(done=1, total=2), "id": "batch_3"})
            with contextlib.suppress(openai.NotFoundError):
                client.batches.retrieve("batch_3")
            return client.batches.retrieve("batch_3").status

        def others() -> object:
            tell("GET", "/fine_tuning/jobs/ftjob-1", openai_jobs.fine_tuning(estimated_finish=2_000_000_000))
            tell("GET", "/fine_tuning/jobs/ftjob-1/events", openai_jobs.page(openai_jobs.metrics(1, 2)))
            tell("GET", "/videos/video_1", openai_jobs.video("in_progress", 40))
            path = "/vector_stores/vs_1/file_batches/vsfb_1"
            tell("GET", path, openai_jobs.file_batch("in_progress", total=2, completed=1, cancelled=1))
            found = client.vector_stores.file_batches.retrieve("vsfb_1", vector_store_id="vs_1")
            asked = client.fine_tuning.jobs.retrieve("ftjob-1"), client.fine_tuning.jobs.list_events("ftjob-1").data
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the service is to be shut down
                return [*asked, found, client.videos.retrieve("video_1")]

        def upload() -> object:
            tell("POST", "/uploads", openai_jobs.upload("pending"))
            part = {"id": "p", "object": "upload.part", "created_at": 1, "upload_id": "upload_1"}
            tell("POST", "/uploads/upload_1/parts", part)
            begun = client.uploads.create(bytes=10, filename="d", mime_type="text/plain", purpose="batch")
            return begun, client.uploads.parts.create("upload_1", data=b"1234")

        def background() -> object:
            tell("POST", "/responses", openai_jobs.background("queued"))
            usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
            tell("GET", "/responses/resp_1", openai_jobs.background("completed", usage=usage))
            begun = client.responses.create(model="m", input="x", background=True)
            return begun.status, client.responses.retrieve("resp_1").status

        def dropped() -> object:
            tell("POST", "/responses", openai_jobs.Streamed(openai_jobs.events()))
            return next(client.responses.create(model="m", input="x", background=True, stream=True)).type

        def streamed() -> object:
            tell("POST", "/responses", openai_jobs.Streamed(openai_jobs.events()))
            tell("GET", "/responses/resp_1", openai_jobs.Streamed(openai_jobs.events()))
            with client.responses.create(model="m", input="x", background=True, stream=True) as stream:
                begun = next(stream).type
            with client.responses.retrieve("resp_1", stream=True, starting_after=2) as stream:
                left = next(stream).type
            raw = client.responses.with_raw_response.retrieve("resp_1", stream=True)
            return begun, left, [each.type for each in raw.parse()]

        def lost() -> object:
            half = openai_jobs.Streamed(openai_jobs.events(), until=openai_jobs.FIRST_WORD, lost=True)
            tell("POST", "/responses", half)
            tell("GET", "/responses/resp_1", half)
            asked: Any = {"model": "m", "input": "x", "background": True}
            calls = (
                lambda: client.responses.create(**asked, stream=True),
                lambda: client.responses.retrieve("resp_1", stream=True),
            )
            return [told(lambda call=call: [*call()])() for call in calls]

        async def streamed_async() -> object:
            tell("POST", "/responses", openai_jobs.Streamed(openai_jobs.events(), until=openai_jobs.FIRST_WORD))
            tell("GET", "/responses/resp_1", openai_jobs.Streamed(openai_jobs.events()))
            asked: Any = {"model": "m", "input": "x", "background": True}
            begun = [each.type async for each in await twin.responses.create(**asked, stream=True)]
            return begun, [each.type async for each in await twin.responses.retrieve("resp_1", stream=True)]

        async def listed() -> object:
            tell("GET", "/batches", openai_jobs.page(openai_jobs.batch(done=1, total=2)))
            return [each.id async for each in twin.batches.list()], (await twin.batches.retrieve("batch_1")).id

        # Dropped first: while nobody knows the job.
        yield from (_freed(dropped), batch, unknown, late, others, upload, background, _freed(streamed), _freed(lost))
        yield from (lambda: asyncio.run(_awaited(streamed_async)), lambda: asyncio.run(_awaited(listed)))

    def _of_ollama(self) -> Iterator[Callable[[], object]]:
        if "ollama" not in SDKS:
            return
        import json

        import httpx
        import ollama

        def respond(_request: Any) -> Any:
            return httpx.Response(200, content="".join(f"{json.dumps(line)}\n" for line in PULL))

        client = ollama.Client("http://ollama.example", transport=httpx.MockTransport(respond))
        yield lambda: [each.status for each in client.pull("m", stream=True)]

    def _of_cohere(self) -> Iterator[Callable[[], object]]:
        if "cohere" not in SDKS:
            return
        import cohere
        import httpx

        answers = Answers()
        own = httpx.Client(transport=transport(httpx, answers))
        client = cohere.Client(api_key="x", base_url="http://model.example", httpx_client=own)

        def act() -> object:
            answers.answers = [
                other_jobs.embed_job("processing"),
                {"batch": other_jobs.cohere_batch("IN_PROGRESS", 1)},
                {"finetuned_model": other_jobs.cohere_model("FINETUNING")},
            ]
            asked = client.embed_jobs.get("e1"), client.batches.retrieve("b1")
            return [*asked, client.finetuning.get_finetuned_model("f1")]

        yield act

    def _of_bedrock(self) -> object:
        if "botocore" not in SDKS:
            return None
        answers = [("get_model_invocation_job", other_jobs.invocation_job("InProgress", totalRecordCount=2))]
        self._bedrock = self._bedrock or other_jobs.bedrock_client(*answers * 1_000)
        return self._bedrock.get_model_invocation_job(jobIdentifier=other_jobs.ARN)["status"]


def _freed(act: Callable[[], object]) -> Callable[[], object]:
    """Its streams are dropped here, and not in an action to come."""

    def free() -> object:
        done = act()
        gc.collect()
        return done

    return free


async def _awaited(make: Callable[[], Any]) -> object:
    return await make()
