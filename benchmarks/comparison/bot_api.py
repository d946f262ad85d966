"""A server that speaks the part of Telegram's Bot API which a bot with long polling needs.

As Telegram documents ``getUpdates``: an update stays until a later request's offset is above its
number, so who is killed before that request is given it again. (After 24 hours Telegram drops it.)
"""

import asyncio
import json
from itertools import count
from typing import Any

from aiohttp import web
from attrs import define, field

TOKEN = "1:a-bot"  # noqa: S105  # nobody checks it

_BOT = {"id": 1, "is_bot": True, "first_name": "Form", "username": "form_bot"}


@define
class BotApi:
    """One bot's updates, and what it has said in its chats.

    Args:
        said: Per chat, what the bot has sent, oldest first.
    """

    said: dict[int, list[str]] = field(factory=dict)
    _waiting: list[dict[str, Any]] = field(factory=list)
    _update_ids: "count[int]" = field(factory=lambda: count(1))
    _message_ids: "count[int]" = field(factory=lambda: count(1))
    _news: asyncio.Condition = field(factory=asyncio.Condition)
    _runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1."""
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def say(self, chat: int, text: str) -> None:
        """A person writes to the bot."""
        message = self._message(chat, text)
        message["from"] = {"id": chat, "is_bot": False, "first_name": f"Person {chat}"}
        if text.startswith("/"):
            length = len(text.split(maxsplit=1)[0])
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        async with self._news:
            self._waiting.append({"update_id": next(self._update_ids), "message": message})
            self._news.notify_all()

    async def _answer(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = dict(request.query)
        try:
            asked |= await request.post()
        except ConnectionResetError:
            return web.Response(status=400)  # the bot was killed while it said this
        match request.match_info["method"].lower():
            case "getme":
                result: Any = _BOT
            case "getupdates":
                result = await self._updates(int(asked.get("offset", 0)), _seconds(asked))
            case "sendmessage":
                chat, text = int(asked["chat_id"]), str(asked["text"])
                result = {**self._message(chat, text), "from": _BOT}
                self.said.setdefault(chat, []).append(text)
            case _:
                result = True
        return web.Response(
            text=json.dumps({"ok": True, "result": result}), content_type="application/json"
        )

    async def _updates(self, offset: int, timeout_seconds: float) -> list[dict[str, Any]]:
        self._waiting = [update for update in self._waiting if update["update_id"] >= offset]
        try:
            async with self._news, asyncio.timeout(timeout_seconds):
                await self._news.wait_for(lambda: self._after(offset))
        except TimeoutError:
            pass
        return self._after(offset)[:100]

    def _after(self, offset: int) -> list[dict[str, Any]]:
        return [update for update in self._waiting if update["update_id"] >= offset]

    def _message(self, chat: int, text: str) -> dict[str, Any]:
        return {
            "message_id": next(self._message_ids),
            "date": 1_700_000_000,
            "chat": {"id": chat, "type": "private", "first_name": f"Person {chat}"},
            "text": text,
        }


def _seconds(asked: dict[str, Any]) -> float:
    return max(0.01, float(asked.get("timeout", 0)))
