"""What broke in other tools, and the named test that keeps it from breaking here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
STREAMS, EVERY_SDK = "endings/test_streams.py", "transparency/test_every_sdk.py"
RESULTS = "transparency/test_results.py"
ODD = "transparency/test_odd_payloads.py"
OPENAI = "instrumentation/providers/test_openai.py"

THREADS: dict[str, tuple[str, ...]] = {
    "traceloop/openllmetry#2195": (
        "transparency/test_process.py::test_a_call_starts_no_thread_and_changes_no_filter_no_module_and_no_hook",
        "transparency/test_process.py::test_a_sync_call_makes_no_event_loop",
        "transparency/test_process.py::test_a_sync_call_inside_a_running_loop_leaves_that_loop_running",
    ),
    "traceloop/openllmetry#4473": ("transparency/test_process.py::test_calls_with_distinct_ids_are_evicted_by_number",),
    "traceloop/openllmetry#3151": (
        f"{STREAMS}::test_a_stream_ends_once_and_rightly",
        f"{STREAMS}::test_an_async_stream_ends_once_and_rightly",
    ),
    "openlit/openlit#1454": (f"{STREAMS}::test_the_matrix_has_every_provider",),
    "Arize-ai/openinference#3790": ("instrumentation/test_stream.py::test_nothing_ends_inside_the_garbage_collector",),
    "traceloop/openllmetry#4394": (f"{STREAMS}::test_a_stream_ends_once_and_rightly",),
    "open-telemetry/opentelemetry-python-genai#646": (
        f"{STREAMS}::test_a_cancelled_or_timed_out_task_ends_its_stream_as_cancelled",
        f"{STREAMS}::test_ctrl_c_ends_a_stream_as_interrupted",
        "endings/test_answers.py::test_a_cancelled_task_ends_its_call_as_cancelled",
    ),
    "openlit/openlit#1369": (f"{STREAMS}::test_a_stream_left_open_when_the_loop_is_shut_down_is_dropped",),
    "Arize-ai/openinference#3577": (f"{EVERY_SDK}::test_a_stream_is_the_sdks_own_object_and_nothing_of_it_is_read",),
    "openlit/openlit#391": (f"{EVERY_SDK}::test_an_async_stream_is_the_sdks_own_object_and_nothing_of_it_is_read",),
    "langfuse/langfuse#5685": (
        f"{RESULTS}::test_the_helpers_of_a_stream_work",
        f"{RESULTS}::test_the_async_helpers_of_a_stream_work",
    ),
    "langfuse/langfuse#3188": (f"{EVERY_SDK}::test_an_answer_is_the_sdks_own_object",),
    "open-telemetry/opentelemetry-python-contrib#4002": (
        f"{RESULTS}::test_a_raw_response_has_headers_and_parses_once_and_twice",
    ),
    "open-telemetry/opentelemetry-python-contrib#4032": (
        f"{RESULTS}::test_a_streaming_response_is_handed_over_unread_and_may_stay_so",
    ),
    "traceloop/openllmetry#3428": (
        "faults/test_faults.py::test_a_function_that_raises_changes_nothing_for_the_calls_of",
        "faults/test_faults.py::test_a_part_that_raises_changes_nothing_for_the_application",
    ),
    "pydantic/logfire#908": (f"{ODD}::test_an_odd_payload_reaches_the_application_as_it_would_and_the_operation_ends",),
    "pydantic/logfire#64": (f"{OPENAI}::test_a_chat_chunk_is_a_number_of_tokens_or_says_more",),
    "open-telemetry/opentelemetry-python-genai#522": (
        f"{RESULTS}::test_one_shot_iterables_reach_the_server_and_every_byte_on_the_wire_is_the_same",
    ),
    "Arize-ai/openinference#2593": ("instrumentation/test_call.py::test_a_suppressed_call_is_not_seen",),
    "traceloop/openllmetry#627": (
        f"{OPENAI}::test_the_servers_usage_replaces_the_estimate_in_a_stream",
        f"{OPENAI}::test_without_usage_the_tokens_of_a_stream_are_an_estimate",
    ),
}
"""Thread of another tool → tests. Those about processes are in the tests of the runtime."""


@pytest.mark.parametrize(("thread", "test"), [(thread, test) for thread, found in THREADS.items() for test in found])
def test_a_thread_has_its_test(thread: str, test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, thread
