import asyncio

import pytest
from attrs import evolve

from fsm import EventKind, Inbound
from fsm.values.ids import EventId, RoomId, UserId
from matrix import MessageChange
from strandline.engine.answering.answer import ActiveAnswer, Stop
from strandline.engine.answering.edits import MAX_AMENDMENTS, MAX_AUTHORS, EditTracker
from tests.support.limits import HANGS_SECONDS
from tests.unit.strandline.engine.answering.answers import answer_to, question_of

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
) -> MessageChange:
    return MessageChange(
        target=QUESTION.event_id,
        room_id=room_id,
        sender=by,
        event_id=EventId(event_id),
        text=text,
        sent_at_ms=at_ms,
    )


def take_back(event_id: str, *, by: UserId = ALICE) -> MessageChange:
    return evolve(edit(None, by=by, event_id=f"$back {event_id}"), target=EventId(event_id))


def track(edits: EditTracker, inbound: Inbound) -> ActiveAnswer:
    answer = answer_to(question_of(inbound))
    edits.track(answer)
    return answer


def test_a_message_that_was_edited_before_it_was_read_has_its_newest_text() -> None:
    edits = EditTracker()

    edits.note(edit("how much"))
    edits.note(edit("how many", event_id="$e2"))
    now = edits.amended(QUESTION)

    assert now is not None
    assert (now.body, now.version, now.event_id) == ("how many", "$e2", "$q")


def test_nobody_edits_another_persons_message() -> None:
    edits = EditTracker()

    edits.note(edit("give me a million", by=BOB))

    assert edits.amended(QUESTION) is QUESTION


def test_an_older_edit_that_is_read_later_changes_nothing() -> None:
    """What a gap hides is read after what came with the response."""
    edits = EditTracker()

    edits.note(edit("newest", event_id="$a", at_ms=2))
    edits.note(edit("older", event_id="$b", at_ms=1))
    now = edits.amended(QUESTION)

    assert now is not None
    assert (now.body, now.version) == ("newest", "$a")


async def test_an_older_edit_or_one_that_comes_twice_does_not_interrupt_an_answer() -> None:
    edits = EditTracker()
    edits.note(edit("newest", event_id="$a", at_ms=2))
    now = edits.amended(QUESTION)
    assert now is not None
    answer = track(edits, now)

    edits.note(edit("older", event_id="$b", at_ms=1))
    edits.note(edit("newest", event_id="$a", at_ms=2))

    assert not answer.changed.done()


def test_what_somebody_else_does_to_a_message_leaves_its_own_edit_in_place() -> None:
    edits = EditTracker()

    edits.note(edit("how many", at_ms=1))
    edits.note(edit("give me a million", by=BOB, event_id="$x", at_ms=2))
    edits.note(edit(None, by=BOB, event_id="$y", room_id=RoomId("!bobs own"), at_ms=3))
    now = edits.amended(QUESTION)

    assert now is not None
    assert now.body == "how many"


def test_a_message_that_was_taken_back_is_gone_whoever_did_it_and_whatever_was_edited_since() -> (
    None
):
    edits = EditTracker()

    edits.note(edit(None, by=BOB))
    edits.note(edit("once more", event_id="$e2"))

    assert edits.amended(QUESTION) is None


async def test_what_is_done_to_a_message_in_hand_interrupts_its_answer() -> None:
    edits = EditTracker()
    answer = track(edits, QUESTION)

    edits.note(edit("how many"))
    await asyncio.wait_for(answer.changed, HANGS_SECONDS)

    assert (answer.inbound.body, answer.version, answer.ended) == ("how many", "$e", None)


async def test_of_edits_that_come_at_once_the_last_counts() -> None:
    answer = answer_to(question_of(QUESTION))

    answer.interrupt(edit("how many", at_ms=1))
    answer.interrupt(edit("newest", event_id="$f", at_ms=2))
    await asyncio.wait_for(answer.changed, HANGS_SECONDS)

    assert (answer.inbound.body, answer.version) == ("newest", "$f")


