"""An OpenAI-compatible server that no one here wrote, with an ear on the line to it.

It is ``fakellm``, a mock server from PyPI, unless ``STRANDLINE_OPENAI_URL`` names one that runs
already: llama.cpp, Ollama, vLLM …, with ``STRANDLINE_OPENAI_MODEL``.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web
from attrs import define

from strandline.testing.processes import free_port
from tests.support.limits import HANGS_SECONDS

TIDES = " ".join(f"At {hour} the tide turns, and {hour} boats wait." for hour in range(1, 11))

_RULES: list[dict[str, Any]] = [
    {
        "name": "remembers",
        "when": {"previous_message_contains": "pleased to meet you"},
        "respond": {"content": "Your name is Alice."},
    },
    {
        "name": "greets",
        "when": {"messages_contain": "my name is alice"},
        "respond": {"content": "I am pleased to meet you, Alice."},
    },
    {
        "name": "goes on and on",
        "when": {"messages_contain": "long story"},
        "respond": {"content": "and a wave " * 1_000},
    },
    {"name": "knows the tides", "respond": {"content": TIDES}},
]


@define
class Exchange:
    """One request to the server, and what came of it.

    Args:
        key: Its idempotency key.
        messages: What the model was told.
        answer: What it has said so far.
        is_whole: It has said all.
        is_left: Who asked did not wait for the end.
    """

    key: str
    messages: list[dict[str, Any]]
    answer: str = ""
    is_whole: bool = False
    is_left: bool = False


class ModelServer:
    """A server and a proxy before it. Use as an async context manager.

    Attributes:
        url: The proxy's, which a bot is given.
        model: The model's name.
        exchanges: What was asked, in order.
        is_mock: It answers by rules.
    """

    def __init__(self, directory: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}/v1"
        self.model = os.environ.get("STRANDLINE_OPENAI_MODEL", "mock")
        self.exchanges: list[Exchange] = []
        self._server = os.environ.get("STRANDLINE_OPENAI_URL", "").rstrip("/")
        self.is_mock = not self._server
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600))
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._pass_on)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        if not self._server:
            await self._start()
        await self._runner.setup()
        port = int(self.url.rpartition(":")[2].partition("/")[0])
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._runner.cleanup()
        await self._http.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def answered(self, key: str) -> str:
        """The answer to the question with this key, once the server has given all of it."""
        while True:
            for exchange in reversed(self.exchanges):
                if exchange.key == key and exchange.is_whole:
                    return exchange.answer.strip()
            await asyncio.sleep(0.05)

    async def _start(self) -> None:
        rules = self._directory / "fakellm.yaml"
        rules.write_text(yaml.safe_dump({"version": 1, "rules": _RULES}))
        port = free_port()
        self._server = f"http://127.0.0.1:{port}/v1"
        self._process = _fakellm(port, rules)
        async with asyncio.timeout(HANGS_SECONDS):
            while True:
                try:
                    async with self._http.get(f"{self._server}/models"):
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        exchange = Exchange(request.headers["Idempotency-Key"], body["messages"])
        self.exchanges.append(exchange)
        async with self._http.post(f"{self._server}/chat/completions", json=body) as answer:
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            try:
                await response.prepare(request)
                async for line in answer.content:
                    _listen(line, exchange)
                    await response.write(line)
            except OSError:
                exchange.is_left = not exchange.is_whole
                raise
        return response


def _fakellm(port: int, rules: Path) -> subprocess.Popen[bytes]:
    command = "from fakellm.cli import main; main()"
    arguments = ["serve", "--port", str(port), "--config", str(rules)]
    return subprocess.Popen(  # noqa: S603  # what the tests' tools bring
        [sys.executable, "-c", command, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _listen(line: bytes, exchange: Exchange) -> None:
    if not line.startswith(b"data: {"):
        return
    for choice in json.loads(line[6:])["choices"]:
        exchange.answer += choice["delta"].get("content") or ""
        exchange.is_whole = exchange.is_whole or choice["finish_reason"] == "stop"
