"""A person whose client encrypts: matrix-nio used as an ordinary client uses it.

It keeps everything that it could decrypt, so that a test can read an encrypted room back.
"""

import asyncio
from pathlib import Path
from typing import Any, Self

from attrs import frozen
from nio import (
    AsyncClient,
    AsyncClientConfig,
    MegolmEvent,
    RoomCreateResponse,
    RoomMessagesResponse,
    RoomSendResponse,
    SyncResponse,
)

from fsm.values.ids import EventId, RoomId, UserId


@frozen
class Seen:
    """One message as this person's client shows it."""

    event_id: EventId
    sender: UserId
    type: str
    body: str
    content: dict[str, Any]


class EncryptedPerson:
    """Someone with one device that encrypts."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._readable: dict[str, Seen] = {}
        self._since: str | None = None
        self._syncing = asyncio.Lock()

    @classmethod
    async def arrive(cls, url: str, user_id: UserId, password: str, store: Path) -> Self:
        """Log in and upload keys."""
        store.mkdir(parents=True, exist_ok=True)
        config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=False)
        client = AsyncClient(url, user_id, store_path=str(store), config=config)
        await client.login(password)
        person = cls(client)
        await person.sync()
        return person

    @property
    def user_id(self) -> UserId:
        return UserId(self._client.user_id)

    async def close(self) -> None:
        await self._client.close()

    async def sync(self, timeout_ms: int = 0) -> None:
        """One sync with all that belongs to it."""
        async with self._syncing:
            answer = await self._client.sync(
                timeout=timeout_ms, since=self._since, full_state=self._since is None
            )
            assert isinstance(answer, SyncResponse), answer
            self._since = answer.next_batch
            for room_id, room in answer.rooms.join.items():
                for event in room.timeline.events:
                    self._note(room_id, event)
            await self._client.send_to_device_messages()
            if self._client.should_upload_keys:
                await self._client.keys_upload()
            if self._client.should_query_keys:
                await self._client.keys_query()
            if self._client.should_claim_keys:
                await self._client.keys_claim(self._client.get_users_for_key_claiming())

    def _note(self, room_id: str, event: Any) -> None:
        source = event.source
        if isinstance(event, MegolmEvent) or source.get("type") != "m.room.message":
            return
        content = source.get("content", {})
        self._readable[event.event_id] = Seen(
            EventId(event.event_id),
            UserId(event.sender),
            source["type"],
            str(content.get("body", "")),
            content,
        )
        del room_id

    async def create_room(self, invite: list[UserId]) -> RoomId:
        """An encrypted room."""
        answer = await self._client.room_create(
            invite=invite,
            initial_state=[
                {
                    "type": "m.room.encryption",
                    "state_key": "",
                    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
                }
            ],
        )
        assert isinstance(answer, RoomCreateResponse), answer
        await self.sync()
        return RoomId(answer.room_id)

    async def say(self, room_id: RoomId, text: str) -> EventId:
        """Send a text, encrypted for every device in the room."""
        return await self.send(room_id, {"msgtype": "m.text", "body": text})

    async def send(self, room_id: RoomId, content: dict[str, Any]) -> EventId:
        """Send a message, encrypted for every device in the room."""
        await self.sync()
        async with self._syncing:
            answer = await self._client.room_send(
                room_id, "m.room.message", content, ignore_unverified_devices=True
            )
        assert isinstance(answer, RoomSendResponse), answer
        return EventId(answer.event_id)

    def sealed(self, room_id: RoomId, clear: str) -> dict[str, Any]:
        """The content of an encrypted event that says this, for a room where it has spoken."""
        session = self._client.olm.outbound_group_sessions[room_id]
        session.message_count = 0  # it would be replaced after a hundred
        return {
            "algorithm": "m.megolm.v1.aes-sha2",
            "sender_key": self._client.olm.account.identity_keys["curve25519"],
            "ciphertext": session.encrypt(clear),
            "session_id": session.id,
            "device_id": self._client.device_id,
        }

    async def timeline(self, room_id: RoomId) -> list[Seen]:
        """Every message of the room that this client can read, in the homeserver's order."""
        await self.sync()
        start: str | None = None
        events: list[Seen] = []
        while True:
            page = await self._client.room_messages(room_id, start, limit=100)
            assert isinstance(page, RoomMessagesResponse), page
            for event in page.chunk:
                readable = event
                if isinstance(event, MegolmEvent) and event.event_id not in self._readable:
                    event.room_id = room_id
                    try:
                        readable = self._client.decrypt_event(event)
                    except Exception:  # noqa: BLE001, S112  # unreadable to this client too
                        continue
                self._note(room_id, readable)
                if event.event_id in self._readable:
                    events.append(self._readable[event.event_id])
            if not page.end or page.end == start:
                return events[::-1]
            start = page.end
