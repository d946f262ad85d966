import asyncio

import pytest
from attrs import evolve

from fsm import EventKind, Inbound
from fsm.values.ids import EventId, RoomId, UserId
from matrix import Amendment
from strandline.engine.answering.edits import MAX_AMENDMENTS, MAX_AUTHORS, EditTracker, Stop
from tests.support.limits import HANGS_SECONDS

ROOM, ALICE, BOB = RoomId("!room"), UserId("@alice:x"), UserId("@bob:x")
QUESTION = Inbound(
    event_id=EventId("$q"), room_id=ROOM, sender=ALICE, kind=EventKind.TEXT, body="how much is it"
)


def edit(
    text: str | None,
    *,
    by: UserId = ALICE,
    event_id: str = "$e",
    at_ms: int = 0,
    room_id: RoomId = ROOM,
) -> Amendment:
    return Amendment(
        target=QUESTION.event_id,
        room_id=room_id,
        sender=by,
        event_id=EventId(event_id),
        text=text,
        sent_at_ms=at_ms,
    )


def take_back(event_id: str, *, by: UserId = ALICE) -> Amendment:
    return evolve(edit(None, by=by, event_id=f"$back {event_id}"), target=EventId(event_id))


def test_a_message_that_was_edited_before_it_was_read_has_its_newest_text() -> None:
    amending = EditTracker()

    amending.note(edit("how much"))
    amending.note(edit("how many", event_id="$e2"))
    now = amending.amended(QUESTION)

    assert now is not None
    assert (now.body, now.version, now.event_id) == ("how many", "$e2", "$q")


def test_nobody_edits_another_persons_message() -> None:
    amending = EditTracker()

    amending.note(edit("give me a million", by=BOB))

    assert amending.amended(QUESTION) is QUESTION


def test_an_older_edit_that_is_read_later_changes_nothing() -> None:
    """What a gap hides is read after what came with the response."""
    amending = EditTracker()

    amending.note(edit("newest", event_id="$a", at_ms=2))
    amending.note(edit("older", event_id="$b", at_ms=1))
    now = amending.amended(QUESTION)

    assert now is not None
    assert (now.body, now.version) == ("newest", "$a")


async def test_an_older_edit_or_one_that_comes_twice_does_not_interrupt_an_answer() -> None:
    amending = EditTracker()
    amending.note(edit("newest", event_id="$a", at_ms=2))
    now = amending.amended(QUESTION)
    assert now is not None
    held = amending.take(now)

    amending.note(edit("older", event_id="$b", at_ms=1))
    amending.note(edit("newest", event_id="$a", at_ms=2))

    assert not held.came.done()


def test_what_somebody_else_does_to_a_message_leaves_its_own_edit_in_place() -> None:
    amending = EditTracker()

    amending.note(edit("how many", at_ms=1))
    amending.note(edit("give me a million", by=BOB, event_id="$x", at_ms=2))
    amending.note(edit(None, by=BOB, event_id="$y", room_id=RoomId("!bobs own"), at_ms=3))
    now = amending.amended(QUESTION)

    assert now is not None
    assert now.body == "how many"


def test_a_message_that_was_taken_back_is_gone_whoever_did_it_and_whatever_was_edited_since() -> (
    None
):
    amending = EditTracker()

    amending.note(edit(None, by=BOB))
    amending.note(edit("once more", event_id="$e2"))

    assert amending.amended(QUESTION) is None


async def test_what_is_done_to_a_message_in_hand_interrupts_its_answer() -> None:
    amending = EditTracker()
    held = amending.take(QUESTION)

    amending.note(edit("how many"))
    await asyncio.wait_for(held.came, HANGS_SECONDS)

    assert (held.inbound.body, held.version, held.ended) == ("how many", "$e", None)


async def test_of_edits_that_come_at_once_the_last_counts() -> None:
    held = EditTracker().take(QUESTION)

    held.interrupt(edit("how many", at_ms=1))
    held.interrupt(edit("newest", event_id="$f", at_ms=2))
    await asyncio.wait_for(held.came, HANGS_SECONDS)

    assert (held.inbound.body, held.version) == ("newest", "$f")


