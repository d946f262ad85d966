import pytest

from ephemeral.confirmation import Pending
from ephemeral.held import MOST, Waiting
from fsm import Command, Signal, Snapshot
from fsm.effects import Reopen
from fsm.questions import Question
from tests.flows.kit import Talk, registry, said, signals

ARCHIVE = Signal("room", "archive")
ASK = Signal("confirmation", "ask", Question("Archive?", then=ARCHIVE))
AWAITING = Snapshot("awaiting", Pending(ARCHIVE))


@pytest.fixture
def talk() -> Talk:
    return Talk(registry("agent-1"))


async def test_a_question_waits_for_yes_and_says_how_to_answer(talk: Talk) -> None:
    after, turn = await talk.step(talk.confirmation, ASK)

    assert after == AWAITING
    assert said(turn) == "Archive? `!yes` or `!no`, within 5 minutes."


async def test_yes_triggers_what_was_asked_about(talk: Talk) -> None:
    after, turn = await talk.step(talk.confirmation, Command("yes"), at=AWAITING)

    assert after == talk.confirmation.at_rest
    assert signals(turn) == [("room", "archive")]


@pytest.mark.parametrize("command", ["no", "cancel"])
async def test_no_and_cancel_leave_everything_as_it_was(talk: Talk, command: str) -> None:
    after, turn = await talk.step(talk.confirmation, Command(command), at=AWAITING)

    assert after == talk.confirmation.at_rest
    assert signals(turn) == []
    assert "nothing has been changed" in said(turn)


async def test_a_second_question_replaces_the_first_and_says_so(talk: Talk) -> None:
    _, turn = await talk.step(talk.confirmation, ASK, at=AWAITING)

    assert said(turn).startswith("This replaces the question that was open.")


@pytest.mark.parametrize("command", ["yes", "no"])
async def test_an_answer_without_a_question_says_when_the_bot_restarted(
    talk: Talk, command: str
) -> None:
    after, turn = await talk.step(talk.confirmation, Command(command))

    assert after == talk.confirmation.at_rest
    assert "2026-01-02 03:04:05 UTC" in said(turn)


async def test_held_messages_are_handled_again_in_their_order(talk: Talk) -> None:
    first, one = await talk.step(talk.held, Signal("held", "hold"))
    second, two = await talk.step(talk.held, Signal("held", "hold"), at=first)

    after, turn = await talk.step(talk.held, Signal("held", "release"), at=second)

    assert after == talk.held.at_rest
    assert turn.effects == [
        Reopen(inbound=one.inbound, attempt=1),
        Reopen(inbound=two.inbound, attempt=1),
    ]


async def test_only_so_many_messages_are_held(talk: Talk) -> None:
    held = talk.held.at_rest
    for _ in range(MOST + 1):
        held, last = await talk.step(talk.held, Signal("held", "hold"), at=held)

    assert isinstance(held.data, Waiting)
    assert len(held.data.messages) == MOST
    assert held.data.messages[-1] == (last.inbound, 0)


async def test_releasing_nothing_does_nothing(talk: Talk) -> None:
    after, turn = await talk.step(talk.held, Signal("held", "release"))

    assert (after, turn.effects) == (talk.held.at_rest, [])


async def test_cancel_drops_what_is_held(talk: Talk) -> None:
    held, _ = await talk.step(talk.held, Signal("held", "hold"))

    after, turn = await talk.step(talk.held, Command("cancel"), at=held)

    assert after == talk.held.at_rest
    assert "won't pass your message on" in said(turn)
