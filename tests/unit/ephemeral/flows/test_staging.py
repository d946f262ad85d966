from datetime import timedelta
from typing import Any

import pytest

from ephemeral.flows.staged_files import CancelStaged, Staged
from fsm import Attachment, Command, EventKind, Expiry, RoomEvent, Snapshot, Text, Triggered, Turn
from fsm.effects import React, Reply
from fsm.values.ids import EventId
from fsm.values.messages import Said
from fsm.values.signals import Say
from tests.support.talk import ALICE, BOB, ROOM, Talk, registry, said

FILE = RoomEvent(EventKind.FILE)
REDACTED = RoomEvent(EventKind.REDACTED)


def a_file(name: str, size_bytes: int = 12_000, **more: Any) -> Attachment:
    return Attachment(
        event_id=EventId(f"${name}"), name=name, mimetype="image/png", size_bytes=size_bytes, **more
    )


A, B = a_file("a.png"), a_file("b.png", 1_200_000)
A_B = Snapshot("staged", Staged((A, B)))
A_ALONE = Snapshot("staged", Staged((A,)))
LISTED = "1. a.png (image/png, 12 kB)\n2. b.png (image/png, 1.2 MB)"
WAITING = f"2 files wait for your next message (1.2 MB in all):\n\n{LISTED}"
HOW = "`!files` lists the waiting files, `!files drop NUMBER` drops one, `!files clear` drops all."


@pytest.fixture
def talk() -> Talk:
    return Talk(registry("agent-1"))


async def send(talk: Talk, file: Attachment, at: Snapshot | None = None) -> tuple[Snapshot, Turn]:
    return await talk.step(
        talk.staging, FILE, at=at, kind=EventKind.FILE, event_id=file.event_id, attachments=(file,)
    )


async def test_files_wait_in_their_order_and_are_acknowledged_with_an_emoji(talk: Talk) -> None:
    one, first = await send(talk, A)
    two, second = await send(talk, B, at=one)

    assert two == A_B
    assert first.effects == [React(room_id=ROOM, event_id=A.event_id, key="📎")]
    assert second.effects == [React(room_id=ROOM, event_id=B.event_id, key="📎")]


async def test_the_next_text_takes_them_along(talk: Talk) -> None:
    after, turn = await talk.step(talk.staging, Text("look"), at=A_B)

    assert after == talk.staging.at_rest
    assert turn.signals == [Triggered(Say(Said("look", (A, B))))]
    assert turn.effects == []


async def test_a_captioned_file_goes_with_those_that_waited_for_it(talk: Talk) -> None:
    own = a_file("c.png")

    _, turn = await talk.step(talk.staging, Text("look"), at=A_B, attachments=(A, own))

    assert turn.signals == [Triggered(Say(Said("look", (A, B, own))))]


async def test_with_nothing_staged_a_text_is_left_to_other_flows(talk: Talk) -> None:
    assert not await talk.answers(talk.staging, Text("look"), attachments=(A,))
    assert not await talk.answers(talk.staging, REDACTED, about=A.event_id)
    assert not await talk.answers(talk.staging, Command("agents"), at=A_B)
    assert talk.staging.key(ROOM, ALICE) != talk.staging.key(ROOM, BOB)


async def test_what_is_not_meant_for_the_bot_is_let_pass(talk: Talk) -> None:
    large = a_file("large.png", 2_000_001)

    assert not await talk.answers(talk.staging, FILE, sender=BOB, attachments=(A,))
    assert not await talk.answers(talk.staging, FILE, sender=BOB, attachments=(large,))
    assert not await talk.answers(talk.staging, Text("hi"), at=A_B, sender=BOB)
    assert not await talk.answers(talk.staging, FILE)


async def test_a_file_that_is_too_large_is_refused_whether_or_not_others_wait(talk: Talk) -> None:
    large = a_file("large\n.png", 2_100_000)
    refusal = "“large .png” is too large (2.1 MB; the limit is 2 MB). Please send a smaller file."

    at_rest, alone = await send(talk, large)
    still, beside = await send(talk, large, at=A_B)

    assert (at_rest, still) == (talk.staging.at_rest, A_B)
    assert said(alone) == refusal
    assert said(beside) == f"{refusal}\n\n{WAITING}"


async def test_more_files_than_may_wait_are_refused(talk: Talk) -> None:
    full, _ = await send(talk, a_file("c.png"), at=A_B)

    after, turn = await send(talk, a_file("d.png"), at=full)

    assert after == full
    assert said(turn).startswith(
        "I didn't accept “d.png”: only 3 files can wait. "
        "Send the message they belong to, or drop one.\n\n3 files wait"
    )


