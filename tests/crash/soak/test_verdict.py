"""The count has power: it finds each fault in rooms that have one."""

from typing import Any

import pytest

from benchmarks.soak.verdict import Amended, fold, judge

BOT = "@bot:test"


def said(number: int, text: str, *, sender: str = "@alice:test") -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "event_id": f"$q{number}",
        "sender": sender,
        "origin_server_ts": number * 100,
        "content": {"body": text},
    }


def answered(number: int, text: str, at: int, *, copy: str = "") -> dict[str, Any]:
    relation = {"m.in_reply_to": {"event_id": f"$q{number}"}}
    return {
        "type": "m.room.message",
        "event_id": f"$a{number}{copy}",
        "sender": BOT,
        "origin_server_ts": at,
        "content": {"body": text, "m.relates_to": relation},
    }


def echo(number: int, text: str, at: int, *, chat: int = 1, copy: str = "") -> dict[str, Any]:
    return answered(number, f"[agent-1 · chat {chat}] {text}", at, copy=copy)


def edit(number: int, text: str) -> dict[str, Any]:
    relation = {"rel_type": "m.replace", "event_id": f"$a{number}"}
    content = {"body": "*", "m.new_content": {"body": text}, "m.relates_to": relation}
    event_id = f"$e{number}{len(text)}"
    return {**answered(number, "", 0), "event_id": event_id, "content": content}


def reaction(number: int) -> dict[str, Any]:
    relation = {"rel_type": "m.annotation", "event_id": f"$q{number}", "key": "\N{HOURGLASS}"}
    content = {"m.relates_to": relation}
    event_id = f"$r{number}"
    return {
        **answered(number, "", 0),
        "event_id": event_id,
        "type": "m.reaction",
        "content": content,
    }


def created(by: str) -> dict[str, Any]:
    return {"type": "m.room.create", "sender": by, "origin_server_ts": 0, "content": {"a": 1}}


def called(name: str) -> dict[str, Any]:
    return {"type": "m.room.name", "sender": BOT, "origin_server_ts": 0, "content": {"name": name}}


SPOTLESS = [said(1, "one"), echo(1, "o", 150), said(2, "two"), edit(1, "[agent-1 · chat 1] one")]

UNREADABLE = {
    **echo(3, "", 350),
    "type": "m.room.encrypted",
    "content": {"m.relates_to": {"m.in_reply_to": {"event_id": "$q3"}}},
}

CASES: dict[str, tuple[list[Any], dict[str, str], str]] = {
    "unanswered": ([said(3, "three")], {}, "lost"),
    "cut off": ([said(3, "three"), echo(3, "thr", 350)], {}, "lost"),
    "unreadable": ([said(3, "three"), UNREADABLE], {}, "lost"),
    "twice": (
        [said(3, "three"), echo(3, "three", 350), echo(3, "three", 351, copy="b")],
        {},
        "doubled",
    ),
    "crossed": (
        [said(3, "3"), said(4, "4"), echo(4, "4", 450), echo(3, "3", 451)],
        {},
        "out_of_order",
    ),
    "two numbers in a room": ([said(3, "3"), echo(3, "3", 350, chat=2)], {}, "reused"),
    "another number on disk": ([], {"!a": "7"}, "reused"),
}


@pytest.mark.parametrize(("more", "bound", "kind"), CASES.values(), ids=CASES)
def test_each_fault_is_counted(more: list[Any], bound: dict[str, str], kind: str) -> None:
    spotless = [*SPOTLESS, echo(2, "two", 250)]
    assert judge([fold("!a", BOT, spotless)], {"!a": "1"}).spotless

    verdict = judge([fold("!a", BOT, [*spotless, *more])], bound)

    assert {fault.kind for fault in verdict.faults} == {kind}
    assert verdict.faults[0].room.transcript(verdict.faults[0].message)


