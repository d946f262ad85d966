"""The crypto engine: nio's Olm machine and its store, without nio's client and without network.

nio's client loses the rest of a sync response when one event raises, and takes a failed key sharing
request for a successful one. All keys of a sync response are written in one transaction: after a
kill the store has all of them, and the next sync acknowledges them, or none, and they come again.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from nio.crypto import Olm
from nio.events import MegolmEvent, ToDeviceEvent
from nio.exceptions import EncryptionError
from nio.store import SqliteStore
from peewee import OperationalError  # type: ignore[import-untyped]  # what nio's store raises

from fsm.values.ids import RoomId, UserId
from matrix.api import fields
from matrix.api.errors import StoreFailed, StoreMoved

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

ENCRYPTABLE_TYPES = (
    "m.room.message",
    "m.reaction",
    "m.sticker",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
)
"""Event types that may be encrypted. All others are authorized by the homeserver, which can't see
what is inside an encrypted event."""

IGNORED_TYPE = "strandline.nothing"
"""The type of a decrypted event whose own type may not be encrypted."""


class Crypto:
    """Our device's keys, those of other devices, and of rooms.

    Args:
        user_id: The bot.
        device_id: Its device; each device has a store of its own.
        folder: Where the store is kept.
    """

    def __init__(self, user_id: UserId, device_id: str, folder: Path) -> None:
        self._user_id = user_id
        self._device_id = device_id
        self._path = folder / f"crypto_{quote(device_id, safe='')}.db"
        self._new_keys = asyncio.Event()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.touch(mode=0o600)
        self._load()

    @property
    def path(self) -> Path:
        """The store's file."""
        return self._path

    def close(self) -> None:
        """Close the store."""
        self._store.database.close()

    def receive(self, sync: Json) -> None:
        """Store all that a sync response brings for the engine, in one transaction.

        Raises:
            StoreFailed: It could not be written. The same response can be passed again.
            StoreMoved: Its file was moved.
        """
        try:
            with self._store.database.atomic(), no_panic():
                received = [self._receive_to_device(e) for e in to_device_events(sync)]
                self._note_encryption(sync)
        except Exception as error:
            # The state in memory is ahead of the store, so it is reloaded.
            self._check_file_exists(error)
            self._reload()
            raise StoreFailed(self._path, str(error)) from error
        self._note_key_counts(sync)
        self._note_devices(sync)
        if any(received):
            self._new_keys.set()
            self._new_keys = asyncio.Event()

    def is_encrypted(self, room_id: RoomId) -> bool:
        """Whether the room is known to be encrypted, which can't be undone."""
        return room_id in self._encrypted_rooms

    def mark_encrypted(self, room_ids: Iterable[RoomId]) -> None:
        """Store that these rooms are encrypted.

        Raises:
            StoreFailed: It could not be written.
        """
        fresh = set(room_ids) - self._encrypted_rooms
        if fresh:
            with self.writing():
                self._store.save_encrypted_rooms(fresh)
            self._encrypted_rooms |= fresh

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raise ``StoreFailed`` or ``StoreMoved`` if the engine can't write its store."""
        try:
            yield
        except OperationalError as error:
            self._check_file_exists(error)
            raise StoreFailed(self._path, str(error)) from error

    def decrypt(self, room_id: RoomId, raw: Json) -> Json | None:
        """The event with its clear type and content, or None as long as its key is missing.

        Never raises: an event that makes the engine fail counts as one whose key is missing.
        """
        try:
            with no_panic():
                event = MegolmEvent.from_dict(self._with_sender_key(room_id, raw))
                if not isinstance(event, MegolmEvent):
                    return None
                clear = self.olm.decrypt_megolm_event(event, room_id).source
        except EncryptionError:
            return None
        except Exception as error:  # noqa: BLE001  # hostile input: logged here, read by operators
            _log.warning("an event can't be decrypted", room_id=room_id, problem=_name(error))
            return None
        content = fields.fields(clear, "content")
        if clear.get("type") not in ENCRYPTABLE_TYPES or "state_key" in clear or "state_key" in raw:
            # the homeserver can't check power levels inside: no other type is accepted
            return raw | {"type": IGNORED_TYPE, "content": {}}
        return raw | {"type": clear["type"], "content": content}

    async def wait_for_keys(self) -> None:
        """Wait for a sync response with to-device messages."""
        await self._new_keys.wait()

    def _load(self) -> None:
        try:
            self._store = SqliteStore(
                self._user_id, self._device_id, str(self._path.parent), "", self._path.name
            )
            self.olm = Olm(self._user_id, self._device_id, self._store)
            self._encrypted_rooms: set[str] = set(self._store.load_encrypted_rooms())
        except Exception as error:  # SQLite's and pickle's errors alike: the CLI shows it
            raise StoreFailed(self._path, str(error)) from error

    def _check_file_exists(self, error: Exception) -> None:
        """Raise ``StoreMoved`` if the file is gone: opening it would create one with new keys."""
        if not self._path.exists():
            raise StoreMoved(self._path) from error

    def _reload(self) -> None:
        self._store.database.close()
        self._load()

    def _receive_to_device(self, raw: Json) -> bool:
        """Whether the message was processed.

        One that makes the engine fail is dropped: the sync would bring it again for ever.
        """
        try:
            with self._store.database.atomic(), no_panic():
                event = ToDeviceEvent.parse_event(raw)
                if isinstance(event, ToDeviceEvent):
                    self.olm.handle_to_device_event(event)
        except OperationalError:
            raise  # the store's fault, not the message's
        except Exception as error:  # noqa: BLE001  # anybody can send anything: logged, dropped
            _log.warning(
                "a to-device message is dropped",
                sender=raw.get("sender"),
                type=raw.get("type"),
                problem=_name(error),
            )
            return False
        return True

    def _note_encryption(self, sync: Json) -> None:
        self.mark_encrypted(
            RoomId(room_id)
            for room_id, room in fields.rooms(sync, "join")
            if any(is_encryption(event) for event in room_events(room))
        )

    def _note_key_counts(self, sync: Json) -> None:
        # nio ignores a count of 0, and Synapse omits an algorithm without keys: both mean that no
        # key is left.
        if "device_one_time_keys_count" in sync:
            counts = fields.fields(sync, "device_one_time_keys_count")
            self.olm.uploaded_key_count = fields.number(counts, "signed_curve25519")

    def _note_devices(self, sync: Json) -> None:
        lists = fields.fields(sync, "device_lists")
        changed = lists.get("changed")
        users = {u for u in changed if isinstance(u, str)} if isinstance(changed, list) else set()
        self.olm.add_changed_users(users & self.olm.tracked_users)
        self.olm.collect_key_requests()

    def _with_sender_key(self, room_id: RoomId, raw: Json) -> Json:
        """The event with the fields that newer clients may omit and nio requires."""
        content = fields.fields(raw, "content")
        if "sender_key" in content and "device_id" in content:
            return raw
        session_id = content.get("session_id")
        sender_keys = self.olm.inbound_group_store[room_id].items()
        found = next((key for key, sessions in sender_keys if session_id in sessions), "")
        return raw | {"content": {"sender_key": found, "device_id": ""} | content}


@contextmanager
def no_panic() -> Iterator[None]:
    """Raise a panic of the engine's Rust part as a ``RuntimeError``.

    A panic is a ``BaseException``, which would end the bot. Every call that passes the data of
    others to the engine runs inside this.
    """
    try:
        yield
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":
            raise
        problem = f"the crypto engine panicked: {panic}"
        raise RuntimeError(problem) from panic


def _name(error: Exception) -> str:
    """The error's class name: its text may quote plaintext of the event."""
    return type(error).__name__


def is_encryption(event: Json) -> bool:
    """Whether the event turns encryption on."""
    return event.get("type") == "m.room.encryption" and event.get("state_key") == ""


def to_device_events(sync: Json) -> list[Json]:
    """The to-device messages of a sync response."""
    return fields.objects(sync, "to_device", "events")


def room_events(room: Json) -> list[Json]:
    """State and timeline of a joined room, in order."""
    return fields.objects(room, "state", "events") + fields.objects(room, "timeline", "events")
