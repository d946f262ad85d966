"""Every event that is read from a homeserver, and what becomes of it with any part replaced."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from fsm.values.ids import EventId, PlatformChatId, TransactionId, UserId
from fsm.values.messages import AnswerRef, QuestionRef
from matrix.outbound.messages import edit_content, message_content, reaction_content
from tests.support.fakes.homeserver import BOT
from tests.support.sync_answers import ALICE, ROOM, Json, member, text

ANSWER = AnswerRef(chat=PlatformChatId("1"), question=EventId("$q"), also=(EventId("$1"),))
TURN = TransactionId("t")
NEW_KEYS = ("state_key", "redacts", "m.relates_to", "m.new_content", "file", "unsigned", "type")


def said(content: Json, *, kind: str = "m.room.message", sender: str = ALICE, **more: Any) -> Json:
    return text("", "$q", sender) | {"content": content, "type": kind} | more


def _mark() -> QuestionRef:
    return QuestionRef(flow="form", id=EventId("$a"), life="1", asker=UserId(ALICE))


def _edit(body: str) -> Json:
    new = {"msgtype": "m.text", "body": body}
    return said({**new, "m.new_content": new, "m.relates_to": _relation("m.replace")})


def _relation(rel_type: str, **more: Any) -> Json:
    return {"rel_type": rel_type, "event_id": "$q"} | more


def _sealed() -> Json:
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "session_id": "s"}
    return said(content | {"sender_key": "k", "device_id": "D"}, kind="m.room.encrypted")


def _tombstone() -> Json:
    return said({"replacement_room": "!new"}, kind="m.room.tombstone", state_key="")


def _file() -> Json:
    key = {"url": "mxc://test/1", "key": {"k": "abc"}, "iv": "x", "hashes": {"sha256": "y"}}
    info = {"mimetype": "application/pdf", "size": 12}
    names = {"body": "what is it?", "filename": "a.pdf"}
    return said({"msgtype": "m.file", "file": key, "info": info, **names})


EVENTS: tuple[Json, ...] = (
    said({"msgtype": "m.text", "body": "hello", "m.mentions": {"user_ids": [BOT]}}),
    said({"msgtype": "m.emote", "body": "> <@a:b> x\n\ny", "m.relates_to": _relation("m.thread")}),
    said({"msgtype": "m.text", "body": "x", "m.relates_to": {"m.in_reply_to": {"event_id": "$1"}}}),
    _file(),
    said({"msgtype": "m.image", "body": "a.png", "url": "mxc://test/1"}),
    _edit("how many"),
    said({"msgtype": "m.text", "body": "x"}, unsigned={"m.relations": {"m.replace": _edit("y")}}),
    said({"m.relates_to": _relation("m.annotation", key="✅")}, kind="m.reaction"),
    said({"redacts": "$1"}, kind="m.room.redaction"),
    said({}, kind="m.room.redaction", redacts="$1"),
    _tombstone(),
    _sealed(),
    said({"algorithm": "m.megolm.v1.aes-sha2"}, kind="m.room.encryption", state_key=""),
    member("join", "$j", before="invite"),
    member("invite", "$i"),
    member("leave", "$l", before="join"),
    member("join", "$m", before="leave", user=ALICE),
    member("ban", "$b", before="join", user=ALICE),
    said(message_content("Which?", transaction_id=TURN, mark=_mark()), sender=BOT),
    said(
        message_content("It is", transaction_id=TURN, in_reply_to=EventId("$q"), answer=ANSWER),
        sender=BOT,
    ),
    said(
        edit_content("It is 5", edits=EventId("$q"), transaction_id=TURN, answer=ANSWER), sender=BOT
    ),
    said(
        reaction_content("✅", about=EventId("$q"), transaction_id=TURN),
        kind="m.reaction",
        sender=BOT,
    ),
)
"""Every event that is read, as it should be."""

TO_DEVICE: tuple[Json, ...] = (
    {
        "type": "m.room.encrypted",
        "sender": ALICE,
        "content": {
            "algorithm": "m.olm.v1.curve25519-aes-sha2",
            "sender_key": "k" * 43,
            "ciphertext": {"k": {"type": 0, "body": "AAAA"}},
        },
    },
    {
        "type": "m.room_key_request",
        "sender": ALICE,
        "content": {
            "action": "request",
            "requesting_device_id": "D",
            "request_id": "1",
            "body": {
                "algorithm": "m.megolm.v1.aes-sha2",
                "room_id": ROOM,
                "sender_key": "k",
                "session_id": "s",
            },
        },
    },
    {
        "type": "m.key.verification.start",
        "sender": ALICE,
        "content": {
            "from_device": "D",
            "transaction_id": "1",
            "method": "m.sas.v1",
            "key_agreement_protocols": ["curve25519"],
            "hashes": ["sha256"],
            "message_authentication_codes": ["hkdf-hmac-sha256"],
            "short_authentication_string": ["decimal"],
        },
    },
    {"type": "m.dummy", "sender": ALICE, "content": {}},
)


def mutated(value: Any, random: Random, *, times: int = 1) -> Any:
    """A copy with so many of its parts replaced, left out, or added to."""
    copy = _copy(value)
    for _ in range(times):
        places = list(_places(copy))
        if not places:
            return anything(random)
        holder, key = random.choice(places)
        dice = random.random()
        if dice < 0.1:
            del holder[key]
        elif dice < 0.2 and isinstance(holder, dict):
            holder[random.choice(NEW_KEYS)] = anything(random)
        elif dice < 0.3:
            holder[key] = _copy(value)
        else:
            holder[key] = anything(random)
    return copy


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of the value, by what holds it."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def anything(random: Random) -> Any:
    """Any JSON, and what some take for it."""
    make: Callable[[], Any] = random.choice(
        (
            lambda: random.choice((None, True, False, 0, -1, 1.5, [], {}, [[]], [{}], "", " ")),
            lambda: random.choice((2**31, 2**53, 2**63, 10**400, -(10**400))),
            lambda: random.choice((float("nan"), float("inf"), float("-inf"), 1e300)),
            lambda: random.choice(("\ud800", "$\udfff", "@\ud800:x", "\x00", "$\x00", "@a:\x1b")),
            lambda: random.choice(("$", "@", "!", "@a:", "mxc://", "")) + "x" * 20_000,
            lambda: random.choice(("$q", "$1", ALICE, BOT, ROOM, "m.text", "join", "m.replace")),
            lambda: _deep(random.choice((3, 30, 90)), random),
            lambda: {random.choice(("event_id", "body", "\ud800", "")): anything(random)},
            lambda: [anything(random), anything(random)],
        )
    )
    return make()


def _deep(levels: int, random: Random) -> Any:
    value: Any = "end"
    key = random.choice(("event_id", "content", "events"))
    for _ in range(levels):
        value = [value] if random.random() < 0.5 else {key: value}
    return value
