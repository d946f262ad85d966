"""A platform of one's own behind the kind of agent ``http``: it echoes, word by word.

    python examples/platform_server.py 8080

It keeps what it has answered by request id. So a bot that dies in the middle of an answer and asks
again after its restart gets the same words, and the work is done once. A restart of the platform
itself forgets them: a real one would keep them on disk.
"""

import asyncio
import json
import sys
from collections import defaultdict
from typing import Any

from aiohttp import web

WORD_SECONDS = 0.2
"""How long it thinks about each word."""


class Platform:
    """Answers, and remembers each chat.

    Attributes:
        answers: What was answered, by request id.
        chats: What was said in each chat.
        asked: How often each request id has come.
    """

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.chats: defaultdict[str, list[str]] = defaultdict(list)
        self.asked: defaultdict[str, int] = defaultdict(int)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """One question, answered as a stream of server-sent events."""
        question = await read(request)
        self.asked[question["request_id"]] += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in self.answer(question).split(" "):
            await send(response, {"text": f"{word} "})
            await asyncio.sleep(WORD_SECONDS)
        await send(response, {}, event="done")
        return response

    def answer(self, question: dict[str, str]) -> str:
        """The answer to the question; the same each time that the same question comes."""
        key = question["request_id"]
        if key not in self.answers:
            chat = self.chats[question["chat_id"]]
            chat.append(question["text"])
            self.answers[key] = f"You have said {len(chat)} things, at last: {question['text']}"
        return self.answers[key]

    async def report(self, _request: web.Request) -> web.Response:
        """How often each question has come, for tests."""
        return web.json_response(self.asked)


async def read(request: web.Request) -> dict[str, str]:
    """The question: JSON, or the first part of a form whose other parts are files."""
    if request.content_type == "application/json":
        found: dict[str, str] = await request.json()
        return found
    form: Any = await request.multipart()
    question: dict[str, str] = await (await form.next()).json()
    while (file := await form.next()) is not None:
        size = 0
        while chunk := await file.read_chunk():
            size += len(chunk)
        question["text"] += f" ({file.filename}: {size} bytes)"
    return question


async def send(response: web.StreamResponse, data: object, event: str = "message") -> None:
    """One server-sent event."""
    await response.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())


def app() -> web.Application:
    """The platform as a web application."""
    platform, application = Platform(), web.Application()
    application.router.add_post("/ask", platform.ask)
    application.router.add_get("/asked", platform.report)
    return application


if __name__ == "__main__":
    web.run_app(app(), host="127.0.0.1", port=int(sys.argv[1]))
