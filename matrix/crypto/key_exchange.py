"""Key exchange: publishes our keys, queries those of other devices, and shares room keys."""

import asyncio
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import structlog
from nio.responses import (
    ErrorResponse,
    KeysClaimResponse,
    KeysQueryResponse,
    KeysUploadResponse,
    ToDeviceResponse,
)

from fsm.failpoints import reach
from fsm.values.ids import RoomId
from matrix.api import fields
from matrix.api.errors import MatrixError, NotEncryptable, Refused, StoreFailed
from matrix.api.fields import mapping
from matrix.api.http import HomeserverHttp, endpoint
from matrix.crypto.olm import Crypto, no_panic

_log = structlog.get_logger(__name__)

Json = dict[str, Any]
Recipients = frozenset[tuple[str, str, str]]

KEYS_TIMEOUT_MS = 10_000
"""How long the homeserver may wait for other homeservers in a key query or claim."""


QUERY_RETRY_SECONDS = 60.0
"""How long key queries leave out a user after that user's homeserver did not answer."""


class KeyExchange:
    """Makes the requests for encryption keys that the crypto engine needs.

    Args:
        http: The HTTP client of the homeserver.
        crypto: The crypto engine.
        new_id: Returns a new transaction id for a to-device message.
        monotonic: Returns a monotonic clock's time in seconds.
    """

    def __init__(
        self,
        http: HomeserverHttp,
        crypto: Crypto,
        *,
        new_id: Callable[[], str] = lambda: uuid4().hex,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._crypto = crypto
        self._new_id = new_id
        self._monotonic = monotonic
        self._query_lock = asyncio.Lock()
        self._members: dict[RoomId, list[str]] = {}
        self._shared: dict[RoomId, tuple[str, Recipients]] = {}
        self._locks: dict[RoomId, asyncio.Lock] = {}
        self._no_query_before: dict[str, float] = {}

    async def exchange_keys(self) -> None:
        """Make the requests that are due after a sync.

        These are, in this order: send queued to-device messages, publish our keys, query the keys
        of changed devices, and claim one-time keys. A request that fails is logged; the next call
        makes it again.
        """
        for part in (self._send_queued, self._upload, self._query_changed, self._claim_wanted):
            await self._attempt(part)

    def members_changed(self, room_id: RoomId) -> None:
        """Drop the cached members of the room.

        They are requested again before the next event is encrypted for the room.
        """
        self._members.pop(room_id, None)

    def forget(self, room_id: RoomId) -> None:
        """Drop all cached data of a room that the bot has left."""
        self._members.pop(room_id, None)
        self._shared.pop(room_id, None)
        lock = self._locks.get(room_id)
        if lock is not None and not lock.locked():
            del self._locks[room_id]

    @property
    def are_published(self) -> bool:
        """Whether our device's keys were published, according to the crypto engine."""
        return bool(self._crypto.olm.account.shared)

    def republish_keys(self) -> None:
        """Make the next ``exchange_keys`` publish our keys again.

        The homeserver may have deleted them together with the revoked access token.
        """
        self._crypto.olm.account.shared = False

    async def encrypt(self, room_id: RoomId, event_type: str, content: Json) -> tuple[str, Json]:
        """Encrypt an event for the room's members, and return the new event type and content.

        First the room key is shared with those members' devices that need it.

        Raises:
            NotEncryptable: The crypto engine failed.
            MatrixError: A request for keys failed, or the crypto store can't be used.
        """
        async with self._locks.setdefault(room_id, asyncio.Lock()):
            olm = self._crypto.olm
            try:
                with self._crypto.writing(), no_panic():
                    await self._share(room_id)
                    return "m.room.encrypted", self._encrypted(room_id, event_type, content)
            except MatrixError:
                raise
            except (
                Exception
            ) as error:  # the engine's errors have no base class: parked with its text
                if self._crypto.olm is not olm:
                    problem = "it was reloaded while keys were shared"
                    raise StoreFailed(self._crypto.path, problem) from error
                raise NotEncryptable(room_id, str(error) or repr(error)) from error

    async def _attempt(self, part: Callable[[], Awaitable[None]]) -> None:
        try:
            with no_panic():
                await part()
        except MatrixError as error:
            _log.info("key exchange postponed", step=part.__name__, problem=str(error))
        except Exception as error:  # noqa: BLE001  # keys of others can be anything: logged
            _log.warning("key exchange failed", step=part.__name__, problem=repr(error))

    async def _send_queued(self) -> None:
        for message in list(self._crypto.olm.outgoing_to_device_messages):
            await self._to_device(message.type, message.as_dict())
            self._crypto.olm.handle_response(ToDeviceResponse(message))

    async def _upload(self) -> None:
        olm = self._crypto.olm
        if not olm.should_upload_keys:
            return
        body = olm.share_keys()
        # Saved before they are published: without its private key, a message that is encrypted
        # with a published key would be lost after a kill.
        olm.save_account()
        reach("keys.upload.before")
        try:
            answer = await self._http.request("POST", endpoint("keys", "upload"), body=body)
        except Refused:
            olm.mark_keys_as_published()
            olm.save_account()
            raise
        reach("keys.upload.after")
        response = KeysUploadResponse.from_dict(answer)
        if not isinstance(response, ErrorResponse):
            olm.handle_response(response)

    async def _query_changed(self) -> None:
        await self._query(set(self._crypto.olm.users_for_key_query))

    async def _claim_wanted(self) -> None:
        olm = self._crypto.olm
        if olm.wedged_devices or olm.key_request_devices_no_session:
            await self._claim(olm.get_users_for_key_claiming())

    async def _query(self, users: set[str]) -> None:
        users = {
            user for user in users if self._no_query_before.get(user, 0.0) <= self._monotonic()
        }
        if not users:
            return
        async with self._query_lock:
            wanted: Json = {user: [] for user in sorted(users)}
            body = {"device_keys": wanted, "timeout": KEYS_TIMEOUT_MS}
            answer = await self._http.request("POST", endpoint("keys", "query"), body=body)
        found = mapping(answer.get("device_keys"))
        for user in users:
            if user in found:
                self._no_query_before.pop(user, None)
                self._take_devices(user, usable_devices(user, found[user]))
            else:
                # their homeserver is unreachable: their devices have not changed
                self._no_query_before[user] = self._monotonic() + QUERY_RETRY_SECONDS
                self._crypto.olm.users_for_key_query.add(user)

    def _take_devices(self, user: str, devices: Json) -> None:
        """Pass one user's devices, as a key query returned them, to the crypto engine.

        Users are processed one at a time: invalid keys of one user must not affect the others.
        """
        olm = self._crypto.olm
        olm.users_for_key_query.discard(user)
        olm.tracked_users.add(user)
        try:
            with self._crypto.writing(), no_panic():
                olm.handle_response(KeysQueryResponse({user: devices}, {}))
        except StoreFailed:
            olm.users_for_key_query.add(user)
            raise
        except Exception as error:  # noqa: BLE001  # logged; this user's devices get no keys
            _log.warning("a user's device keys can't be used", user_id=user, problem=repr(error))

    async def _claim(self, wanted: dict[str, list[str]]) -> None:
        keys = {u: dict.fromkeys(devices, "signed_curve25519") for u, devices in wanted.items()}
        body = {"one_time_keys": keys, "timeout": KEYS_TIMEOUT_MS}
        answer = await self._http.request("POST", endpoint("keys", "claim"), body=body)
        for user, devices in mapping(answer.get("one_time_keys")).items():
            for device, key in mapping(devices).items():
                if is_one_time_key(user, device, key):
                    self._take_claimed(user, device, mapping(key))

    def _take_claimed(self, user: str, device: str, key: Json) -> None:
        try:
            with no_panic():
                self._crypto.olm.handle_response(KeysClaimResponse({user: {device: key}}, {}))
        except Exception as error:  # noqa: BLE001  # logged; this device gets no keys
            _log.warning("a device's key can't be used", user_id=user, problem=repr(error))

    async def _share(self, room_id: RoomId) -> None:
        """Ensure that all devices of the room's members have the key of its outbound session.

        If the members' devices have changed since the key was shared, or if the session has
        expired, a new session is created and its key is sent to all of them. Otherwise nothing is
        sent.
        """
        olm = self._crypto.olm
        members = await self._joined(room_id)
        await self._query(set(members) & olm.users_for_key_query | set(members) - olm.tracked_users)
        recipients = self._recipients(members)
        session = olm.outbound_group_sessions.get(room_id)
        known = (session.id, recipients) if session is not None else None
        if known == self._shared.get(room_id) and not olm.should_share_group_session(room_id):
            return
        missing = olm.get_missing_sessions(members)
        if missing:
            await self._claim(missing)
        olm.create_outbound_group_session(room_id)
        for sharing_with, body in olm.share_group_session_parallel(
            room_id, members, ignore_unverified_devices=True
        ):
            await self._to_device("m.room.encrypted", body)
            olm.outbound_group_sessions[room_id].users_shared_with.update(sharing_with)
        session = olm.outbound_group_sessions[room_id]
        session.shared = True
        self._shared[room_id] = (session.id, recipients)

    def _recipients(self, members: list[str]) -> Recipients:
        devices = self._crypto.olm.device_store
        return frozenset(
            (user, device.id, device.curve25519)
            for user in members
            for device in devices.active_user_devices(user)
        )

    async def _joined(self, room_id: RoomId) -> list[str]:
        if room_id not in self._members:
            path = endpoint("rooms", room_id, "joined_members")
            answer = await self._http.request("GET", path)
            self._members[room_id] = sorted(mapping(answer.get("joined")))
        return self._members[room_id]

    async def _to_device(self, event_type: str, body: Json) -> None:
        path = endpoint("sendToDevice", event_type, self._new_id())
        await self._http.request("PUT", path, body=body)

    def _encrypted(self, room_id: RoomId, event_type: str, content: Json) -> Json:
        """Return the encrypted content of an event, as nio makes it but with unescaped UTF-8.

        The escapes in nio's JSON triple the size of Cyrillic text.
        """
        olm = self._crypto.olm
        session = olm.outbound_group_sessions[room_id]
        plaintext = json.dumps(
            {"type": event_type, "content": content, "room_id": room_id},
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        )
        encrypted: Json = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "sender_key": olm.account.identity_keys["curve25519"],
            "ciphertext": session.encrypt(plaintext),
            "session_id": session.id,
            "device_id": olm.device_id,
        }
        # In plaintext, so that the homeserver aggregates replies and edits.
        if "m.relates_to" in content:
            encrypted["m.relates_to"] = content["m.relates_to"]
        return encrypted


