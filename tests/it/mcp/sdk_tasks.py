"""The official Python client with the tasks extension: one `start_run`, whose result comes when its run has ended."""

import asyncio
import json
import os
import sys
from typing import Any, Literal

import httpx2
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client

TASKS = "io.modelcontextprotocol/tasks"
FINAL = ("completed", "failed", "cancelled")


def told(who, said):
    print(f"{who} {json.dumps(said, ensure_ascii=False, sort_keys=True)}", flush=True)


class Handle(types.Result):
    """A task instead of a result."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    poll_interval_ms: int


class Named(types.RequestParams):
    task_id: str
    input_responses: dict[str, Any] | None = None


class State(types.Result):
    task_id: str
    status: str
    status_message: str
    ttl_ms: int | None
    poll_interval_ms: int
    input_requests: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


class Tasks(ClientExtension):
    identifier = TASKS

    def claims(self):
        return (ResultClaim(result_type="task", model=Handle, resolve=self.finished),)

    async def finished(self, handle, context):
        """Asks for the task until it has ended, and has the client's person answer what it asks."""

        async def ask(method, **more):
            request = types.Request[Named, str](method=method, params=Named(task_id=handle.task_id, **more))
            return await context.session.send_request(request, State if method == "tasks/get" else types.Result)

        told("<", {"task": handle.task_id, "status": handle.status})
        last, answered, agreed = None, set(), False
        while True:
            state = await ask("tasks/get")
            if state.status != last:
                told("<", {"status": state.status, "says": state.status_message, "asks": state.input_requests})
            last = state.status
            if state.status in FINAL:
                return types.CallToolResult.model_validate(state.result, by_name=False)
            asks = {key: asks for key, asks in (state.input_requests or {}).items() if key not in answered}
            if asks:
                answers = {}
                for key, asked in asks.items():
                    told("<", {"elicited": asked["params"]["message"]})
                    assert asked["params"]["requestedSchema"]["properties"]["answer"]["enum"] == ["yes", "no"]
                    answers[key] = {"action": "accept", "content": {"answer": "yes"}}
                await ask("tasks/update", input_responses=answers)
                answered.update(answers)
            elif "rerail approve" in state.status_message and not agreed:
                run = await context.session.call_tool("get_run", {"run": handle.task_id})
                change = run.structured_content["data"]["approvals"][0]["change"]
                told("=", {"waits": change, "run": handle.task_id})
                # A person agrees meanwhile: the line says that they have.
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
                agreed = True
            else:
                await asyncio.sleep(min(state.poll_interval_ms, 200) / 1000)


async def elicited(context, params):
    raise AssertionError("a task asks by itself and not the client")


async def talk(server):
    async with Client(server, extensions=[Tasks()], elicitation_callback=elicited) as client:
        told("<", {"protocol": client.protocol_version})
        assert client.protocol_version == "2026-07-28"
        assert TASKS in client.server_capabilities.extensions
        wanted = {"runbook": "both", "inputs": {"text": "back on its rails"}, "target": "dev"}
        refused = await client.call_tool("start_run", wanted)
        assert refused.is_error, "a write started without a plan"
        plan = (await client.call_tool("plan_run", wanted)).structured_content["data"]
        result = await client.call_tool("start_run", {**wanted, "plan_hash": plan["plan_hash"]})
        assert not result.is_error
        told("<", {"outcome": result.structured_content["data"]["outcome"]})


async def main(way, *rest):
    if way == "stdio":
        await talk(StdioServerParameters(command=rest[0], args=["mcp"], cwd=os.getcwd(), env=dict(os.environ)))
    else:
        address, token = rest
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as http:
            await talk(streamable_http_client(address, http_client=http))


asyncio.run(main(*sys.argv[1:]))
