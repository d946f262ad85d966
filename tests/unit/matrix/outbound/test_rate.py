from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fsm.values.ids import RoomId
from matrix.outbound.rate import INITIAL_RATE, MAX_RATE, MIN_RATE, SLOW_SECONDS, EditRateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(
    pace: EditRateLimiter, clock: Clock, rooms: list[RoomId], *, seconds: float
) -> Counter[RoomId]:
    """Each room wants an edit each second, all at the same moments."""
    made: Counter[RoomId] = Counter()
    end = clock.now + seconds
    while clock.now < end:
        for room in rooms:
            if pace.allows(room):
                made[room] += 1
        clock.now += 1
    return made


def some(number: int) -> list[RoomId]:
    return [RoomId(f"!{n}") for n in range(number)]


def test_few_rooms_are_not_held_up() -> None:
    clock = Clock()

    made = run(EditRateLimiter(clock), clock, some(10), seconds=10)

    assert set(made.values()) == {10}


def test_many_rooms_share_what_there_is_alike() -> None:
    clock = Clock()
    pace = EditRateLimiter(clock)

    run(pace, clock, some(200), seconds=10)
    made = run(pace, clock, some(200), seconds=100)

    assert len(made) == 200
    assert max(made.values()) - min(made.values()) <= 1
    assert sum(made.values()) <= INITIAL_RATE * 100


def test_a_refusal_halves_the_pace_and_is_waited_out() -> None:
    clock = Clock()
    pace = EditRateLimiter(clock)

    pace.rate_limited(2_000)
    pace.rate_limited(1_000)  # sent before the first was known

    assert pace.rate == INITIAL_RATE / 2
    assert not pace.allows(RoomId("!1"))
    clock.now += 2
    assert pace.allows(RoomId("!1"))


def test_the_pace_comes_back_when_all_is_well_and_gives_way_when_it_is_slow() -> None:
    clock = Clock()
    pace = EditRateLimiter(clock)
    pace.rate_limited(0)

    for _ in range(200):
        pace.succeeded(0.01)
    assert pace.rate > INITIAL_RATE
    before = pace.rate
    pace.succeeded(SLOW_SECONDS + 1)
    assert pace.rate < before


def test_a_room_that_wants_no_more_leaves_its_share_to_others() -> None:
    clock = Clock()
    pace = EditRateLimiter(clock)
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
    pace = EditRateLimiter(clock)
    for what, number in steps:
        if what == "wait":
            clock.now += number
        elif what == "want":
            pace.allows(RoomId(f"!{int(number)}"))
        elif what == "taken":
            pace.succeeded(number)
        else:
            pace.rate_limited(int(number))
        assert MIN_RATE <= pace.rate <= MAX_RATE

    clock.now += 1_000 + 21 / MIN_RATE
    assert pace.allows(RoomId("!0"))
