import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsm.values.ids import EventId, UserId
from fsm.values.inbound import (
    EventKind,
    Inbound,
    ReactionReceived,
    RoomUpgraded,
    UnsupportedMessage,
)
from fsm.values.messages import Attachment, FileKind
from matrix.inbound.edits import MessageChange, parse_amendment
from matrix.inbound.parse import MAX_BODY_CHARS, parse, parse_invite, parse_leave
from tests.support.fakes.homeserver import BOT
from tests.support.sync_answers import ALICE, ROOM, Json, member, text

EDIT: Json = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$e"}}
REPLY: Json = {"m.relates_to": {"m.in_reply_to": {"event_id": "$q"}}}

NAMES = (
    *("type", "event_id", "sender", "content", "msgtype", "body", "m.relates_to", "rel_type"),
    *("m.in_reply_to", "state_key", "unsigned", "prev_content", "membership", "events"),
    *("invite_state", "origin_server_ts", "redacts", "replacement_room", "m.new_content", "file"),
    *("url", "filename", "info", "size", "mimetype", "m.mentions", "user_ids", "key", "timeline"),
)
KEYS = st.sampled_from(NAMES)
STRINGS = (
    *("m.room.message", "m.room.member", "m.room.encrypted", "m.text", "m.replace", "join"),
    *("m.reaction", "m.room.redaction", "m.room.tombstone", "m.file", "m.thread", "m.annotation"),
    *("invite", BOT, ALICE, "> <@a:b> x\n\ny", "\ud800", "\x00"),
)
WORDS = st.sampled_from(STRINGS)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
ANY_JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner), max_leaves=30
)


def read(raw: Any) -> Inbound | None:
    return parse(raw, room_id=ROOM, bot=UserId(BOT))


def file(*, msgtype: str = "m.file", url: str | None = "mxc://test/1", **content: Any) -> Json:
    info = {"mimetype": "application/pdf", "size": 12}
    return said({"msgtype": msgtype, "url": url, "info": info} | content)


def said(content: Json) -> Json:
    return text("") | {"content": content}


def reaction(key: Any, *, rel_type: str = "m.annotation", event_id: Any = "$q") -> Json:
    relation = {"rel_type": rel_type, "event_id": event_id, "key": key}
    return text("") | {"type": "m.reaction", "content": {"m.relates_to": relation}}


@given(ANY_JSON)
def test_no_json_makes_parsing_raise(raw: Any) -> None:
    parsed = read(raw)
    invite = parse_invite(ROOM, raw, bot=UserId(BOT))
    leave = parse_leave(ROOM, raw, bot=UserId(BOT))
    parse_amendment(raw, ROOM)

    for inbound in (parsed, invite, leave):
        if inbound is not None:
            (inbound.event_id + inbound.sender + inbound.body).encode()


def test_text_is_read_as_it_was_written() -> None:
    inbound = read(text("!agents  \n> not a quote"))

    assert inbound is not None
    assert (inbound.kind, inbound.sender, inbound.room_id) == (EventKind.TEXT, ALICE, ROOM)
    assert inbound.body == "!agents  \n> not a quote"


def test_an_emote_is_text_too() -> None:
    inbound = read(text("waves", msgtype="m.emote"))

    assert inbound is not None
    assert inbound.kind is EventKind.TEXT


@pytest.mark.parametrize(
    "raw",
    [
        text("mine", sender=BOT),
        text("bot talk", msgtype="m.notice"),
        text("* x", **EDIT),
        text(None),
        text(["a"]),
        text({}),
        text("x") | {"content": "text"},
        text("x") | {"content": None},
        text("x") | {"sender": 5},
        text("x") | {"event_id": None},
        text("x") | {"state_key": ""},
        {"type": "m.room.redaction", "event_id": "$r", "sender": ALICE},
        {"type": "m.room.redaction", "event_id": "$r", "sender": ALICE, "redacts": 5},
        file(body="a.pdf") | {"sender": BOT},
        reaction("✅") | {"sender": BOT},
        reaction("✅", rel_type="m.replace"),
        reaction(5),
        reaction("✅", event_id=None),
        {"type": "m.room.tombstone", "event_id": "$t", "sender": ALICE, "state_key": ""},
        {"type": "m.room.encrypted", "event_id": "$r", "sender": ALICE, "content": {}},
        member("join", "$m", before="join", user=ALICE),
        member("invite", "$m", user=ALICE),
        member("leave", "$m", before="invite", user=ALICE),
        member("join", "$m", before="join"),
        member("leave", "$m", before="join"),
    ],
)
def test_what_wants_no_answer_gets_none(raw: Any) -> None:
    assert read(raw) is None


