import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsm.ids import UserId
from fsm.inbound import Inbound, Kind
from matrix.parse import MAX_BODY_CHARS, parse, parse_invite
from tests.fakes.homeserver import BOT
from tests.matrix.kit import ALICE, ROOM, Json, member, text

EDIT: Json = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$e"}}
REPLY: Json = {"m.relates_to": {"m.in_reply_to": {"event_id": "$q"}}}

NAMES = (
    *("type", "event_id", "sender", "content", "msgtype", "body", "m.relates_to", "rel_type"),
    *("m.in_reply_to", "state_key", "unsigned", "prev_content", "membership", "events"),
    *("invite_state", "origin_server_ts"),
)
KEYS = st.sampled_from(NAMES)
STRINGS = (
    *("m.room.message", "m.room.member", "m.room.encrypted", "m.text", "m.replace", "join"),
    *("invite", BOT, ALICE, "> <@a:b> x\n\ny", "\ud800", "\x00"),
)
WORDS = st.sampled_from(STRINGS)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
ANY_JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner), max_leaves=30
)


def read(raw: Any) -> Inbound | None:
    return parse(raw, room_id=ROOM, bot=UserId(BOT))


@given(ANY_JSON)
def test_no_json_makes_parsing_raise(raw: Any) -> None:
    parsed = read(raw)
    invite = parse_invite(ROOM, raw, bot=UserId(BOT))

    for inbound in (parsed, invite):
        if inbound is not None:
            (inbound.event_id + inbound.sender + inbound.body).encode()


def test_text_is_read_as_it_was_written() -> None:
    inbound = read(text("!agents  \n> not a quote"))

    assert inbound is not None
    assert (inbound.kind, inbound.sender, inbound.room_id) == (Kind.TEXT, ALICE, ROOM)
    assert inbound.body == "!agents  \n> not a quote"


def test_an_emote_is_text_too() -> None:
    inbound = read(text("waves", msgtype="m.emote"))

    assert inbound is not None
    assert inbound.kind is Kind.TEXT


@pytest.mark.parametrize(
    "raw",
    [
        text("mine", sender=BOT),
        text("bot talk", msgtype="m.notice"),
        text("* x", **EDIT),
        text("cat.png", msgtype="m.image"),
        text(None),
        text(["a"]),
        text({}),
        text("x") | {"content": "text"},
        text("x") | {"content": None},
        text("x") | {"sender": 5},
        text("x") | {"event_id": None},
        text("x") | {"state_key": ""},
        {"type": "m.room.redaction", "event_id": "$r", "sender": ALICE, "redacts": "$e"},
        {"type": "m.room.encrypted", "event_id": "$r", "sender": ALICE, "content": {}},
        member("join", "$m", user=ALICE),
        member("join", "$m", before="join"),
        member("leave", "$m", before="join"),
    ],
)
def test_what_wants_no_answer_gets_none(raw: Any) -> None:
    assert read(raw) is None


def test_a_replys_quote_is_left_out() -> None:
    quoted = read(text("> <@alice:test> old\n> words\n\nnew\n> kept", **REPLY))
    plain = read(text("> my own quote", **REPLY))
    only_quote = read(text("> <@alice:test> old", **REPLY))

    assert quoted is not None
    assert quoted.body == "new\n> kept"
    assert plain is not None
    assert plain.body == "> my own quote"
    assert only_quote is not None
    assert only_quote.body == "> <@alice:test> old"


def test_half_characters_are_replaced_and_whole_ones_kept() -> None:
    inbound = read(json.loads(json.dumps(text("a\ud800b")).replace("$e", "\\ud83d\\ude00")))

    assert inbound is not None
    assert (inbound.body, inbound.event_id) == ("a?b", "😀")


def test_a_body_of_a_megabyte_is_cut() -> None:
    inbound = read(text("я" * 1_000_000))

    assert inbound is not None
    assert len(inbound.body) == MAX_BODY_CHARS


@pytest.mark.parametrize("before", [None, "invite", "leave"])
def test_the_bots_own_join_is_told(before: str | None) -> None:
    inbound = read(member("join", "$m", before=before))

    assert inbound is not None
    assert (inbound.kind, inbound.sender) == (Kind.JOINED, BOT)


def test_an_encrypted_event_without_its_key_is_kept_for_later() -> None:
    raw = text("") | {"type": "m.room.encrypted"}

    inbound = read(raw)

    assert inbound is not None
    assert (inbound.kind, inbound.raw) == (Kind.UNREADABLE, raw)


def test_an_invite_names_who_invites_and_has_the_same_id_each_time() -> None:
    invite = {"invite_state": {"events": [member("join", "$a", user=ALICE), _invite()]}}

    first, again = (parse_invite(ROOM, invite, bot=UserId(BOT)) for _ in range(2))

    assert (first.kind, first.sender, first.event_id) == (Kind.INVITED, ALICE, f"invite:{ROOM}")
    assert again.event_id == first.event_id


def test_an_invite_that_does_not_say_from_whom_is_taken_all_the_same() -> None:
    inbound = parse_invite(ROOM, {"invite_state": {"events": [None, 3]}}, bot=UserId(BOT))

    assert (inbound.kind, inbound.sender, inbound.room_id) == (Kind.INVITED, "", ROOM)


def _invite() -> dict[str, Any]:
    return {
        "type": "m.room.member",
        "state_key": BOT,
        "sender": ALICE,
        "content": {"membership": "invite"},
    }
