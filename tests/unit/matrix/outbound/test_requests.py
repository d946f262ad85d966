"""What is remembered of sent messages, and who waits when the homeserver limits invites."""

import asyncio

import pytest

from fsm.outbox import EditRow, InviteRow, StateRow
from fsm.values.ids import EventId, TransactionId, UserId
from matrix import Homeserver
from matrix.api.errors import RateLimited
from matrix.outbound.requests import RowRequests
from tests.support.fakes.homeserver import Answer, ScriptedHomeserver
from tests.support.sync_answers import ALICE, ROOM, send


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def edit(sent_as: str) -> EditRow:
    return EditRow(
        transaction_id=TransactionId(f"edit of {sent_as}"),
        room_id=ROOM,
        content={"body": "new"},
        sent_as=TransactionId(sent_as),
    )


def invite() -> InviteRow:
    return InviteRow(transaction_id=TransactionId("t1"), room_id=ROOM, user_id=UserId(ALICE))


def topic(transaction_id: str) -> StateRow:
    return StateRow(
        transaction_id=TransactionId(transaction_id),
        room_id=ROOM,
        event_type="m.room.topic",
        state_key="",
        content={},
    )


def limited(retry_after_ms: int, held: asyncio.Event | None = None) -> Answer:
    body = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": retry_after_ms}
    return Answer(429, body, held=held)


async def test_a_thousand_sent_messages_are_remembered_and_older_ones_are_looked_for(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    effects = RowRequests(homeserver, Clock())
    for number in range(1_001):
        effects.remember_event_id(send("", f"t{number}"), EventId(f"$e{number}"))

    await effects.attempt(edit("t1"), look_first=False)
    await effects.attempt(edit("t1000"), look_first=False)
    edited = [content["m.relates_to"]["event_id"] for _, _, content in server.contents]
    assert (edited, server.asked("rooms.messages")) == (["$e1", "$e1000"], [])

    assert await effects.attempt(edit("t0"), look_first=False) is None
    assert len(server.asked("rooms.messages")) == 1


async def test_only_messages_are_remembered_to_be_edited_and_others_take_no_place(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    effects = RowRequests(homeserver, Clock())
    effects.remember_event_id(send("", "kept"), EventId("$kept"))
    for number in range(1_000):
        effects.remember_event_id(send("", f"lost {number}"), None)
        effects.remember_event_id(topic(f"set {number}"), EventId("$state"))

    assert await effects.attempt(edit("set 1"), look_first=False) is None
    assert server.contents == []
    await effects.attempt(edit("kept"), look_first=False)
    [(_, _, content)] = server.contents
    assert content["m.relates_to"]["event_id"] == "$kept"


async def test_a_short_limit_on_invites_holds_the_next_one_until_it_has_passed(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    clock = Clock()
    effects = RowRequests(homeserver, clock)
    await server.script("rooms.invite", limited(30_000))
    with pytest.raises(RateLimited):
        await effects.attempt(invite(), look_first=False)

    clock.now = 29.0
    waiting = asyncio.ensure_future(effects.attempt(invite(), look_first=False))
    await asyncio.sleep(0.1)
    assert (waiting.done(), len(server.asked("rooms.invite"))) == (False, 1)
    waiting.cancel()

    clock.now = 30.0
    await effects.attempt(invite(), look_first=False)
    assert len(server.asked("rooms.invite")) == 2


async def test_a_limit_that_is_longer_holds_no_other_invite(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    effects = RowRequests(homeserver, Clock())
    await server.script("rooms.invite", limited(30_001))

    with pytest.raises(RateLimited):
        await effects.attempt(invite(), look_first=False)
    async with asyncio.timeout(10):
        await effects.attempt(invite(), look_first=False)

    assert len(server.asked("rooms.invite")) == 2


async def test_invites_leave_one_at_a_time(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    effects = RowRequests(homeserver, Clock())
    held = asyncio.Event()
    await server.script("rooms.invite", Answer(held=held))
    both = [asyncio.ensure_future(effects.attempt(invite(), look_first=False)) for _ in range(2)]
    await server.was_asked("rooms.invite")
    await asyncio.sleep(0.1)
    assert len(server.asked("rooms.invite")) == 1

    held.set()
    await asyncio.gather(*both)

    assert len(server.asked("rooms.invite")) == 2
