"""A plain matrix-nio bot, as nio's documentation writes one, to compare with.

Its session is restored from a file, its sync token is kept by nio (``store_sync_tokens=True``,
which needs the crypto store), events come through callbacks, answers leave through ``room_send``.
The number of a room's chat is committed to SQLite before it is used. What an answer takes is the
``delay_seconds`` of the first agent in the config.
"""

import argparse
import asyncio
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from nio import (
    AsyncClient,
    AsyncClientConfig,
    InviteMemberEvent,
    LoginResponse,
    MatrixRoom,
    RoomMessageText,
    SyncResponse,
)


class PlainBot:
    """Echoes every text."""

    def __init__(self, client: AsyncClient, database: Path, *, delay_seconds: float) -> None:
        self._client = client
        self._delay_seconds = delay_seconds
        self._db = sqlite3.connect(database)
        self._db.execute("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value TEXT)")
        self._db.commit()
        self._is_ready = False

    async def run(self) -> None:
        self._client.add_event_callback(self._invited, InviteMemberEvent)
        self._client.add_event_callback(self._heard, RoomMessageText)
        self._client.add_response_callback(self._synced, SyncResponse)
        await self._client.sync_forever(timeout=30000, full_state=True)

    async def _invited(self, room: MatrixRoom, event: InviteMemberEvent) -> None:
        if event.state_key == self._client.user_id:
            await self._client.join(room.room_id)

    async def _heard(self, room: MatrixRoom, event: RoomMessageText) -> None:
        if event.sender == self._client.user_id:
            return
        await asyncio.sleep(self._delay_seconds)
        content = {
            "msgtype": "m.text",
            "body": f"[agent-1 · chat {self._chat(room.room_id)}] {event.body}",
            "m.relates_to": {"m.in_reply_to": {"event_id": event.event_id}},
        }
        await self._client.room_send(
            room.room_id, "m.room.message", content, ignore_unverified_devices=True
        )

    async def _synced(self, _response: SyncResponse) -> None:
        if not self._is_ready:
            self._is_ready = True
            ready = {"event": "ready", "timestamp": datetime.now(UTC).isoformat()}
            print(json.dumps(ready), flush=True)  # noqa: T201  # the driver reads it

    def _chat(self, room_id: str) -> str:
        key = f"matrix_room:{room_id}"
        row = self._db.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        if row is None:
            (rooms,) = self._db.execute("SELECT count(*) FROM kv").fetchone()
            row = (json.dumps({"platform_chat_id": str(rooms + 1)}),)
            self._db.execute("INSERT INTO kv VALUES (?, ?)", (key, *row))
            self._db.commit()
        return str(json.loads(row[0])["platform_chat_id"])


async def main() -> None:
    """Log in once, and echo until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    path = parser.parse_args().config
    config = yaml.safe_load(path.read_text())
    delay = config["agents"][0].get("options", {}).get("delay_seconds", 0.0)
    data = path.parent / "data"
    data.mkdir(exist_ok=True)
    client = await _client(config["homeserver"], data)
    try:
        await PlainBot(client, data / "lambda_matrix.db", delay_seconds=delay).run()
    finally:
        await client.close()


async def _client(homeserver: dict[str, Any], data: Path) -> AsyncClient:
    client = AsyncClient(
        homeserver["url"],
        homeserver["user_id"],
        store_path=str(data),
        config=AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True),
    )
    session = data / "session.json"
    if session.exists():
        client.restore_login(**json.loads(session.read_text()))
        return client
    answer = await client.login(homeserver["password"])
    assert isinstance(answer, LoginResponse), answer
    kept = {
        "user_id": answer.user_id,
        "device_id": answer.device_id,
        "access_token": answer.access_token,
    }
    session.write_text(json.dumps(kept))
    return client


if __name__ == "__main__":
    asyncio.run(main())
