import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral.agents import agent_queue
from ephemeral.agents.agent_queue import AgentQueue, Ticket
from fsm.values.ids import AgentId, UserId
from tests.support.virtual_time import virtual_time

A1, A2 = AgentId("a1"), AgentId("a2")
ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")


def served(*tickets: Ticket) -> list[bool]:
    return [ticket.admitted.is_set() for ticket in tickets]


def test_an_agent_is_asked_so_many_questions_at_once_the_oldest_first() -> None:
    queue = AgentQueue(per_user=10)
    tickets = [queue.join(A1, ALICE, limit=2) for _ in range(4)]
    elsewhere = queue.join(A2, ALICE, limit=1)

    assert served(*tickets, elsewhere) == [True, True, False, False, True]
    queue.leave(tickets[0])
    assert served(*tickets) == [True, True, True, False]


def test_who_asks_much_is_passed_by_others_and_served_in_the_end() -> None:
    queue = AgentQueue(per_user=1)
    first, second = (queue.join(A1, ALICE, limit=2) for _ in range(2))
    bobs = queue.join(A1, BOB, limit=2)

    assert served(first, second, bobs) == [True, False, True]
    queue.leave(first)
    assert served(second) == [True]


def test_who_leaves_the_line_is_in_nobodys_way() -> None:
    queue = AgentQueue(per_user=5)
    first, second, third = (queue.join(A1, ALICE, limit=1) for _ in range(3))

    queue.leave(second)
    queue.leave(first)

    assert served(third) == [True]


@virtual_time
async def test_who_waits_long_is_told_the_ticket_and_each_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_queue, "POSITION_AFTER_SECONDS", 0.02)
    monkeypatch.setattr(agent_queue, "POSITION_INTERVAL_SECONDS", 0.01)
    queue = AgentQueue(per_user=5)
    first, second, third = (queue.join(A1, ALICE, limit=1) for _ in range(3))
    positions = queue.positions(third)

    assert await anext(positions) == 2
    queue.leave(second)
    assert await anext(positions) == 1
    queue.leave(first)

    assert [position async for position in positions] == []


@virtual_time
async def test_who_waits_shortly_is_told_nothing() -> None:
    queue = AgentQueue(per_user=5)
    first, second = (queue.join(A1, ALICE, limit=1) for _ in range(2))
    told = asyncio.ensure_future(anext(queue.positions(second), 0))
    await asyncio.sleep(0.01)

    queue.leave(first)

    assert await told == 0


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(
        st.one_of(
            st.tuples(st.just("join"), st.sampled_from([A1, A2]), st.sampled_from([ALICE, BOB])),
            st.tuples(st.just("leave"), st.integers(0, 20), st.none()),
        ),
        max_size=60,
    ),
)
def test_limits_are_kept_and_nobody_waits_without_need(
    limit: int, per_user: int, steps: list[tuple[str, object, object]]
) -> None:
    queue, tickets = AgentQueue(per_user=per_user), list[Ticket]()
    for what, which, who in steps:
        if what == "join":
            tickets.append(queue.join(AgentId(str(which)), UserId(str(who)), limit=limit))
        elif tickets:
            assert isinstance(which, int)
            queue.leave(tickets.pop(which % len(tickets)))

        for agent in (A1, A2):
            theirs = [p for p in tickets if p.agent_id == agent]
            at_work = sum(served(*theirs))
            assert at_work <= limit
            for ticket in theirs:
                of_one = sum(served(*(p for p in tickets if p.user_id == ticket.user_id)))
                assert of_one <= per_user
                assert ticket.admitted.is_set() or at_work == limit or of_one == per_user
