"""A platform that answers over HTTP as a script tells it to, faults included."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from aiohttp import web

from strandline.testing.processes import free_port
from tests.support.limits import HANGS_SECONDS

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Platform:
    """A server on a free port of 127.0.0.1. Use as an async context manager.

    Attributes:
        script: Answers the next requests.
        file: Answers who fetches ``/file``.
        reads: Questions are read before they are answered.
        asked: The requests' headers and bodies, in order.
        left: Set once somebody has closed the connection before the end of their answer.
    """

    def __init__(
        self,
        script: Script,
        *,
        file: Script | None = None,
        reads: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.script = script
        self.file = file or _whose
        self.reads = reads
        self.left = asyncio.Event()
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.port = free_port()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/ask"
        self._tls = tls
        app = web.Application()
        app.router.add_post("/ask", self._answer)
        app.router.add_get("/file", self._file)
        app.router.add_head("/ask", self._look)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, lingering_time=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._runner.cleanup()

    async def was_asked(self, text: str) -> None:
        """Wait until the last question is this one."""
        async with asyncio.timeout(HANGS_SECONDS):
            while not self.asked or self.asked[-1][1]["text"] != text:
                await asyncio.sleep(0.01)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request) if self.reads else None
        self.asked.append((dict(request.headers), body))
        try:
            return await self.script(request)
        except ConnectionError:
            self.left.set()
            raise

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return await self.file(request)

    async def _look(self, request: web.Request) -> web.StreamResponse:
        return await self.script(request)


async def _whose(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"the file of {request.headers.get('Authorization')}")


async def _read(request: web.Request) -> Any:
    """The JSON of a question, or the parts of a form."""
    if request.content_type == "application/json":
        return await request.json()
    form: Any = await request.multipart()
    question, files = await (await form.next()).json(), []
    while (part := await form.next()) is not None:
        files.append((part.filename, part.headers["Content-Type"], bytes(await part.read())))
    return question, files


def says(*chunks: bytes, then: str = "ends", kind: str = "text/event-stream") -> Script:
    """A script that sends these bytes, and then ends, hangs, or cuts the connection."""

    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then == "hangs":
            await asyncio.sleep(60)
        if then == "cuts":
            assert request.transport is not None
            request.transport.abort()
        return response

    return script


def repeats(may_answer: asyncio.Event) -> Script:
    """A script that answers with the text of the question, once it may."""

    async def script(request: web.Request) -> web.StreamResponse:
        text = (await request.json())["text"]
        await may_answer.wait()
        return await says(event({"text": text}), event({}, "done"))(request)

    return script


def goes_on(*pieces: str, when: Sequence[asyncio.Event]) -> Script:
    """A script that says the first piece, and each other one when its time has come."""

    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(event({"text": pieces[0]}))
        for piece, time in zip(pieces[1:], when, strict=True):
            await time.wait()
            await response.write(event({"text": piece}))
        await response.write(event({}, "done"))
        return response

    return script


def answers(status: int, **headers: str) -> Script:
    """A script that answers with a status and nothing else."""

    async def script(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return script


def pours(chunk: bytes) -> Script:
    """A script that sends the same for ever."""

    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(chunk)

    return script


def event(data: object, name: str | None = None) -> bytes:
    """One server-sent event."""
    return (f"event: {name}\n" if name else "").encode() + f"data: {json.dumps(data)}\n\n".encode()