@pytest.mark.parametrize(
    ("membership", "before", "kind"),
    [
        ("join", None, EventKind.ENTERED),
        ("join", "invite", EventKind.ENTERED),
        ("leave", "join", EventKind.DEPARTED),
        ("ban", "join", EventKind.DEPARTED),
    ],
)
def test_others_come_and_go(membership: str, before: str | None, kind: EventKind) -> None:
    raw = member(membership, "$m", before=before, user=ALICE) | {"sender": "@moderator:test"}

    inbound = read(raw)

    assert inbound is not None
    assert (inbound.kind, inbound.sender) == (kind, ALICE)


def test_what_another_bot_says_is_not_answered_and_what_somebody_forwards_is() -> None:
    said_by_bot: Json = {"org.strandline.turn": "t", "org.strandline.by": "@other:test"}
    words: Json = {"msgtype": "m.text", "body": "[agent-1 · chat 1] the tide"}

    from_the_bot = read(said(words | said_by_bot) | {"sender": "@other:test"})
    forwarded = read(said(words | said_by_bot))
    from_an_older_bot = read(said(words | {"org.strandline.turn": "t"}))

    assert (from_the_bot, from_an_older_bot) == (None, None)
    assert forwarded is not None
    assert forwarded.body == "[agent-1 · chat 1] the tide"


@pytest.mark.parametrize("kind", ["file", "image", "audio", "video"])
def test_a_file_without_words_is_a_file(kind: FileKind) -> None:
    inbound = read(file(msgtype=f"m.{kind}", body="a.pdf"))

    assert inbound is not None
    assert (inbound.kind, inbound.body) == (EventKind.FILE, "")
    assert inbound.attachments == (
        Attachment(
            event_id=EventId("$e"),
            name="a.pdf",
            kind=kind,
            mimetype="application/pdf",
            size_bytes=12,
            url="mxc://test/1",
        ),
    )


def test_a_file_with_a_caption_is_a_text_with_a_file() -> None:
    captioned = read(file(body="what is this?", filename="a.pdf"))
    named_twice = read(file(body="a.pdf", filename="a.pdf"))

    assert captioned is not None
    assert (captioned.kind, captioned.body) == (EventKind.TEXT, "what is this?")
    assert [a.name for a in captioned.attachments] == ["a.pdf"]
    assert named_twice is not None
    assert named_twice.kind is EventKind.FILE


def test_an_encrypted_file_keeps_what_opens_it() -> None:
    key = {"url": "mxc://test/2", "key": {"k": "abc"}, "iv": "x"}

    inbound = read(file(body="a.pdf", url=None, file=key))

    assert inbound is not None
    [attachment] = inbound.attachments
    assert (attachment.url, attachment.encryption) == ("mxc://test/2", key)


def test_a_reaction_says_what_it_was_put_on() -> None:
    inbound = read(reaction("✅"))

    assert inbound is not None
    assert isinstance(inbound, ReactionReceived)
    assert (inbound.kind, inbound.key, inbound.about) == (EventKind.REACTION, "✅", "$q")


@pytest.mark.parametrize("where", ["content", "top"])
def test_a_redaction_says_what_it_takes_back_in_every_room_version(where: str) -> None:
    raw: Json = {"type": "m.room.redaction", "event_id": "$r", "sender": ALICE}
    raw |= {"content": {"redacts": "$q"}} if where == "content" else {"redacts": "$q"}

    inbound = read(raw)

    assert inbound is not None
    assert (inbound.kind, inbound.about) == (EventKind.REDACTED, "$q")
    assert parse_amendment(raw, ROOM) == MessageChange(
        target=EventId("$q"),
        room_id=ROOM,
        sender=UserId(ALICE),
        event_id=EventId("$r"),
        text=None,
    )


def test_a_redaction_that_names_two_events_takes_neither_back() -> None:
    """Before room version 11 the content is whatever the sender likes."""
    raw = text("") | {"type": "m.room.redaction", "redacts": "$own"}

    assert read(raw | {"content": {"redacts": "$victim"}}) is None
    assert parse_amendment(raw | {"content": {"redacts": "$victim"}}, ROOM) is None
    both = read(raw | {"content": {"redacts": "$own"}})
    assert both is not None
    assert both.about == "$own"


def test_an_edit_amends_and_is_nothing_to_answer() -> None:
    relation: Json = {"rel_type": "m.replace", "event_id": "$q"}
    new: Json = {"msgtype": "m.text", "body": "new"}
    content: Json = {"msgtype": "m.text", "m.relates_to": relation, "m.new_content": new}
    raw = said(content)

    amendment = parse_amendment(raw, ROOM)

    assert read(raw) is None
    assert amendment is not None
    assert (amendment.target, amendment.event_id, amendment.text) == ("$q", "$e", "new")


