"""One session of the official Python client with `rerail mcp` or with a server's `/mcp`, told line by line."""

import asyncio
import json
import os
import sys

import httpx2
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


def told(who, said):
    print(f"{who} {json.dumps(said, ensure_ascii=False, sort_keys=True)}", flush=True)


async def talk(session):
    hello = await session.initialize()
    told("<", {"server": hello.server_info.name, "protocol": hello.protocol_version})
    tools = (await session.list_tools()).tools
    told("<", {"tools": sorted(tool.name for tool in tools)})

    async def call(tool, arguments):
        told(">", {tool: arguments})
        result = await session.call_tool(tool, arguments)
        said = result.structured_content
        told("<", {"refused": bool(result.is_error), "next": said["next"], "data": said["data"]})
        return bool(result.is_error), said["data"]

    await call("find_runbooks", {"words": "test"})
    wanted = {"runbook": "put", "inputs": {"text": "back on its rails"}, "target": "dev"}
    refused, _ = await call("start_run", wanted)
    assert refused, "a write started without a plan"
    _, plan = await call("plan_run", wanted)
    _, begun = await call("start_run", {**wanted, "plan_hash": plan["plan_hash"]})
    run = {"run": begun["run"]}
    while True:
        _, now = await call("get_run", {**run, "wait_seconds": 1})
        if now["status"] == "waiting":
            break
    assert "approve" not in {tool.name for tool in tools}
    told("=", {"waits": now["approvals"][0]["change"], **run})
    # A person agrees meanwhile: the line says that they have.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    while now["status"] != "success":
        _, now = await call("get_run", {**run, "wait_seconds": 1})
    prompts = (await session.list_prompts()).prompts
    resources = (await session.list_resources()).resources
    told("<", {"prompts": sorted(prompt.name for prompt in prompts), "resources": len(resources)})


async def main(way, *rest):
    if way == "stdio":
        program = StdioServerParameters(command=rest[0], args=["mcp"], cwd=os.getcwd(), env=dict(os.environ))
        async with stdio_client(program) as (heard, say), ClientSession(heard, say) as session:
            await talk(session)
    else:
        address, token = rest
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as http:
            async with streamable_http_client(address, http_client=http) as streams:
                async with ClientSession(streams[0], streams[1]) as session:
                    await talk(session)


asyncio.run(main(*sys.argv[1:]))
