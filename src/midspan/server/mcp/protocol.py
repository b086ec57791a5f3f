"""The tools as a server of the official SDK: imported with the first request to `/mcp`, if the SDK is there.

Stateless: each request is answered by itself, in either era of the protocol, and a bare JSON-RPC POST is a request too
(seed S1-31). Tokens, hosts, origins and body sizes were looked at before.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from midspan.core.selection import EVERYTHING
from midspan.core.wire import encode
from midspan.server.answers import Row
from midspan.server.dialects.long_tasks import failure
from midspan.server.mcp import extension
from midspan.server.mcp.arguments import StartLongTask, ToolArgumentError, read
from midspan.server.mcp.exchange import while_connected
from midspan.server.mcp.results import Context, access_of_call, called, described, found_or_error
from midspan.server.mcp.tools import Call, JsonObject, Tools
from midspan.server.problem import Problem
from midspan.server.tokens import Access
from midspan.server.trace_context import within_trace

URI = "midspan://operations/"
MAX_RESOURCES = 50
JSON = "application/json"
INSTRUCTIONS = (
    "Operations are units of work that may take long: LLM calls, batches, tasks. Start tasks with start_long_task, and "
    "wait for them with wait_for_operation instead of asking get_task_progress again and again."
)
_OURS = TransportSecuritySettings(enable_dns_rebinding_protection=False)


class Protocol:
    """Answers MCP requests with `tools`; `row` makes the JSON of an operation as a resource."""

    def __init__(self, tools: Tools, row: Row) -> None:
        self.tools = tools
        self.row = row
        self.server: Server[Any] = Server(
            "midspan",
            version=version("midspan"),
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
        )
        # Not by its keyword: a task's handle is another result than those that it knows.
        self.server.add_request_handler("tools/call", types.CallToolRequestParams, self._call_tool)
        # What is asked of us is not the application's traffic: no spans for it.
        self.server.middleware.clear()
        extension.Extension(tools).join(self.server)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: as a stream of events where it takes one, which progress can be told on, else as JSON."""
        accept = Headers(scope=scope).get("accept")
        if accept is None:
            scope = {**scope, "headers": [*scope["headers"], (b"accept", JSON.encode())]}
        streams = "text/event-stream" in (accept or "")
        manager = StreamableHTTPSessionManager(
            self.server, json_response=not streams, stateless=True, security_settings=_OURS
        )
        async with manager.run():
            await while_connected(lambda messages: manager.handle_request(scope, messages, send), receive)

    # --- tools --------------------------------------------------------------------------------

    async def _list_tools(self, _: Context, __: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[described(tool) for tool in self.tools.all()])

    async def _call_tool(
        self, context: Context, asked: types.CallToolRequestParams
    ) -> types.CallToolResult | JsonObject:
        access, meta, given = access_of_call(context), context.meta or {}, asked.arguments or {}
        call = Call(access, context.session.report_progress if meta.get("progress_token") is not None else None)
        with within_trace(meta):
            if asked.name == "start_long_task" and extension.is_declared(context) and access.may("write"):
                return self._begin(given, access)
            return called(*await self.tools.call(asked.name, given, call))

    def _begin(self, given: JsonObject, access: Access) -> types.CallToolResult | JsonObject:
        try:
            operation = self.tools.begin(read(given, StartLongTask), access)
        except (Problem, ToolArgumentError) as error:
            return called(failure(str(error)), True)
        return extension.handle(operation, self.tools)

    # --- resources ----------------------------------------------------------------------------

    async def _list_resources(self, context: Context, _: object) -> types.ListResourcesResult:
        access = access_of_call(context)
        found = await run_in_threadpool(self.tools.newest, access, EVERYTHING, MAX_RESOURCES)
        rows: list[JsonObject] = found["operations"]
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    uri=URI + row["operation_id"],
                    name=f"{row['name']} {row['operation_id'][:8]}",
                    description=f"{row['operation_type']}, {row['status']}",
                    mime_type=JSON,
                )
                for row in rows
            ]
        )

    async def _list_templates(self, _: Context, __: object) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=URI + "{operation_id}",
            name="operation",
            description="An operation as it is now, with its history.",
            mime_type=JSON,
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def _read_resource(
        self, context: Context, asked: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(asked.uri)
        if not uri.startswith(URI):
            raise MCPError(types.INVALID_PARAMS, f"there is no resource {uri!r}; there are {URI}{{operation_id}}")
        operation = found_or_error(self.tools, uri.removeprefix(URI), access_of_call(context))
        text = encode(self.row(operation)).decode()
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=JSON, text=text)])
