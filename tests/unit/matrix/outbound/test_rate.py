from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fsm.values.ids import RoomId
from matrix.outbound.rate import FIRST_RATE, LEAST_RATE, MOST_RATE, SLOW_SECONDS, EditPace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(pace: EditPace, clock: Clock, rooms: list[RoomId], *, seconds: float) -> Counter[RoomId]:
    """Each room wants an edit each second, all at the same moments."""
    made: Counter[RoomId] = Counter()
    end = clock.now + seconds
    while clock.now < end:
        for room in rooms:
            if pace.may(room):
                made[room] += 1
        clock.now += 1
    return made


def some(number: int) -> list[RoomId]:
    return [RoomId(f"!{n}") for n in range(number)]


def test_few_rooms_are_not_held_up() -> None:
    clock = Clock()

    made = run(EditPace(clock), clock, some(10), seconds=10)

    assert set(made.values()) == {10}


def test_many_rooms_share_what_there_is_alike() -> None:
    clock = Clock()
    pace = EditPace(clock)

    run(pace, clock, some(200), seconds=10)
    made = run(pace, clock, some(200), seconds=100)

    assert len(made) == 200
    assert max(made.values()) - min(made.values()) <= 1
    assert sum(made.values()) <= FIRST_RATE * 100


def test_a_refusal_halves_the_pace_and_is_waited_out() -> None:
    clock = Clock()
    pace = EditPace(clock)

    pace.refused(2_000)
    pace.refused(1_000)  # sent before the first was known

    assert pace.rate == FIRST_RATE / 2
    assert not pace.may(RoomId("!1"))
    clock.now += 2
    assert pace.may(RoomId("!1"))


def test_the_pace_comes_back_when_all_is_well_and_gives_way_when_it_is_slow() -> None:
    clock = Clock()
    pace = EditPace(clock)
    pace.refused(0)

    for _ in range(200):
        pace.taken(0.01)
    assert pace.rate > FIRST_RATE
    before = pace.rate
    pace.taken(SLOW_SECONDS + 1)
    assert pace.rate < before


def test_a_room_that_wants_no_more_leaves_its_share_to_others() -> None:
    clock = Clock()
    pace = EditPace(clock)
    run(pace, clock, some(200), seconds=30)

    run(pace, clock, some(2), seconds=60)

    assert run(pace, clock, some(2), seconds=10) == Counter(dict.fromkeys(some(2), 10))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("wait"), st.floats(0, 100)),
            st.tuples(st.just("want"), st.floats(0, 20)),
            st.tuples(st.just("taken"), st.floats(0, 100)),
            st.tuples(st.just("refused"), st.floats(0, 1e6)),
        ),
        max_size=80,
    )
)
def test_whatever_happens_each_room_has_its_turn_again(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    pace = EditPace(clock)
    for what, number in steps:
        if what == "wait":
            clock.now += number
        elif what == "want":
            pace.may(RoomId(f"!{int(number)}"))
        elif what == "taken":
            pace.taken(number)
        else:
            pace.refused(int(number))
        assert LEAST_RATE <= pace.rate <= MOST_RATE

    clock.now += 1_000 + 21 / LEAST_RATE
    assert pace.may(RoomId("!0"))
