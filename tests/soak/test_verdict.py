"""The count has power: it finds each fault in rooms that have one."""

from typing import Any

import pytest

from benchmarks.soak.verdict import fold, judge

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