async def test_more_bytes_than_may_wait_are_refused(talk: Talk) -> None:
    after, turn = await send(talk, a_file("c.png", 1_900_000), at=A_B)

    assert after == A_B
    assert said(turn) == (
        "I didn't accept “c.png” (1.9 MB): waiting files may total 3 MB. "
        f"Send the message they belong to, or drop one.\n\n{WAITING}"
    )


async def test_files_lists_what_waits_and_how_to_drop_it(talk: Talk) -> None:
    after, turn = await talk.step(talk.staging, Command("files"), at=A_B)

    assert after == A_B
    assert said(turn) == f"{WAITING}\n\n{HOW}"


async def test_files_clear_drops_all(talk: Talk) -> None:
    after, turn = await talk.step(talk.staging, Command("files", "Clear"), at=A_B)

    assert after == talk.staging.at_rest
    assert "dropped your 2 waiting files" in said(turn)


async def test_files_drop_drops_one_and_lists_the_others(talk: Talk) -> None:
    after, turn = await talk.step(talk.staging, Command("files", "drop  2"), at=A_B)

    assert after == A_ALONE
    assert said(turn) == (
        "1 file waits for your next message (12 kB):\n\n1. a.png (image/png, 12 kB)"
    )


async def test_dropping_the_last_leaves_nothing_waiting(talk: Talk) -> None:
    after, turn = await talk.step(talk.staging, Command("files", "drop 1"), at=A_ALONE)

    assert after == talk.staging.at_rest
    assert "I dropped your waiting file" in said(turn)


@pytest.mark.parametrize(
    "argument", ["CLEAR", "\uff43lear", "clear\u200b", "Drop  \uff11", "drop 01"]
)
async def test_what_is_to_be_dropped_is_known_however_it_is_typed(
    talk: Talk, argument: str
) -> None:
    after, _ = await talk.step(talk.staging, Command("files", argument), at=A_ALONE)

    assert after.state == "idle"


@pytest.mark.parametrize("argument", ["drop", "drop 0", "drop 3", "drop x", "drop 1 2", "all"])
async def test_another_argument_is_told_how_to_write_it(talk: Talk, argument: str) -> None:
    after, turn = await talk.step(talk.staging, Command("files", argument), at=A_B)

    assert after == A_B
    assert said(turn) == f"{HOW}\n\n{WAITING}"


@pytest.mark.parametrize("argument", ["", "clear", "clear.", "drop 1", "drop 1."])
async def test_files_with_nothing_staged_says_when_the_bot_restarted(
    talk: Talk, argument: str
) -> None:
    after, turn = await talk.step(talk.staging, Command("files", argument))

    assert after == talk.staging.at_rest
    assert "You have no waiting files here." in said(turn)
    assert "2026-01-02 03:04:05 UTC" in said(turn)


async def test_a_file_that_is_taken_back_waits_no_more(talk: Talk) -> None:
    one, first = await talk.step(talk.staging, REDACTED, at=A_B, about=B.event_id)
    none, second = await talk.step(talk.staging, REDACTED, at=one, about=A.event_id)

    assert one == A_ALONE
    assert none == talk.staging.at_rest
    assert first.effects == second.effects == []
    assert not await talk.answers(talk.staging, REDACTED, at=A_B, about=EventId("$other"))


async def test_files_for_which_no_message_came_are_dropped_aloud(talk: Talk) -> None:
    after, two = await talk.step(talk.staging, Expiry(), at=A_B)
    _, one = await talk.step(talk.staging, Expiry(), at=A_ALONE)

    assert after == talk.staging.at_rest
    text = "No message came for your 2 files, so I dropped them. You can send them again."
    assert two.effects == [Reply(room_id=ROOM, text=text)]
    assert said(one) == "No message came for your file, so I dropped it. You can send it again."


async def test_files_wait_as_long_as_the_config_says(talk: Talk) -> None:
    assert talk.staging.lifetime(talk.staging.staged) == timedelta(minutes=30)


async def test_cancel_drops_the_stage_and_is_silent_where_there_is_none(talk: Talk) -> None:
    cancel = Triggered(CancelStaged())

    after, turn = await talk.step(talk.staging, cancel, at=A_B)
    still, silent = await talk.step(talk.staging, cancel)

    assert after == still == talk.staging.at_rest
    assert "dropped your 2 waiting files" in said(turn)
    assert silent.effects == []
