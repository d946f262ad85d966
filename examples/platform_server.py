"""A platform of one's own behind the kind of agent ``http``: it echoes, word by word.

    python examples/platform_server.py 8080

It keeps its answers by request id: a bot that dies in the middle of one gets the same words after
its restart. A restart of the platform itself forgets them: a real one keeps them on disk.
"""

import asyncio
import json
import sys
from collections import defaultdict
from contextlib import suppress
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
        with suppress(ConnectionError):  # the bot hangs up after !stop: so the work ends
            for word in self.answer(question).split(" "):
                await send(response, {"text": f"{word} "})
                await asyncio.sleep(WORD_SECONDS)
            if question["attachments"]:
                file = {"name": "answer.txt", "url": f"/files/{question['request_id']}"}
                await send(response, file, event="file")
            await send(response, {}, event="done")
        return response

    async def file(self, request: web.Request) -> web.Response:
        """An answer as a file."""
        return web.Response(text=self.answers[request.match_info["key"]])

    def answer(self, question: dict[str, Any]) -> str:
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


async def read(request: web.Request) -> dict[str, Any]:
    """The question: JSON, or the first part of a form whose other parts are files."""
    if request.content_type == "application/json":
        return dict(await request.json())
    form: Any = await request.multipart()
    question = dict(await (await form.next()).json())
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
    application.router.add_get("/files/{key:.+}", platform.file)
    return application


if __name__ == "__main__":
    web.run_app(app(), host="127.0.0.1", port=int(sys.argv[1]))
