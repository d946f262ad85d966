"""The crypto engine: nio's Olm machine and its store, without nio's client and without network.

nio's client is not used, because it loses the rest of a sync response when one event raises an
exception, and takes a failed request to share keys for a successful one. All keys of a sync
response are stored in one transaction. If the process is killed before the commit, the homeserver
sends the same keys again; after the commit, the next sync request acknowledges them.
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
"""Event types that are accepted inside an encrypted event. Every other type must be sent in
plaintext: only then can the homeserver check whether the sender may send it."""

IGNORED_TYPE = "strandline.nothing"
"""The type given to a decrypted event whose own type is not accepted inside an encrypted event."""


class Crypto:
    """Stores the keys of our device, of other devices and of rooms, and decrypts events.

    Args:
        user_id: The bot's user id.
        device_id: The id of the bot's device. Each device has its own store.
        folder: The folder of the store.

    Attributes:
        olm: nio's Olm machine. It is replaced when the store is reloaded after an error.
    """

    def __init__(self, user_id: UserId, device_id: str, folder: Path) -> None:
        self._user_id = user_id
        self._device_id = device_id
        self._path = folder / f"crypto_{quote(device_id, safe='')}.db"
        self._new_to_device = asyncio.Event()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.touch(mode=0o600)
        self._load()

    @property
    def path(self) -> Path:
        """The file of the crypto store."""
        return self._path

    def close(self) -> None:
        """Close the store."""
        self._store.database.close()

    def receive(self, sync: Json) -> None:
        """Process everything in a sync response that concerns encryption.

        To-device messages and newly encrypted rooms are stored in one transaction. Then the number
        of our published one-time keys and the users with changed devices are noted in memory.

        Raises:
            StoreFailed: The store could not be written. Pass the same response again.
            StoreMoved: The file of the store was moved away.
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
            self._new_to_device.set()
            self._new_to_device = asyncio.Event()

    def is_encrypted(self, room_id: RoomId) -> bool:
        """Return whether the room is known to be encrypted.

        True is final, because encryption can't be turned off. False may mean that it is not known
        yet.
        """
        return room_id in self._encrypted_rooms

    def mark_encrypted(self, room_ids: Iterable[RoomId]) -> None:
        """Store that these rooms are encrypted.

        Raises:
            StoreFailed: The store could not be written.
            StoreMoved: The file of the store was moved away.
        """
        fresh = set(room_ids) - self._encrypted_rooms
        if fresh:
            with self.writing():
                self._store.save_encrypted_rooms(fresh)
            self._encrypted_rooms |= fresh

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raise ``StoreFailed`` or ``StoreMoved`` if the ``with`` body can't write the store."""
        try:
            yield
        except OperationalError as error:
            self._check_file_exists(error)
            raise StoreFailed(self._path, str(error)) from error

    def decrypt(self, room_id: RoomId, raw: Json) -> Json | None:
        """Return the event with its decrypted type and content; None if it can't be decrypted.

        Usually the event's key has not arrived yet; then decryption may succeed later. Never
        raises: if the crypto engine fails, that is logged and the result is None. If the decrypted
        type is not accepted inside an encrypted event, it is replaced by ``IGNORED_TYPE``.

        Args:
            room_id: The room of the event.
            raw: The encrypted event.
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

    async def wait_for_to_device(self) -> None:
        """Wait until a sync response brings to-device messages, which may contain room keys."""
        await self._new_to_device.wait()

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
        """Raise ``StoreMoved`` if the file of the store is gone.

        Opening the store would otherwise create a new file with other keys.
        """
        if not self._path.exists():
            raise StoreMoved(self._path) from error

    def _reload(self) -> None:
        self._store.database.close()
        self._load()

    def _receive_to_device(self, raw: Json) -> bool:
        """Process a to-device message, and return whether that succeeded.

        A message on which the crypto engine fails is dropped: the homeserver would send it again in
        every sync response.
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
        """Return the event with ``sender_key`` and ``device_id`` in its content.

        Newer clients may omit these fields, and nio requires them.
        """
        content = fields.fields(raw, "content")
        if "sender_key" in content and "device_id" in content:
            return raw
        session_id = content.get("session_id")
        sender_keys = self.olm.inbound_group_store[room_id].items()
        found = next((key for key, sessions in sender_keys if session_id in sessions), "")
        return raw | {"content": {"sender_key": found, "device_id": ""} | content}


@contextmanager
def no_panic() -> Iterator[None]:
    """Raise a panic of the crypto engine's Rust code as a ``RuntimeError``.

    A panic is a ``BaseException``, which would end the bot. Every call that passes other users'
    data to the engine runs in this context manager.
    """
    try:
        yield
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":
            raise
        problem = f"the crypto engine panicked: {panic}"
        raise RuntimeError(problem) from panic


def _name(error: Exception) -> str:
    """Return the error's class name to log; the error's text may quote the event's plaintext."""
    return type(error).__name__


def is_encryption(event: Json) -> bool:
    """Return whether the event turns on the encryption of its room."""
    return event.get("type") == "m.room.encryption" and event.get("state_key") == ""


def to_device_events(sync: Json) -> list[Json]:
    """The to-device messages of a sync response."""
    return fields.objects(sync, "to_device", "events")


def room_events(room: Json) -> list[Json]:
    """Return the state and then the timeline events in a joined room's part of a sync response."""
    return fields.objects(room, "state", "events") + fields.objects(room, "timeline", "events")