_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{86}")


def usable_devices(user: str, raw: object) -> Json:
    """Return the devices of a user that have valid keys, by device id.

    Args:
        user: The user's id.
        raw: The user's part of a response to ``/keys/query``.
    """
    return {
        device: keys | {"unsigned": _display_name(keys)}
        for device, keys in fields.mapping(raw).items()
        if _is_device(user, device, keys)
    }


def is_one_time_key(user: str, device: str, raw: object) -> bool:
    """Return whether ``raw`` is exactly one signed key of the device.

    Args:
        user: The id of the device's user.
        device: The device's id.
        raw: The device's part of a response to ``/keys/claim``.
    """
    keys = [fields.mapping(key) for key in fields.mapping(raw).values()]
    return len(keys) == 1 and _is_key(keys[0], "key") and _is_signed(keys[0], user, device)


def _is_device(user: str, device: str, raw: object) -> bool:
    device_keys = fields.mapping(raw)
    keys = fields.fields(device_keys, "keys")
    return (
        (device_keys.get("user_id"), device_keys.get("device_id")) == (user, device)
        and _is_key(keys, f"ed25519:{device}")
        and _is_key(keys, f"curve25519:{device}")
        and _is_signed(device_keys, user, device)
    )


def _display_name(device_keys: Json) -> Json:
    name = fields.text(fields.fields(device_keys, "unsigned"), "device_display_name")
    return {} if name is None else {"device_display_name": name}


def _is_signed(raw: Json, user: str, device: str) -> bool:
    signature = fields.text(fields.fields(raw, "signatures", user), f"ed25519:{device}")
    return signature is not None and _SIGNATURE.fullmatch(signature) is not None


def _is_key(raw: Json, name: str) -> bool:
    """Return whether the value under ``name`` is a key: 32 bytes in unpadded Base64.

    The unused last bits of the Base64 text must be zero.
    """
    text = fields.text(raw, name)
    if text is None or not _KEY.fullmatch(text):
        return False
    return b64encode(b64decode(f"{text}=")) == f"{text}=".encode()