@pytest.mark.parametrize(
    "raw",
    [
        None,
        text("words"),
        text("x") | {"event_id": 5},
        said({"m.relates_to": {"rel_type": "m.replace", "event_id": "$q"}}),
        said({"m.relates_to": {"rel_type": "m.replace"}, "m.new_content": {}}),
        {"type": "m.room.redaction", "event_id": "$r", "sender": ALICE},
    ],
)
def test_what_changes_no_message_is_no_amendment(raw: Any) -> None:
    assert parse_amendment(raw, ROOM) is None


def test_a_tombstone_names_the_new_room() -> None:
    raw = {
        "type": "m.room.tombstone",
        "event_id": "$t",
        "sender": ALICE,
        "state_key": "",
        "content": {"replacement_room": "!new"},
    }

    inbound = read(raw)

    assert inbound is not None
    assert isinstance(inbound, RoomUpgraded)
    assert (inbound.kind, inbound.replacement) == (EventKind.UPGRADED, "!new")


def test_a_thread_is_kept_and_its_fallback_is_no_reply() -> None:
    content: Json = {"msgtype": "m.text", "body": "x"}
    thread: Json = {
        "rel_type": "m.thread",
        "event_id": "$root",
        "m.in_reply_to": {"event_id": "$last"},
    }

    fallback = read(said(content | {"m.relates_to": thread | {"is_falling_back": True}}))
    reply = read(said(content | {"m.relates_to": thread}))

    assert fallback is not None
    assert (fallback.thread, fallback.about) == ("$root", None)
    assert reply is not None
    assert (reply.thread, reply.about) == ("$root", "$last")


@pytest.mark.parametrize(
    ("content", "mentioned"),
    [
        ({"m.mentions": {"user_ids": [BOT]}}, True),
        ({"m.mentions": {"user_ids": [ALICE]}, "body": f"not you, {BOT}"}, False),
        ({"m.mentions": {}}, False),
        ({"m.mentions": {"user_ids": 5}}, False),
        ({"body": f"hey {BOT}!"}, True),
        ({"body": "Bot, are you there"}, True),
        ({"body": "a robot"}, False),
    ],
)
def test_who_is_mentioned(content: dict[str, Any], mentioned: bool) -> None:  # noqa: FBT001
    inbound = read(said({"msgtype": "m.text", "body": "hello"} | content))

    assert inbound is not None
    assert inbound.mentions_bot is mentioned


def test_a_departure_has_the_id_of_its_event_or_one_of_its_own() -> None:
    left = member("leave", "$l", before="join") | {"sender": ALICE}

    told = parse_leave(ROOM, {"timeline": {"events": [left]}}, bot=UserId(BOT))
    untold = parse_leave(ROOM, None, bot=UserId(BOT))

    assert (told.kind, told.event_id, told.sender) == (EventKind.LEFT, "$l", ALICE)
    assert untold.event_id == f"left:{ROOM}"


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
    inbound = read(json.loads(json.dumps(text("a\ud800b")).replace("$e", "$\\ud83d\\ude00")))

    assert inbound is not None
    assert (inbound.body, inbound.event_id) == ("a?b", "$😀")


def test_a_body_of_a_megabyte_is_cut() -> None:
    inbound = read(text("я" * 1_000_000))

    assert inbound is not None
    assert len(inbound.body) == MAX_BODY_CHARS


@pytest.mark.parametrize("before", [None, "invite", "leave"])
def test_the_bots_own_join_is_told(before: str | None) -> None:
    inbound = read(member("join", "$m", before=before))

    assert inbound is not None
    assert (inbound.kind, inbound.sender) == (EventKind.JOINED, BOT)


def test_an_encrypted_event_without_its_key_is_kept_for_later() -> None:
    raw = text("") | {"type": "m.room.encrypted"}

    inbound = read(raw)

    assert inbound is not None
    assert (inbound.kind, inbound.raw) == (EventKind.UNREADABLE, raw)


def test_an_invite_names_who_invites_and_has_the_same_id_each_time() -> None:
    invite = {"invite_state": {"events": [member("join", "$a", user=ALICE), _invite()]}}

    first, again = (parse_invite(ROOM, invite, bot=UserId(BOT)) for _ in range(2))

    assert (first.kind, first.sender, first.event_id) == (
        EventKind.INVITED,
        ALICE,
        f"invite:{ROOM}",
    )
    assert again.event_id == first.event_id


def test_an_invite_that_does_not_say_from_whom_is_taken_all_the_same() -> None:
    inbound = parse_invite(ROOM, {"invite_state": {"events": [None, 3]}}, bot=UserId(BOT))

    assert (inbound.kind, inbound.sender, inbound.room_id) == (EventKind.INVITED, "", ROOM)


def _invite() -> dict[str, Any]:
    return {
        "type": "m.room.member",
        "state_key": BOT,
        "sender": ALICE,
        "content": {"membership": "invite"},
    }


