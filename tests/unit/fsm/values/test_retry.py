import pytest
from attrs import evolve

from fsm.values import retry as policies
from fsm.values.retry import RetryPolicy, RetryTiming, retry

DOUBLING = RetryPolicy(first_wait_seconds=1.0, max_wait_seconds=5.0, jitter=(1.0, 1.0))


class Clock:
    """Time that passes in waits alone."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.timing = RetryTiming(
            sleep=self.sleep, monotonic=lambda: sum(self.waits), uniform=lambda _low, high: high
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


class Failing:
    """Fails some times, then works."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.attempts = 0

    async def __call__(self) -> str:
        self.attempts += 1
        if self.left:
            self.left -= 1
            raise ConnectionError
        return "done"


def always(_error: Exception) -> float:
    return 0.0


async def test_each_wait_is_twice_the_last_up_to_the_longest() -> None:
    clock = Clock()

    assert await retry(Failing(5), DOUBLING, always, clock.timing) == "done"

    assert clock.waits == [1.0, 2.0, 4.0, 5.0, 5.0]


async def test_a_wait_is_drawn_between_the_shares_of_the_jitter() -> None:
    policy = evolve(DOUBLING, jitter=(0.5, 1.0))

    assert policy.wait_seconds(2, 0.0, lambda low, _high: low) == 1.0
    assert policy.wait_seconds(2, 0.0, lambda _low, high: high) == 2.0


async def test_what_the_other_side_asks_for_is_waited_and_a_share_more() -> None:
    clock = Clock()

    await retry(Failing(2), DOUBLING, lambda _: 30.0, clock.timing)

    assert clock.waits == [30.0 + 1.0 * 0.2, 30.0 + 2.0 * 0.2]


@pytest.mark.parametrize(
    ("policy", "attempts"),
    [
        (evolve(DOUBLING, max_attempts=3), 3),
        (evolve(DOUBLING, max_seconds=3.0), 3),  # 0 s, 1 s, 3 s
        (evolve(DOUBLING, max_seconds=0.0), 1),
    ],
)
async def test_the_last_error_is_raised_when_the_policy_gives_up(
    policy: RetryPolicy, attempts: int
) -> None:
    failing = Failing(100)

    with pytest.raises(ConnectionError):
        await retry(failing, policy, always, Clock().timing)

    assert failing.attempts == attempts


async def test_a_longer_wait_than_the_policy_allows_ends_the_attempts() -> None:
    policy = evolve(DOUBLING, max_retry_after_seconds=10.0)
    failing = Failing(100)

    with pytest.raises(ConnectionError):
        await retry(failing, policy, lambda _: 10.1, Clock().timing)

    assert failing.attempts == 1


async def test_an_error_that_is_not_to_be_retried_is_raised_at_once() -> None:
    failing = Failing(100)

    with pytest.raises(ConnectionError):
        await retry(failing, DOUBLING, lambda _: None, Clock().timing)

    assert failing.attempts == 1


async def test_each_failure_is_reported_with_its_number() -> None:
    seen: list[tuple[type[Exception], int]] = []

    await retry(
        Failing(2),
        DOUBLING,
        always,
        Clock().timing,
        on_failure=lambda error, attempt: seen.append((type(error), attempt)),
    )

    assert seen == [(ConnectionError, 1), (ConnectionError, 2)]


@pytest.mark.parametrize(
    ("policy", "shortest", "longest"),
    [
        (policies.HOMESERVER, [0.125, 0.25, 0.5, 1.0], [0.25, 0.5, 1.0, 2.0]),
        (policies.AGENT, [0.3, 0.3, 0.3, 0.3], [0.8, 0.8, 0.8, 0.8]),
        (policies.TURN, [0.2, 0.4, 0.8, 1.6], [0.2, 0.4, 0.8, 1.6]),
        (policies.STORE, [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_a_named_policy_waits_within_its_bounds(
    policy: RetryPolicy, shortest: list[float], longest: list[float]
) -> None:
    def waits(*, draw: int) -> list[float]:
        return [policy.wait_seconds(n, 0.0, lambda *bounds: bounds[draw]) for n in range(1, 5)]

    assert waits(draw=0) == pytest.approx(shortest)
    assert waits(draw=1) == pytest.approx(longest)


def test_a_wait_stays_bounded_after_any_number_of_failures() -> None:
    assert policies.HOMESERVER.wait_seconds(100_000, 0.0, lambda _low, high: high) == 15.0
