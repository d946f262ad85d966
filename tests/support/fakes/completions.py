"""A server of the OpenAI chat-completions API that answers as a script tells it to."""

import ssl
from typing import Any, Self

from aiohttp import web
from multidict import CIMultiDictProxy

from strandline.testing.processes import free_port
from tests.support.fakes.platform import Script, answers, event

DONE = b"data: [DONE]\n\n"


class Completions:
    """A server on a free port of 127.0.0.1. Use as an async context manager.

    Attributes:
        asked: The requests' headers and bodies, in order.
        probed: The headers of the requests for the list of models.
    """

    def __init__(
        self,
        script: Script,
        *,
        models: Script | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._script = script
        self._models = models or answers(200)
        self.asked: list[tuple[CIMultiDictProxy[str], Any]] = []
        self.probed: list[CIMultiDictProxy[str]] = []
        self.port = free_port()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/v1"
        self._tls = tls
        app = web.Application(client_max_size=0)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_get("/v1/models", self._list)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.headers, await request.json()))
        return await self._script(request)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.probed.append(request.headers)
        return await self._models(request)


def chunk(text: str | None = None, finish: str | None = None, **delta: object) -> bytes:
    """One chunk of an answer, as such servers send it."""
    content = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": content | delta, "finish_reason": finish}
    return event({"object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def refuses(status: int, error: object = None, **headers: str) -> Script:
    """A script that answers with an error object."""

    async def script(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": error}, status=status, headers=headers)

    return script