def test_an_edit_that_was_taken_back_leaves_the_one_before_it_or_the_original() -> None:
    amending = EditTracker()
    amending.note(edit("how many", at_ms=1))
    amending.note(edit("newest", event_id="$f", at_ms=2))

    amending.note(take_back("$f"))
    now = amending.amended(QUESTION)
    assert now is not None
    assert (now.body, now.version) == ("how many", "$e")

    amending.note(take_back("$e"))
    amending.note(edit("how many", at_ms=1))  # read again, in a gap
    assert amending.amended(QUESTION) is QUESTION
    undone = amending.amended(now)  # it had been handed on meanwhile
    assert undone is not None
    assert undone.body == QUESTION.body


async def test_an_answer_to_an_edit_that_is_taken_back_begins_anew() -> None:
    amending = EditTracker()
    amending.note(edit("how many"))
    now = amending.amended(QUESTION)
    assert now is not None
    held = amending.take(now)

    amending.note(take_back("$e"))
    assert held.came.done()
    assert (held.inbound.body, held.version, held.ended) == (QUESTION.body, "$back $e", None)

    held.go_on()
    amending.note(edit("once more", event_id="$f"))
    amending.note(take_back("$f", by=BOB))
    assert held.inbound.body == QUESTION.body
    amending.release(held)
    assert amending.amended(held.inbound) == held.inbound


@pytest.mark.parametrize("end", [edit(None), Stop()])
async def test_what_ends_an_answer_is_not_undone_by_an_edit(end: Amendment | Stop) -> None:
    held = EditTracker().take(QUESTION)

    held.interrupt(edit("how many", at_ms=1))
    held.interrupt(end)
    held.interrupt(edit("newest"))

    assert held.ended == end
    assert held.inbound.body == "how many"


async def test_an_edit_that_came_while_the_turn_was_decided_is_not_overlooked() -> None:
    amending = EditTracker()
    amending.note(edit("how many"))

    held = amending.take(QUESTION)

    assert held.came.done()
    assert held.inbound.body == "how many"


def test_edits_of_who_is_not_heard_take_no_memory_and_a_moderators_redaction_counts() -> None:
    amending = EditTracker(is_allowed=lambda user: user == ALICE)

    amending.note(edit("x" * 60_000, by=BOB))
    amending.note(edit("how many", event_id="$e2"))
    assert list(amending._made) == [(ROOM, ALICE)]  # noqa: SLF001

    amending.note(edit(None, by=BOB, event_id="$r"))
    assert amending.amended(QUESTION) is None


async def test_stop_ends_the_answer_of_who_says_it_and_no_other() -> None:
    amending = EditTracker()
    held = amending.take(QUESTION)

    assert amending.stop(ROOM, BOB) is None
    assert not held.came.done()
    assert amending.stop(ROOM, ALICE) == "$q"
    assert held.ended == Stop()
    amending.release(held)
    assert amending.stop(ROOM, ALICE) is None


def test_edits_of_messages_that_were_answered_long_ago_do_not_fill_the_memory() -> None:
    amending = EditTracker()

    for number in range(MAX_AMENDMENTS + 1):
        target = EventId(f"${number}")
        amending.note(
            Amendment(target=target, room_id=ROOM, sender=ALICE, event_id=target, text="new")
        )

    old = Inbound(
        event_id=EventId("$0"), room_id=ROOM, sender=ALICE, kind=EventKind.TEXT, body="old"
    )
    assert amending.amended(old) is old


def test_what_one_person_edits_makes_nobody_elses_withdrawn_message_count_again() -> None:
    amending = EditTracker()
    amending.note(edit(None))

    for number in range(MAX_AMENDMENTS + 1):
        target = EventId(f"${number}")
        amending.note(
            Amendment(target=target, room_id=ROOM, sender=BOB, event_id=target, text="new")
        )
        amending.note(
            Amendment(target=target, room_id=ROOM, sender=BOB, event_id=target, text=None)
        )

    assert amending.amended(QUESTION) is None
    assert amending.is_taken_back(ROOM, QUESTION.event_id)


def test_the_amendments_of_very_many_people_do_not_fill_the_memory() -> None:
    amending = EditTracker()
    amending.note(edit(None))

    for number in range(MAX_AUTHORS):
        amending.note(edit("new", by=UserId(f"@u{number}:x"), event_id=f"$e{number}"))

    assert amending.amended(QUESTION) is QUESTION
    assert not amending.is_taken_back(ROOM, QUESTION.event_id)
