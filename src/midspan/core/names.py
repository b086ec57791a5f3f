"""Every span, attribute, metric label and event name that leaves the process.

`gen_ai.*` names follow the GenAI semantic conventions, schema gen-ai-dev/1.42.0-dev; our own begin with `midspan.`.
"""

from __future__ import annotations

from typing import Final

GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_MODEL: Final = "gen_ai.request.model"
GEN_AI_STREAM: Final = "gen_ai.request.stream"
GEN_AI_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_INSTRUCTIONS: Final = "gen_ai.system_instructions"
GEN_AI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
GEN_AI_TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"
OPENINFERENCE_KIND: Final = "openinference.span.kind"

ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

OPERATION_ID: Final = "midspan.operation.id"
OPERATION_TYPE: Final = "midspan.operation.type"
OPERATION_NAME: Final = "midspan.operation.name"
STATUS: Final = "midspan.status"
OPERATION_STATUS: Final = "midspan.operation.status"
STAGE: Final = "midspan.stage"
PROGRESS: Final = "midspan.progress"
STEP_INDEX: Final = "midspan.step.index"
STEP_COUNT: Final = "midspan.step.count"
MESSAGE: Final = "midspan.message"
CHUNK_COUNT: Final = "midspan.chunk.count"
TOKENS_OUTPUT: Final = "midspan.tokens.output"
REMAINING_TIME: Final = "midspan.estimate.remaining_time"
ESTIMATE_METHOD: Final = "midspan.estimate.method"
SEQUENCE: Final = "midspan.sequence"
STALLED: Final = "midspan.stalled"
PAST_DEADLINE: Final = "midspan.past_deadline"
WILL_MISS_DEADLINE: Final = "midspan.will_miss_deadline"
COMPONENT: Final = "midspan.component"
REASON: Final = "reason"

GEN_AI_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVENT_START: Final = "midspan.operation.start"
EVENT_UPDATE: Final = "midspan.operation.update"
EVENT_STALL: Final = "midspan.operation.stall"
EVENT_RESUME: Final = "midspan.operation.resume"
EVENT_END: Final = "midspan.operation.end"

SCOPE: Final = "midspan"
