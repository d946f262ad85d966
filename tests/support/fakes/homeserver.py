"""A homeserver that speaks HTTP and answers as it is told to: for faults that must be scripted.

What it does untold is the little that a bot needs: log in, sync (waiting until something was
scripted), take events, and know each by its transaction id.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from attrs import define, field, frozen

from tests.support.limits import HANGS_SECONDS

Json = dict[str, Any]

BOT = "@bot:test"
PASSWORD = "correct horse"


@frozen
class Answer:
    """What a request gets.

    Args:
        status: HTTP status.
        body: JSON, or bytes as they are.
        headers: Extra headers.
        fault: ``reset`` drops the connection, ``truncate`` ends it half-way through the body.
        done: Whether the request takes effect before it is answered.
        held: It is answered when this is set.
    """

    status: int = 200
    body: Json | bytes = field(factory=dict)
    headers: dict[str, str] = field(factory=dict)
    fault: str = ""
    done: bool = False
    held: asyncio.Event | None = None


@frozen
class Request:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str


@define
class ScriptedHomeserver:
    """One homeserver. ``script(name, …)`` queues answers for an endpoint, in order."""

    url: str = ""
    token: str = "token-0"
    logins: int = 0
    requests: list[Request] = field(factory=list)
    sent: dict[tuple[str, str], str] = field(factory=dict)
    contents: list[tuple[str, str, Json]] = field(factory=list)
    members: list[str] = field(factory=lambda: [BOT])
    encrypted: set[str] = field(factory=set)
    _scripts: defaultdict[str, deque[Answer]] = field(factory=lambda: defaultdict(deque))
    _scripted: asyncio.Condition = field(factory=asyncio.Condition)

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator["ScriptedHomeserver"]:
        """Listen on a free port of the loopback."""
        server = cls()
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", server._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield server
        finally:
            await runner.cleanup()

    async def script(self, name: str, *answers: Answer) -> None:
        """Give these answers to the next requests of the endpoint called ``name``."""
        async with self._scripted:
            self._scripts[name].extend(answers)
            self._scripted.notify_all()

    async def syncs(self, *responses: Json) -> None:
        """Give these sync responses, each with a ``next_batch`` of its own if it has none."""
        await self.script("sync", *(Answer(body={"next_batch": "s1"} | r) for r in responses))

    def asked(self, name: str) -> list[Request]:
        """The requests of one endpoint so far."""
        return [request for request in self.requests if _name(request.path)[0] == name]

    async def was_asked(self, name: str, times: int = 1) -> list[Request]:
        """The requests of one endpoint, once there are so many."""
        async with asyncio.timeout(HANGS_SECONDS):
            while len(self.asked(name)) < times:
                await asyncio.sleep(0.005)
        return self.asked(name)

    def bodies(self, room_id: str) -> list[str]:
        """What the room has been told, in order."""
        return [str(c.get("body", "")) for r, _, c in self.contents if r == room_id]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        asked = Request(
            request.method,
            request.raw_path.split("?")[0],
            dict(request.query),
            json.loads(raw) if raw else None,
            request.headers.get("Authorization", "").removeprefix("Bearer "),
        )
        self.requests.append(asked)
        name, parts = _name(asked.path)
        if name == "sync":
            async with self._scripted:
                await self._scripted.wait_for(lambda: self._scripts["sync"])
        scripted = self._scripts[name]
        answer = scripted.popleft() if scripted else None
        if answer is None or answer.done:
            usual = self._usual(name, parts, asked)
            answer = answer or usual
        if answer.held is not None:
            await answer.held.wait()
        return await _respond(request, answer)

    def _usual(self, name: str, parts: list[str], asked: Request) -> Answer:
        if name != "login" and asked.token != self.token:
            return Answer(401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"})
        answers: dict[str, Callable[[], Answer]] = {
            "login": lambda: self._log_in(asked.body),
            "account.whoami": lambda: Answer(body={"user_id": BOT, "device_id": "DEVICE"}),
            "rooms.send": lambda: self._send(parts, asked.body),
            "rooms.state": lambda: self._encryption(parts[1]),
            "rooms.joined_members": lambda: Answer(
                body={"joined": {user: {} for user in self.members}}
            ),
            "rooms.messages": lambda: Answer(body={"chunk": [], "start": "t0"}),
            "keys.upload": lambda: Answer(body={"one_time_key_counts": {"signed_curve25519": 50}}),
            "keys.query": lambda: Answer(body={"device_keys": {}}),
            "keys.claim": lambda: Answer(body={"one_time_keys": {}}),
        }
        usual = answers.get(name)
        return usual() if usual else Answer()

    def _log_in(self, body: Json) -> Answer:
        if body.get("password") != PASSWORD:
            return Answer(403, {"errcode": "M_FORBIDDEN", "error": "Invalid username or password"})
        self.logins += 1
        self.token = f"token-{self.logins}"
        device = body.get("device_id", "DEVICE")
        return Answer(body={"user_id": BOT, "device_id": device, "access_token": self.token})

    def _send(self, parts: list[str], body: Json) -> Answer:
        _, room_id, _, kind, transaction_id = parts
        key = (room_id, transaction_id)
        if key not in self.sent:
            self.sent[key] = f"$sent{len(self.sent)}"
            self.contents.append((room_id, kind, body))
        return Answer(body={"event_id": self.sent[key]})

    def _encryption(self, room_id: str) -> Answer:
        if room_id in self.encrypted:
            return Answer(body={"algorithm": "m.megolm.v1.aes-sha2"})
        return Answer(404, {"errcode": "M_NOT_FOUND", "error": "Event not found."})


def _name(path: str) -> tuple[str, list[str]]:
    """``rooms.send`` for ``/_matrix/client/v3/rooms/{room}/send/…``, with the unescaped parts."""
    parts = [unquote(part) for part in path.split("/")[4:]]
    if parts[0] == "rooms":
        return f"rooms.{parts[2]}", parts
    if parts[0] in ("account", "keys"):
        return f"{parts[0]}.{parts[1]}", parts
    return parts[0], parts


async def _respond(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.fault == "reset":
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    if answer.fault == "truncate":
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response
    return web.Response(status=answer.status, body=body, headers=answer.headers)
