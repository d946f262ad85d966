"""A proxy in front of the real homeserver that spoils what a test tells it to spoil."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

import aiohttp
from aiohttp import web

Spoil = Callable[[web.Request, int], str | None]
"""Which fault befalls a request; it is given the request and its number, counted from 1."""

FAULTS = ("reset", "500", "502", "429", "truncated", "reset after")


class Proxy:
    """Passes requests on, and counts them."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.count = 0
        self.spoilt = 0
        self.spoil: Spoil = lambda _request, _number: None
        self._target = target
        self._client = aiohttp.ClientSession(auto_decompress=False)

    @classmethod
    @asynccontextmanager
    async def to(cls, target: str) -> AsyncIterator[Self]:
        """A proxy on a free loopback port."""
        proxy = cls(target)
        app = web.Application(client_max_size=10**8)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()
            await proxy._client.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass one request on, or spoil it."""
        self.count += 1
        fault = self.spoil(request, self.count)
        self.spoilt += fault is not None
        match fault:
            case "reset":
                return _reset(request)
            case "500":
                body = {"errcode": "M_UNKNOWN", "error": "spoilt"}
                return web.json_response(body, status=500)
            case "502":
                return web.Response(status=502, text="<html>bad gateway</html>")
            case "429":
                body_429 = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 50}
                return web.json_response(body_429, status=429)
        async with self._client.request(
            request.method,
            f"{self._target}{request.raw_path}",
            data=await request.read(),
            headers={k: v for k, v in request.headers.items() if k.lower() != "host"},
        ) as answer:
            content = await answer.read()
        if fault == "reset after":
            return _reset(request)
        if fault == "truncated":
            content = content[: len(content) // 2]
        return web.Response(status=answer.status, body=content, content_type="application/json")


def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
