import pytest

from durable.flows.signals import ArchiveRoom
from ephemeral.flows.confirmation import CancelConfirmation
from ephemeral.flows.held_messages import CancelHeld, Waiting
from ephemeral.flows.load_selection import CancelSelection
from ephemeral.flows.staged_files import CancelStaged, Staged
from fsm import Attachment, Command, Flow, Snapshot, Triggered, Turn
from fsm.checks.naming import receiver
from fsm.values.ids import EventId
from fsm.values.messages import Question
from strandline.flows.service import Service
from tests.support.talk import NOW, Talk, registry, said, signals

ASK = Triggered(Question("Archive?", then=Triggered(ArchiveRoom())))


@pytest.fixture
def talk() -> Talk:
    return Talk(registry("agent-1"))


def service() -> Service:
    return Service(
        registry("agent-1"),
        commands=["yes", "load", "files"],
        cancellable=(CancelConfirmation(), CancelSelection(), CancelStaged(), CancelHeld()),
        started_at=NOW,
    )


def pending_flows(talk: Talk) -> list[Flow]:
    return [talk.confirmation, talk.selection, talk.staging, talk.held]


async def cancel(talk: Talk, standing: dict[str, Snapshot]) -> Turn:
    """One turn of ``!cancel``, with the signals that follow it, over these conversations."""
    speaker = service()
    flows = {flow.name: flow for flow in (*pending_flows(talk), speaker)}
    _, turn = await talk.step(speaker, Command("cancel"))
    while turn.signals:
        signal = turn.signals.pop(0)
        flow = receiver(signal.signal, flows)
        assert flow is not None
        before = standing.get(flow.name, flow.at_rest)
        step = turn.answering(signal, before.data)
        move = flow.choose(before, signal, step)
        assert move is not None
        standing[flow.name] = await flow.step(before, move, step)
    return turn


async def test_cancel_drops_all_that_is_pending_and_says_what_that_was(talk: Talk) -> None:
    awaiting, _ = await talk.step(talk.confirmation, ASK)
    file = Attachment(event_id=EventId("$f"), name="a.png")
    inbound = talk.inbound()
    standing = {
        "confirmation": awaiting,
        "staging": Snapshot("staged", Staged((file,))),
        "held": Snapshot("holding", Waiting(((inbound, 0),))),
    }

    turn = await cancel(talk, standing)

    assert [standing[flow.name] for flow in pending_flows(talk)] == [
        flow.at_rest for flow in pending_flows(talk)
    ]
    assert said(turn).splitlines() == [
        "OK, nothing was changed.",
        "OK, I dropped your waiting file.",
        "OK, I won't pass your message on.",
    ]


async def test_cancel_with_nothing_pending_says_so(talk: Talk) -> None:
    turn = await cancel(talk, {})

    assert said(turn) == "Nothing is pending here, so there is nothing to cancel."


@pytest.mark.parametrize("command", ["yes", "no"])
async def test_an_answer_without_a_question_says_when_the_bot_restarted(
    talk: Talk, command: str
) -> None:
    _, turn = await talk.step(service(), Command(command))

    assert signals(turn) == []
    assert said(turn).startswith("I have no open question for you here.")
    assert "2026-01-02 03:04:05 UTC" in said(turn)