def test_a_number_in_two_rooms_or_below_one_on_show_is_reused() -> None:
    first = fold("!a", BOT, [said(1, "one"), echo(1, "one", 150, chat=5)])
    same = fold("!b", BOT, [said(2, "two"), echo(2, "two", 250, chat=5)])
    fallen = fold("!c", BOT, [said(3, "three"), echo(3, "three", 350, chat=4)])

    assert judge([first, same], {}).count("reused") == 1
    assert judge([first, fallen], {}).count("reused") == 1
    assert judge([first], {"!a": "5", "!b": "5"}).count("reused") == 1


def test_an_answer_to_what_was_edited_or_taken_back_before_it_was_handled_is_stale() -> None:
    room = fold("!a", BOT, [said(1, "as it was"), echo(1, "as it was", 150)])

    for ceased, stale in [(0, 0), (1, 1)]:
        edited = {"$q1": Amended(("as it was", "as it now reads"), ceased)}
        verdict = judge([room], {}, edited)
        assert [fault.kind for fault in verdict.faults] == ["stale"] * stale

    now = fold("!a", BOT, [said(1, "as it was"), echo(1, "as it now reads", 150)])
    assert judge([now], {}, {"$q1": Amended(("as it was", "as it now reads"), 1)}).spotless


def test_what_was_taken_back_is_answered_once_with_what_it_said_or_not_at_all() -> None:
    gone = {**said(1, ""), "content": {}, "unsigned": {"redacted_because": {}}}
    in_flight, waiting = Amended(("one",)), Amended(("one",), 1)
    cut_off, whole = echo(1, "on", 150), echo(1, "one", 150)
    told = answered(1, "_The question was deleted._", 150)

    def kinds(amended: Amended, *answers: dict[str, Any]) -> list[str]:
        room = fold("!a", BOT, [gone, *answers])
        return [fault.kind for fault in judge([room], {}, {"$q1": amended}).faults]

    assert kinds(in_flight) == kinds(in_flight, whole) == kinds(in_flight, told) == []
    assert kinds(waiting) == kinds(waiting, told) == []
    assert kinds(waiting, whole) == ["stale"]
    assert kinds(in_flight, cut_off) == ["lost"]
    assert kinds(in_flight, whole, {**told, "event_id": "$again"}) == ["doubled"]


def test_who_left_needs_no_answer_unless_somebody_got_one_who_asked_later() -> None:
    bob = said(2, "two", sender="@bob:test")
    left = frozenset({"@alice:test"})

    def lost(*events: dict[str, Any], gone: frozenset[str] = left) -> int:
        return judge([fold("!a", BOT, events, gone=gone)], {}).count("lost")

    assert lost(said(1, "one")) == 0
    assert lost(said(1, "one"), gone=frozenset()) == 1
    assert lost(said(1, "one"), bob, echo(2, "two", 250)) == 1
    assert lost(said(1, "one"), bob) == 1  # Bob's


def test_a_chat_that_was_asked_for_has_one_room() -> None:
    asked = fold("!a", BOT, [said(1, "!new Chat m1"), reaction(1)])
    made = [fold(f"!{n}", BOT, [created(BOT), called("Chat m1")]) for n in range(2)]
    own = fold("!b", BOT, [created("@alice:test"), called("Chat m1")])

    assert judge([asked, made[0]], {}).spotless
    assert judge([asked, own], {}).count("lost") == 1
    assert judge([asked, *made], {}).count("doubled") == 1


def test_a_room_that_the_bot_made_may_have_had_its_number_before_anything_was_asked_in_it() -> None:
    shown = fold("!a", BOT, [said(1, "one"), echo(1, "one", 150, chat=5)])
    later = [said(3, "three"), echo(3, "three", 350, chat=4)]

    for made_ms, reused in [(120, 0), (200, 1)]:
        made = {**created(BOT), "origin_server_ts": made_ms}
        assert judge([shown, fold("!b", BOT, [made, *later])], {}).count("reused") == reused
