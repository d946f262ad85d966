import json
from typing import Any

import pytest

from fsm.values.ids import EventId, UserId
from fsm.values.inbound import EventKind
from matrix.api import fields
from matrix.inbound.edits import parse_amendment
from matrix.inbound.parse import parse, parse_invite
from tests.support.fakes.homeserver import BOT
from tests.support.sync_answers import ALICE, ROOM, Json, text


def numbered(values: list[Any]) -> list[Any]:
    """The values as parameters that are called by their numbers: many can't be names."""
    return [pytest.param(value, id=str(number)) for number, value in enumerate(values)]


LONG = "$" + "x" * 20_000
NO_EVENT_IDS = ["", "$", "e", "@a:b", "!r", LONG, "$" + "я" * 128, "$a\x00", "$\ud800", "$a\nb"]
NOT_TEXT: list[Any] = [None, True, 5, 1.5, [], {}, ["$e"], {"$e": "$e"}]


@pytest.mark.parametrize("wrong", numbered([*NO_EVENT_IDS, *NOT_TEXT]))
def test_what_is_no_event_id_is_none(wrong: Any) -> None:
    assert fields.event_id({"event_id": wrong}, "event_id") is None


@pytest.mark.parametrize("right", ["$1", "$e:old.example", "$" + "x" * 254, "$😀"])
def test_an_event_id_of_any_room_version_is_one(right: str) -> None:
    assert fields.event_id({"event_id": right}, "event_id") == right


@pytest.mark.parametrize(
    "wrong", numbered(["", "@", "alice", "@alice", "@alice:", "alice:test", *NOT_TEXT])
)
def test_what_is_no_user_id_is_none(wrong: Any) -> None:
    assert fields.user_id({"sender": wrong}, "sender") is None


@pytest.mark.parametrize("right", [ALICE, "@:test", "@Alice Ä:[2001:db8::1]:8448"])
def test_a_user_id_of_any_age_is_one(right: str) -> None:
    assert fields.user_id({"sender": right}, "sender") == right


@pytest.mark.parametrize("wrong", numbered(["", "!", "#alias:test", "!" + "r" * 255, *NOT_TEXT]))
def test_what_is_no_room_id_is_none(wrong: Any) -> None:
    assert fields.room_id({"room": wrong}, "room") is None


@pytest.mark.parametrize(
    "wrong", numbered([-1, 2**53, 10**5_000, 1.5, float("nan"), float("inf"), True, "1", None, [1]])
)
def test_what_no_time_and_no_size_can_be_is_0(wrong: Any) -> None:
    assert fields.integer(wrong) == 0


@pytest.mark.parametrize("wrong", numbered([*NOT_TEXT, {"events": {}}, {"events": [1, None]}]))
def test_what_holds_no_objects_holds_none(wrong: Any) -> None:
    assert fields.objects({"timeline": wrong}, "timeline", "events") == []


@pytest.mark.parametrize("wrong", numbered([1, "true", [], {}, None, False]))
def test_only_true_is_true(wrong: Any) -> None:
    assert not fields.flag({"limited": wrong}, "limited")


def test_a_room_whose_id_is_none_is_no_room() -> None:
    sync = {"rooms": {"join": {"": {}, "x": {}, "!" + "r" * 255: {}, ROOM: []}, "leave": []}}

    assert fields.rooms(sync, "join") == [(ROOM, {})]
    assert fields.rooms(sync, "leave") == fields.rooms(sync, "invite") == []


def test_an_edit_whose_kind_is_a_list_changes_nothing() -> None:
    assert parse_amendment(edit({"msgtype": [], "body": "x"}), ROOM) is None
    assert parse_amendment(edit({"msgtype": {}, "body": "x"}), ROOM) is None


@pytest.mark.parametrize("target", numbered([[], {}, None, 5, LONG, "no id"]))
def test_an_edit_of_what_is_no_event_changes_nothing(target: Any) -> None:
    assert parse_amendment(edit({"msgtype": "m.text", "body": "x"}, target=target), ROOM) is None


@pytest.mark.parametrize("target", numbered([*NOT_TEXT, LONG, "no id"]))
def test_a_reply_to_what_is_no_event_is_a_text_all_the_same(target: Any) -> None:
    raw = text("hello")
    raw["content"]["m.relates_to"] = {"m.in_reply_to": {"event_id": target}}

    inbound = read(raw)

    assert inbound is not None
    assert (inbound.kind, inbound.body, inbound.about) == (EventKind.TEXT, "hello", None)


@pytest.mark.parametrize("wrong", numbered([{"event_id": LONG}, {"sender": "@a:" + "b" * 20_000}]))
def test_an_event_whose_ids_are_none_is_not_handled(wrong: Json) -> None:
    assert read(text("hello") | wrong) is None


@pytest.mark.parametrize("stamp", numbered([[], {"a": [1]}, LONG, 10**400]))
def test_an_invite_has_a_short_id_whatever_stands_in_it(stamp: Any) -> None:
    membership = {"type": "m.room.member", "state_key": BOT, "content": {"membership": "invite"}}
    event = membership | {"sender": ALICE, "event_id": stamp, "origin_server_ts": stamp}

    inbound = parse_invite(ROOM, {"invite_state": {"events": [event]}}, bot=UserId(BOT))

    assert (inbound.sender, inbound.event_id) == (ALICE, EventId(f"invite:{ROOM}"))


def test_the_key_of_a_file_is_kept_as_it_can_be_stored() -> None:
    key = {"url": "mxc://test/1", "iv": "\ud800", "n": float("nan"), "m": 10**400, "d": deep(200)}

    inbound = read(text("a.pdf", msgtype="m.file", file=key))

    assert inbound is not None
    stored = json.dumps(inbound.attachments[0].encryption, allow_nan=False, ensure_ascii=False)
    assert stored.encode().startswith(b'{"url": "mxc://test/1", "iv": "?", "n": null, "m": null')


@pytest.mark.parametrize(
    "odd",
    numbered(
        [
            b"1" * 5_000,
            b"-" + b"1" * 5_000,
            b"9007199254740992",
            b"1e999",
            b"1e300",
            b"NaN",
            b"-Infinity",
            b"[" * 100_000 + b'"] } \\" {"' + b"]" * 100_000,
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        ]
    ),
)
def test_one_odd_value_costs_no_other_of_an_answer(odd: bytes) -> None:
    answer = fields.decoded(b'{"first": [1, -2, 1.5], "odd": ' + odd + b', "last": "\xc3\xa4]"}')

    assert answer is not None
    assert (answer["first"], answer["last"]) == ([1, -2, 1.5], "ä]")
    json.dumps(answer, allow_nan=False)


def test_half_characters_of_an_answer_are_replaced() -> None:
    answer = fields.decoded(rb'{"a\uD800": ["\udc00b", "\ud83d\ude00"]}')

    assert answer == {"a?": ["?b", "😀"]}


@pytest.mark.parametrize(
    "body", numbered([b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a": \xff}'])
)
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    assert fields.decoded(body) is None


def read(raw: Json) -> Any:
    return parse(raw, room_id=ROOM, bot=UserId(BOT))


def edit(new: Json, *, target: Any = "$q") -> Json:
    relation = {"rel_type": "m.replace", "event_id": target}
    content = {"m.relates_to": relation, "m.new_content": new}
    return text("* x") | {"content": content}


def deep(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value]
    return value
