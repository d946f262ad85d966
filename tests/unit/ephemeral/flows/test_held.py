import pytest
from attrs import evolve

from ephemeral.flows.held_messages import MOST, CancelHeld, Waiting
from fsm import Attachment, EventKind, Expiry, RoomEvent, Snapshot, Triggered
from fsm.effects import Reopen
from fsm.values.ids import EventId
from fsm.values.messages import Said
from fsm.values.signals import Hold, Release
from tests.support.talk import Talk, registry, said


@pytest.fixture
def talk() -> Talk:
    return Talk(registry("agent-1"))


async def test_held_messages_are_handled_again_in_their_order(talk: Talk) -> None:
    first, one = await talk.step(talk.held, Triggered(Hold()))
    second, two = await talk.step(talk.held, Triggered(Hold()), at=first)

    after, turn = await talk.step(talk.held, Triggered(Release()), at=second)

    assert after == talk.held.at_rest
    assert turn.effects == [
        Reopen(inbound=one.inbound, attempt=1),
        Reopen(inbound=two.inbound, attempt=1),
    ]


async def test_only_so_many_messages_are_held(talk: Talk) -> None:
    held = talk.held.at_rest
    for _ in range(MOST + 1):
        held, last = await talk.step(talk.held, Triggered(Hold()), at=held)

    assert isinstance(held.data, Waiting)
    assert len(held.data.messages) == MOST
    assert held.data.messages[-1] == (last.inbound, 0)


async def test_releasing_nothing_does_nothing(talk: Talk) -> None:
    after, turn = await talk.step(talk.held, Triggered(Release()))

    assert (after, turn.effects) == (talk.held.at_rest, [])


async def test_cancel_drops_what_is_held(talk: Talk) -> None:
    held, _ = await talk.step(talk.held, Triggered(Hold()))

    after, turn = await talk.step(talk.held, Triggered(CancelHeld()), at=held)
    _, silent = await talk.step(talk.held, Triggered(CancelHeld()))

    assert after == talk.held.at_rest
    assert said(turn) == "OK, I won't pass your message on."
    assert silent.effects == []


async def test_a_message_is_held_with_its_files(talk: Talk) -> None:
    file = Attachment(event_id=EventId("$f"), name="a.png")

    held, turn = await talk.step(talk.held, Triggered(Hold(Said("look", (file,)))))
    _, released = await talk.step(talk.held, Triggered(Release()), at=held)

    inbound = evolve(turn.inbound, attachments=(file,))
    assert released.effects == [Reopen(inbound=inbound, attempt=1)]


async def test_a_held_message_that_is_taken_back_is_not_passed_on(talk: Talk) -> None:
    first, one = await talk.step(talk.held, Triggered(Hold()))
    second, two = await talk.step(talk.held, Triggered(Hold()), at=first)
    redacted = RoomEvent(EventKind.REDACTED)

    left, silent = await talk.step(talk.held, redacted, at=second, about=one.inbound.event_id)
    after, _ = await talk.step(talk.held, redacted, at=left, about=two.inbound.event_id)

    assert left == Snapshot("holding", Waiting(((two.inbound, 0),)))
    assert silent.effects == []
    assert after == talk.held.at_rest


async def test_taking_back_something_else_is_left_to_other_flows(talk: Talk) -> None:
    held, _ = await talk.step(talk.held, Triggered(Hold()))
    redacted = RoomEvent(EventKind.REDACTED)

    assert not await talk.answers(talk.held, redacted, at=held, about=EventId("$other"))
    assert not await talk.answers(talk.held, redacted, about=EventId("$other"))


async def test_held_messages_whose_time_is_up_are_given_up_aloud(talk: Talk) -> None:
    first, _ = await talk.step(talk.held, Triggered(Hold()))
    second, _ = await talk.step(talk.held, Triggered(Hold()), at=first)

    after, one = await talk.step(talk.held, Expiry(), at=first)
    _, two = await talk.step(talk.held, Expiry(), at=second)

    assert after == talk.held.at_rest
    assert "dropped 1 waiting message" in said(one)
    assert "dropped 2 waiting messages" in said(two)