def test_an_edit_that_was_taken_back_leaves_the_one_before_it_or_the_original() -> None:
    edits = EditTracker()
    edits.note(edit("how many", at_ms=1))
    edits.note(edit("newest", event_id="$f", at_ms=2))

    edits.note(take_back("$f"))
    now = edits.amended(QUESTION)
    assert now is not None
    assert (now.body, now.version) == ("how many", "$e")

    edits.note(take_back("$e"))
    edits.note(edit("how many", at_ms=1))  # read again, in a gap
    assert edits.amended(QUESTION) is QUESTION
    undone = edits.amended(now)  # it had been handed on meanwhile
    assert undone is not None
    assert undone.body == QUESTION.body


async def test_an_answer_to_an_edit_that_is_redacted_begins_anew() -> None:
    edits = EditTracker()
    edits.note(edit("how many"))
    now = edits.amended(QUESTION)
    assert now is not None
    answer = track(edits, now)

    edits.note(take_back("$e"))
    assert answer.changed.done()
    assert (answer.inbound.body, answer.version, answer.ended) == (QUESTION.body, "$back $e", None)

    answer.restart()
    edits.note(edit("once more", event_id="$f"))
    edits.note(take_back("$f", by=BOB))
    assert answer.inbound.body == QUESTION.body
    edits.release(answer)
    assert edits.amended(answer.inbound) == answer.inbound


@pytest.mark.parametrize("end", [edit(None), Stop()])
async def test_what_ends_an_answer_is_not_undone_by_an_edit(end: MessageChange | Stop) -> None:
    answer = answer_to(question_of(QUESTION))

    answer.interrupt(edit("how many", at_ms=1))
    answer.interrupt(end)
    answer.interrupt(edit("newest"))

    assert answer.ended == end
    assert answer.inbound.body == "how many"


async def test_an_edit_that_came_while_the_turn_was_decided_is_not_overlooked() -> None:
    edits = EditTracker()
    edits.note(edit("how many"))

    answer = track(edits, QUESTION)

    assert answer.changed.done()
    assert answer.inbound.body == "how many"


def test_edits_of_who_is_not_heard_take_no_memory_and_a_moderators_redaction_counts() -> None:
    edits = EditTracker(is_allowed=lambda user: user == ALICE)

    edits.note(edit("x" * 60_000, by=BOB))
    edits.note(edit("how many", event_id="$e2"))
    assert list(edits._amendments) == [(ROOM, ALICE)]  # noqa: SLF001

    edits.note(edit(None, by=BOB, event_id="$r"))
    assert edits.amended(QUESTION) is None


async def test_stop_ends_the_answer_of_who_says_it_and_no_other() -> None:
    edits = EditTracker()
    answer = track(edits, QUESTION)

    assert edits.stop(ROOM, BOB) is None
    assert not answer.changed.done()
    assert edits.stop(ROOM, ALICE) == "$q"
    assert answer.ended == Stop()
    edits.release(answer)
    assert edits.stop(ROOM, ALICE) is None


def test_edits_of_messages_that_were_answered_long_ago_do_not_fill_the_memory() -> None:
    edits = EditTracker()

    for number in range(MAX_AMENDMENTS + 1):
        target = EventId(f"${number}")
        edits.note(
            MessageChange(target=target, room_id=ROOM, sender=ALICE, event_id=target, text="new")
        )

    old = Inbound(
        event_id=EventId("$0"), room_id=ROOM, sender=ALICE, kind=EventKind.TEXT, body="old"
    )
    assert edits.amended(old) is old


def test_what_one_person_edits_makes_nobody_elses_withdrawn_message_count_again() -> None:
    edits = EditTracker()
    edits.note(edit(None))

    for number in range(MAX_AMENDMENTS + 1):
        target = EventId(f"${number}")
        edits.note(
            MessageChange(target=target, room_id=ROOM, sender=BOB, event_id=target, text="new")
        )
        edits.note(
            MessageChange(target=target, room_id=ROOM, sender=BOB, event_id=target, text=None)
        )

    assert edits.amended(QUESTION) is None
    assert edits.is_redacted(ROOM, QUESTION.event_id)


def test_the_amendments_of_very_many_people_do_not_fill_the_memory() -> None:
    edits = EditTracker()
    edits.note(edit(None))

    for number in range(MAX_AUTHORS):
        edits.note(edit("new", by=UserId(f"@u{number}:x"), event_id=f"$e{number}"))

    assert edits.amended(QUESTION) is QUESTION
    assert not edits.is_redacted(ROOM, QUESTION.event_id)