def test_of_the_events_of_an_invite_the_last_says_who_invited() -> None:
    """The inviter's homeserver may put a forged one before it."""
    forged, true = (
        {
            "type": "m.room.member",
            "state_key": BOT,
            "sender": sender,
            "content": {"membership": "invite"},
        }
        for sender in (ALICE, "@mallory:x")
    )

    inbound = parse_invite(ROOM, {"invite_state": {"events": [forged, true]}}, bot=UserId(BOT))

    assert inbound.sender == "@mallory:x"


@pytest.mark.parametrize(
    "user_id", [BOT, BOT.replace("@", "%40").replace(":", "%3A"), f"{BOT}?via=x"]
)
def test_a_pill_to_the_bot_mentions_it_without_m_mentions(user_id: str) -> None:
    formatted = f'<a href="https://matrix.to/#/{user_id}">The Helper</a>: hello'
    content = {"msgtype": "m.text", "body": "The Helper: hello", "formatted_body": formatted}

    inbound = read(text("") | {"content": content})

    assert inbound is not None
    assert inbound.mentions_bot


def test_the_bot_is_called_by_its_id_its_names_and_what_stands_on_its_pill() -> None:
    formatted = (
        f'<a href="https://matrix.to/#/{ALICE}">Alice</a> '
        f'<a href="https://matrix.to/#/{BOT}">The &quot;Helper&quot;</a>: !status'
    )
    content = {"msgtype": "m.text", "body": "!status", "formatted_body": formatted}
    raw = text("") | {"content": content}

    inbound = parse(raw, room_id=ROOM, bot=UserId(BOT), name="Harbour")

    assert inbound is not None
    assert inbound.names == (BOT, "bot", "Harbour", 'The "Helper"')


@pytest.mark.parametrize(
    "piece", ['href="https://matrix.to/#/' + "a" * 60_000, 'href="https://matrix.to/#/a" ' * 2_000]
)
def test_links_without_an_end_take_no_time(piece: str) -> None:
    content = {"msgtype": "m.text", "body": "hello", "formatted_body": piece}
    began = time.process_time()

    inbound = read(text("") | {"content": content})

    assert time.process_time() - began < 0.3  # ends what is quadratic; a hundredth is usual
    assert inbound is not None
    assert not inbound.mentions_bot


def test_the_display_name_in_a_text_mentions_the_bot() -> None:
    inbound = parse(
        text("harbour helper, hi"), room_id=ROOM, bot=UserId(BOT), name="Harbour Helper"
    )

    assert inbound is not None
    assert inbound.mentions_bot


def test_a_pill_to_somebody_else_does_not() -> None:
    formatted = f'<a href="https://matrix.to/#/{ALICE}">Alice</a>: hello'
    content = {"msgtype": "m.text", "body": "Alice: hello", "formatted_body": formatted}

    inbound = read(text("") | {"content": content})

    assert inbound is not None
    assert not inbound.mentions_bot


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "m.sticker", "content": {"body": "Wave", "url": "mxc://x/y"}}, "sticker"),
        ({"type": "org.matrix.msc3381.poll.start", "content": {"m.text": "?"}}, "poll"),
        ({"type": "m.poll.start", "content": {"m.text": []}}, "poll"),
        ({"content": {"msgtype": "m.location", "body": "Here", "geo_uri": "geo:1,2"}}, "location"),
        ({"content": {"msgtype": "org.example.dance", "body": "Dance"}}, "unknown"),
        ({"content": {"msgtype": "m.image", "body": "without an address.png"}}, "unknown"),
        ({"type": "org.example.dance", "content": {"body": "Dance"}}, "unknown"),
    ],
)
def test_what_the_bot_does_not_read_is_known_by_its_kind(event: Json, kind: str) -> None:
    inbound = read(text("") | event)

    assert inbound is not None
    assert isinstance(inbound, UnsupportedMessage)
    assert (inbound.kind, inbound.content_type) == (EventKind.OTHER, kind)


@pytest.mark.parametrize(
    "event",
    [
        {"content": {"msgtype": "m.notice", "body": "beep"}},
        {"content": {"msgtype": "m.key.verification.request", "body": "Verify me"}},
        {"content": {"msgtype": "m.text"}},
        {"type": "m.poll.response", "content": {}},
        {"type": "m.poll.end", "content": {"body": "It is over."}},
        {"type": "org.matrix.msc3381.poll.end", "content": {"body": "It is over."}},
        {"type": "m.poll.start", "content": {}},  # it was taken back
        {"type": "m.sticker", "content": {}},
        {"type": "m.call.candidates", "content": {"body": 7}},
        {"type": "m.sticker", "content": {"m.relates_to": {"rel_type": "m.replace"}}},
    ],
)
def test_what_is_for_nobody_says_nothing(event: Json) -> None:
    assert read(text("") | event) is None
