"""When a circuit breaker lets a try pass, second by second."""

from ephemeral.agents.breaker import Breaker


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    """A breaker that three failures have opened just now."""
    breaker = Breaker(clock)
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    return breaker


def closed_for(breaker: Breaker, clock: Clock) -> float:
    """How long nothing passes from now on, in steps of a second; then one try does."""
    begun = clock.now
    while not breaker.allows():
        clock.now += 1.0
    return clock.now - begun


def test_two_failures_in_a_row_change_nothing_and_the_third_opens() -> None:
    breaker = Breaker(Clock())
    for _ in range(2):
        breaker.failed()
        assert (breaker.is_open, breaker.allows()) == (False, True)

    breaker.failed()

    assert (breaker.is_open, breaker.allows()) == (True, False)


def test_failures_that_are_not_in_a_row_do_not_open() -> None:
    breaker = Breaker(Clock())
    for _ in range(2):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()

    assert (breaker.is_open, breaker.allows()) == (False, True)


def test_nothing_passes_for_five_seconds_and_then_one_trial() -> None:
    clock = Clock()
    breaker = opened(clock)

    clock.now = 4.999
    assert not breaker.allows()
    clock.now = 5.0
    assert breaker.allows()

    clock.now = 1000.0
    assert (breaker.allows(), breaker.is_open) == (False, True), "one trial at a time"


def test_a_trial_that_succeeds_closes_and_what_was_before_is_forgotten() -> None:
    clock = Clock()
    breaker = opened(clock)
    closed_for(breaker, clock)
    breaker.failed()
    closed_for(breaker, clock)

    breaker.succeeded()

    assert [breaker.allows() for _ in range(3)] == [True] * 3
    assert not breaker.is_open
    breaker.failed()
    breaker.failed()
    assert not breaker.is_open
    breaker.failed()
    assert closed_for(breaker, clock) == 5.0


def test_each_trial_that_fails_doubles_the_pause_up_to_two_minutes() -> None:
    clock = Clock()
    breaker = opened(clock)
    pauses = []
    for _ in range(8):
        pauses.append(closed_for(breaker, clock))
        breaker.failed()

    assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0, 120.0]


def test_a_trial_that_nobody_waited_for_is_followed_by_another_at_once() -> None:
    clock = Clock()
    breaker = opened(clock)
    closed_for(breaker, clock)

    breaker.cancelled()

    assert (breaker.allows(), breaker.allows(), breaker.is_open) == (True, False, True)
    breaker.failed()
    assert closed_for(breaker, clock) == 10.0


def test_to_give_up_a_try_while_closed_changes_nothing() -> None:
    breaker = Breaker(Clock())
    breaker.failed()
    breaker.failed()

    breaker.cancelled()

    assert breaker.allows()
    breaker.failed()
    assert breaker.is_open


def test_a_try_from_before_that_fails_while_open_begins_the_same_pause_anew() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 3.0

    breaker.failed()

    assert closed_for(breaker, clock) == 5.0
