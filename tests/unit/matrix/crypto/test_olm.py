from pathlib import Path
from typing import Any

import pytest
from nio.responses import KeysClaimResponse, KeysQueryResponse
from structlog.testing import capture_logs
from vodozemac import Ed25519PublicKey

from fsm.values.ids import RoomId, UserId
from fsm.values.inbound import EventKind
from matrix import Homeserver, StoreFailed
from matrix.crypto.olm import Crypto, no_panic
from tests.support.fakes.homeserver import BOT, Answer, ScriptedHomeserver
from tests.support.sync_answers import (
    ALICE,
    ENCRYPTION,
    ROOM,
    Harbour,
    Json,
    joined,
    send,
    settings,
    text,
)


class Alice:
    """A person's device: the same engine, driven by hand."""

    def __init__(self, folder: Path, bot_keys: Json) -> None:
        self.crypto = Crypto(UserId(ALICE), "ALICE", folder)
        olm = self.crypto.olm
        olm.account.shared = False
        self.own_keys: Json = olm.share_keys()
        olm.handle_response(KeysQueryResponse({BOT: {"DEVICE": bot_keys["device_keys"]}}, {}))
        one_time = dict([next(iter(bot_keys["one_time_keys"].items()))])
        olm.handle_response(KeysClaimResponse({BOT: {"DEVICE": one_time}}, {}))
        olm.create_outbound_group_session(ROOM)
        [(_, shared)] = olm.share_group_session_parallel(ROOM, [BOT], True)
        olm.outbound_group_sessions[ROOM].shared = True
        self.room_key: Json = {
            "type": "m.room.encrypted",
            "sender": ALICE,
            "content": shared["messages"][BOT]["DEVICE"],
        }

    def event(self, body: str, event_id: str, **left_out: Any) -> Json:
        clear = {"type": "m.room.message", "content": {"msgtype": "m.text", "body": body}}
        return self.sealed(clear, event_id, **left_out)

    def sealed(self, clear: Json, event_id: str, **left_out: Any) -> Json:
        sealed = self.crypto.olm.group_encrypt(ROOM, clear)
        content = {name: value for name, value in sealed.items() if name not in left_out}
        return text("", event_id) | {"type": "m.room.encrypted", "content": content}

    def reads(self, content: Json) -> Json:
        sealed = text("", "$r", sender=BOT) | {"type": "m.room.encrypted", "content": content}
        clear = self.crypto.decrypt(ROOM, sealed)
        assert clear is not None
        return clear


@pytest.fixture
async def alice(server: ScriptedHomeserver, homeserver: Homeserver, tmp_path: Path) -> Alice:
    await homeserver.exchange_keys()
    return Alice(tmp_path / "alice", server.asked("keys.upload")[0].body)


