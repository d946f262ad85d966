import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral.agents import queue as lines
from ephemeral.agents.queue import AgentQueue, Ticket
from fsm.values.ids import AgentId, UserId
from tests.support.virtual_time import virtual_time

A1, A2 = AgentId("a1"), AgentId("a2")
ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")


def served(*places: Ticket) -> list[bool]:
    return [place.served.is_set() for place in places]


def test_an_agent_is_asked_so_many_questions_at_once_the_oldest_first() -> None:
    queue = AgentQueue(each=10)
    places = [queue.join(A1, ALICE, most=2) for _ in range(4)]
    elsewhere = queue.join(A2, ALICE, most=1)

    assert served(*places, elsewhere) == [True, True, False, False, True]
    queue.leave(places[0])
    assert served(*places) == [True, True, True, False]


def test_who_asks_much_is_passed_by_others_and_served_in_the_end() -> None:
    queue = AgentQueue(each=1)
    first, second = (queue.join(A1, ALICE, most=2) for _ in range(2))
    bobs = queue.join(A1, BOB, most=2)

    assert served(first, second, bobs) == [True, False, True]
    queue.leave(first)
    assert served(second) == [True]


def test_who_leaves_the_line_is_in_nobodys_way() -> None:
    queue = AgentQueue(each=5)
    first, second, third = (queue.join(A1, ALICE, most=1) for _ in range(3))

    queue.leave(second)
    queue.leave(first)

    assert served(third) == [True]


@virtual_time
async def test_who_waits_long_is_told_the_place_and_each_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "PATIENCE_SECONDS", 0.02)
    monkeypatch.setattr(lines, "NEWS_SECONDS", 0.01)
    queue = AgentQueue(each=5)
    first, second, third = (queue.join(A1, ALICE, most=1) for _ in range(3))
    positions = queue.positions(third)

    assert await anext(positions) == 2
    queue.leave(second)
    assert await anext(positions) == 1
    queue.leave(first)

    assert [position async for position in positions] == []


@virtual_time
async def test_who_waits_shortly_is_told_nothing() -> None:
    queue = AgentQueue(each=5)
    first, second = (queue.join(A1, ALICE, most=1) for _ in range(2))
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
    most: int, each: int, steps: list[tuple[str, object, object]]
) -> None:
    queue, places = AgentQueue(each=each), list[Ticket]()
    for what, which, who in steps:
        if what == "join":
            places.append(queue.join(AgentId(str(which)), UserId(str(who)), most=most))
        elif places:
            assert isinstance(which, int)
            queue.leave(places.pop(which % len(places)))

        for agent in (A1, A2):
            theirs = [p for p in places if p.agent_id == agent]
            at_work = sum(served(*theirs))
            assert at_work <= most
            for place in theirs:
                of_one = sum(served(*(p for p in places if p.asker == place.asker)))
                assert of_one <= each
                assert place.served.is_set() or at_work == most or of_one == each
