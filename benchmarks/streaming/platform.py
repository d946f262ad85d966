"""An agent that says so many words a second, and remembers when it began and ended each answer.

    python -m benchmarks.streaming.platform PORT WORDS WORDS_A_SECOND

It speaks the protocol of the kind of agent ``http``, and answers ``GET /times`` with a JSON object:
for each request id, when its first and its last word left, as Unix time in seconds.
"""

import asyncio
import json
import sys
import time
from itertools import count

from aiohttp import web


def app(words: int, words_a_second: float) -> web.Application:
    """The agent as a web application."""
    times: dict[str, list[float]] = {}
    text = [f"{number} {'tide' if number % 9 else 'shore.'} " for number in range(words)]

    async def ask(request: web.Request) -> web.StreamResponse:
        key = (await request.json())["request_id"]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        began = time.monotonic()
        times[key] = [time.time()]
        for number, word in zip(count(1), text, strict=False):
            await response.write(f"data: {json.dumps({'text': word})}\n\n".encode())
            await asyncio.sleep(max(0.0, began + number / words_a_second - time.monotonic()))
        times[key].append(time.time())
        await response.write(b"event: done\ndata: {}\n\n")
        return response

    async def tell(_request: web.Request) -> web.Response:
        return web.json_response(times)

    application = web.Application()
    application.router.add_post("/ask", ask)
    application.router.add_get("/times", tell)
    return application


if __name__ == "__main__":
    port, words, pace = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    web.run_app(app(words, pace), host="127.0.0.1", port=port, print=None)