async def test_an_encrypted_text_is_read(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    keys = {"to_device": {"events": [alice.room_key]}}
    await server.syncs(joined(alice.event("secret", "$1")) | keys)

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["secret"]


@pytest.mark.parametrize(
    "clear",
    [
        {"type": "m.room.redaction", "content": {"redacts": "$victim"}, "redacts": "$victim"},
        {"type": "m.room.tombstone", "content": {"replacement_room": "!x"}},
        {"type": "m.room.member", "state_key": BOT, "content": {"membership": "join"}},
        {"type": "m.room.message", "state_key": "", "content": {"msgtype": "m.text", "body": "x"}},
        {"type": [], "content": []},
    ],
)
async def test_nothing_but_messages_and_reactions_comes_out_of_the_seal(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice, clear: Json
) -> None:
    """The homeserver holds no power level against what it can't read."""
    keys = {"to_device": {"events": [alice.room_key]}}
    await server.syncs(joined(alice.sealed(clear, "$1"), alice.event("after", "$2")) | keys)

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["after"]
    assert not harbour.amendments


async def test_a_text_without_the_fields_that_are_going_out_of_use_is_read(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    keys = {"to_device": {"events": [alice.room_key]}}
    event = alice.event("modern", "$1", sender_key=..., device_id=...)
    await server.syncs(joined(event) | keys)

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["modern"]


async def test_a_text_whose_key_comes_later_is_read_then(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    await server.syncs(joined(alice.event("patience", "$1"), state=[ENCRYPTION]))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)
        unreadable = harbour.arrived[0]
        await server.syncs({"next_batch": "s2", "to_device": {"events": [alice.room_key]}})
        late = await harbour.reader.decrypt_later(unreadable)

    assert late is not None
    assert (unreadable.kind, late.kind, late.body) == (
        EventKind.UNREADABLE,
        EventKind.TEXT,
        "patience",
    )


async def test_poison_beside_a_key_does_not_cost_the_key(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    poison = alice.room_key | {"content": alice.room_key["content"] | {"sender_key": "?"}}
    own = next(iter(alice.room_key["content"]["ciphertext"]))
    poison = poison | {
        "content": poison["content"] | {"ciphertext": {own: {"type": 0, "body": "AA"}}}
    }
    keys = {"to_device": {"events": [poison, alice.room_key, poison]}}
    await server.syncs(joined(alice.event("fine", "$1")) | keys)

    with capture_logs() as logs:
        async with Harbour(homeserver).at_work() as harbour:
            await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["fine"]
    assert sum(e["event"] == "a to-device message is dropped" for e in logs) == 2


async def test_keys_are_there_after_a_restart_and_events_can_be_read_again(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    async with Homeserver.connect(settings(server), tmp_path / "s") as homeserver:
        await homeserver.exchange_keys()
        alice = Alice(tmp_path / "alice", server.asked("keys.upload")[0].body)
        event = alice.event("twice", "$1")
        homeserver.receive({"to_device": {"events": [alice.room_key]}})
        first = homeserver.decrypted(ROOM, event)
        homeserver.receive({"to_device": {"events": [alice.room_key]}})
        again = homeserver.decrypted(ROOM, event)

    async with Homeserver.connect(settings(server), tmp_path / "s") as homeserver:
        homeserver.receive({"to_device": {"events": [alice.room_key]}})
        restarted = homeserver.decrypted(ROOM, event)

    assert first["content"]["body"] == "twice"
    assert first == again == restarted


async def test_keys_that_could_not_be_stored_are_asked_for_again(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    database = homeserver._crypto._store.database  # noqa: SLF001
    database.execute_sql("PRAGMA query_only = ON")
    keys = {"to_device": {"events": [alice.room_key]}}
    await server.syncs(joined(alice.event("kept", "$1")) | keys)
    await server.syncs(joined(alice.event("kept", "$1")) | keys)

    with capture_logs() as logs:
        async with Harbour(homeserver).at_work() as harbour:
            await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["kept"]
    assert any("keys can't be stored" in entry["event"] for entry in logs)


async def test_a_homeserver_that_is_away_costs_nobody_their_devices(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    devices = {"device_keys": {ALICE: {"ALICE": alice.own_keys["device_keys"]}}}
    name, key = next(iter(alice.own_keys["one_time_keys"].items()))
    claimed = {"one_time_keys": {ALICE: {"ALICE": {name: key}}}}
    away = Answer(body={"device_keys": {}, "failures": {"test": {}}})
    await server.script("keys.query", Answer(body=devices), away)
    await server.script("keys.claim", Answer(body=claimed))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("1", "t1")])
        await harbour.delivery.drained()
        homeserver._crypto.olm.users_for_key_query.add(ALICE)  # noqa: SLF001
        harbour.delivery.submit([send("2", "t2"), send("3", "t3")])
        await harbour.delivery.drained()

    known = homeserver._crypto.olm.device_store.active_user_devices(ALICE)  # noqa: SLF001
    assert [device.id for device in known] == ["ALICE"]
    # asked once in vain, and then not again for a while
    assert len([r for r in server.asked("keys.query") if ALICE in r.body["device_keys"]]) == 2


async def test_a_reply_is_readable_for_the_devices_in_the_room_only(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    devices = {"device_keys": {ALICE: {"ALICE": alice.own_keys["device_keys"]}}}
    name, key = next(iter(alice.own_keys["one_time_keys"].items()))
    claimed = {"one_time_keys": {ALICE: {"ALICE": {name: key}}}}
    await server.script("keys.query", Answer(body=devices))
    await server.script("keys.claim", Answer(502, b""), Answer(body=claimed))
    reply = {"m.in_reply_to": {"event_id": "$q"}}
    content = {"msgtype": "m.text", "body": "тайна", "m.relates_to": reply}
    row = send("", "t1", content=content)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([row, send("again", "t2")])
        await harbour.delivery.drained()

    [shared] = server.asked("sendToDevice")
    room_key = {"type": "m.room.encrypted", "sender": BOT}
    room_key |= {"content": shared.body["messages"][ALICE]["ALICE"]}
    alice.crypto.receive({"to_device": {"events": [room_key]}})
    sealed = [content for _, _, content in server.contents]
    assert alice.reads(sealed[0])["content"] == content | {"org.strandline.by": BOT}
    assert sealed[0]["m.relates_to"] == reply
    assert sealed[0]["session_id"] == sealed[1]["session_id"]


async def test_someone_who_leaves_does_not_get_the_next_key(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    devices = {"device_keys": {ALICE: {"ALICE": alice.own_keys["device_keys"]}}}
    await server.script("keys.query", Answer(body=devices))
    first = await homeserver.keys.encrypt(ROOM, "m.room.message", {"body": "1"})
    server.members.remove(ALICE)
    homeserver.keys.members_changed(ROOM)

    second = await homeserver.keys.encrypt(ROOM, "m.room.message", {"body": "2"})
    third = await homeserver.keys.encrypt(ROOM, "m.room.message", {"body": "3"})

    assert first[1]["session_id"] != second[1]["session_id"] == third[1]["session_id"]
    homeserver.keys.forget(ROOM)


@pytest.mark.parametrize(
    "odd",
    [
        {"device_keys": None},
        {"device_keys": {ALICE: {"X": {"user_id": ALICE}}}},
        {"device_keys": {ALICE: {"X": None}}},
        {"device_keys": {ALICE: {"X": {"user_id": ALICE, "device_id": "X", "keys": 5}}}},
    ],
)
async def test_odd_device_keys_do_not_stop_a_reply(
    server: ScriptedHomeserver, homeserver: Homeserver, odd: Json
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    await server.script("keys.query", Answer(body=odd))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("x", "t1")])
        await harbour.delivery.drained()

    assert not harbour.parked
    assert [kind for _, kind, _ in server.contents] == ["m.room.encrypted"]


def _keys_of(device: str, key: object, **more: object) -> Json:
    signature = {ALICE: {f"ed25519:{device}": "A" * 86}}
    keys = {f"ed25519:{device}": key, f"curve25519:{device}": "A" * 43}
    named = {"user_id": ALICE, "device_id": device, "keys": keys, "signatures": signature}
    return {**named, **more}


@pytest.mark.parametrize("device", ["X", "A device"])
@pytest.mark.parametrize(
    "odd",
    [
        {"key": "A" * 42 + "=="},  # 31 bytes: the engine panics
        {"key": "A" * 42},
        {"key": "A" * 44},  # 33 bytes: the engine panics
        {"key": "A" * 42 + "B"},
        {"key": "A" * 43 + "="},
        {"key": ""},
        {"key": "\ud800"},
        {"key": 5},
        {"key": "A" * 43, "unsigned": 5},
        {"key": "A" * 43, "unsigned": {"device_display_name": []}},
        {"key": "A" * 43, "signatures": 5},
        {"key": "A" * 43, "signatures": {ALICE: {"ed25519:X": "A" * 87}}},
    ],
)
async def test_a_device_whose_keys_are_none_costs_the_person_no_other_device(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice, odd: Json, device: str
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    devices = {device: _keys_of(device, **odd), "ALICE": alice.own_keys["device_keys"]}
    await server.script("keys.query", Answer(body={"device_keys": {ALICE: devices}}))

    with capture_logs() as logs:
        await homeserver.keys.encrypt(ROOM, "m.room.message", {"body": "1"})

    known = homeserver._crypto.olm.device_store.active_user_devices(ALICE)  # noqa: SLF001
    assert [device.id for device in known] == ["ALICE"]
    assert logs == []


@pytest.mark.parametrize("odd", [5, {}, {"a": 5}, {"a": {"key": "A" * 42}}, {"a": {"key": 5}}])
async def test_a_one_time_key_that_is_none_does_not_stop_a_reply(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice, odd: object
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    devices = {"device_keys": {ALICE: {"ALICE": alice.own_keys["device_keys"]}}}
    await server.script("keys.query", Answer(body=devices))
    await server.script("keys.claim", Answer(body={"one_time_keys": {ALICE: {"ALICE": odd}}}))

    with capture_logs() as logs:
        kind, _ = await homeserver.keys.encrypt(ROOM, "m.room.message", {"body": "1"})

    assert (kind, logs) == ("m.room.encrypted", [])


def test_a_panic_of_the_engine_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="panicked"), no_panic():
        Ed25519PublicKey.from_base64("A" * 44)


def test_what_is_no_panic_is_raised_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), no_panic():
        raise KeyboardInterrupt


async def test_what_cannot_be_encrypted_is_parked_and_never_sent_in_clear(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    server.encrypted.add(ROOM)
    row = send("", "t1", content={"n": float("nan")})

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([row])
        await harbour.delivery.drained()

    assert "was not sent" in harbour.parked[0][1]
    assert not server.contents


def test_a_store_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "crypto_D.db").write_text("not a database, but long enough to look at" * 100)

    with pytest.raises(StoreFailed, match=r"crypto_D\.db"):
        Crypto(UserId(BOT), "D", tmp_path)


def test_encrypted_rooms_are_remembered(tmp_path: Path) -> None:
    first = Crypto(UserId(BOT), "D/1", tmp_path)
    first.mark_encrypted([RoomId("!a")])
    first.close()

    assert Crypto(UserId(BOT), "D/1", tmp_path).is_encrypted(RoomId("!a"))


async def test_a_broken_session_with_a_device_is_mended(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    """The engine wants a key claimed, then a message sent; both are tried until they work."""
    olm = homeserver.keys._crypto.olm  # noqa: SLF001
    devices = {ALICE: {"ALICE": alice.own_keys["device_keys"]}}
    olm.handle_response(KeysQueryResponse(devices, {}))
    olm.wedged_devices.append(olm.device_store[ALICE]["ALICE"])
    name, key = next(iter(alice.own_keys["one_time_keys"].items()))
    claimed = Answer(body={"one_time_keys": {ALICE: {"ALICE": {name: key}, "GONE": {"x": 1}}}})
    await server.script("keys.claim", Answer(502, b""), claimed)
    await server.script("sendToDevice", Answer(502, b""))

    for _ in range(4):
        await homeserver.exchange_keys()

    assert len(server.asked("keys.claim")) == 2
    assert len({r.path for r in server.asked("sendToDevice")}) == 2
    assert not olm.outgoing_to_device_messages


@pytest.mark.parametrize("odd", [{"x": {}}, {"x": {"key": 5, "signatures": {}}}, {}])
async def test_odd_one_time_keys_do_not_stop_a_reply(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice, odd: Json
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    devices = {"device_keys": {ALICE: {"ALICE": alice.own_keys["device_keys"]}}}
    await server.script("keys.query", Answer(body=devices))
    await server.script("keys.claim", Answer(body={"one_time_keys": {ALICE: {"ALICE": odd}}}))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("x", "t1")])
        await harbour.delivery.drained()

    assert [kind for _, kind, _ in server.contents] == ["m.room.encrypted"]


async def test_a_full_disk_delays_an_encrypted_reply_and_costs_nothing(
    server: ScriptedHomeserver, homeserver: Homeserver, alice: Alice
) -> None:
    server.encrypted.add(ROOM)
    server.members.append(ALICE)
    devices = {"device_keys": {ALICE: {"ALICE": alice.own_keys["device_keys"]}}}
    await server.script("keys.query", Answer(body=devices), Answer(body=devices))
    database = homeserver._crypto._store.database  # noqa: SLF001
    database.execute_sql("PRAGMA query_only = ON")

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("x", "t1")])
        await harbour.until(lambda: server.asked("rooms.state"))
        assert not server.contents
        database.execute_sql("PRAGMA query_only = OFF")
        await harbour.delivery.drained()

    assert [kind for _, kind, _ in server.contents] == ["m.room.encrypted"]
