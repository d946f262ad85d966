from typing import cast

import pytest
import structlog

from durable.store import Commit, Store, StoreError, StoreUnavailable
from fsm.values.ids import EventId
from strandline.engine.retrying_store import RetryingStore


class FailingStore:
    """Raises what it is given, one error for each call, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.commits: list[Commit] = []

    async def commit(self, commit: Commit) -> tuple[()]:
        if self.errors:
            raise self.errors.pop(0)
        self.commits.append(commit)
        return ()

    async def is_handled(self, event_id: EventId) -> bool:
        return event_id == "$handled"


async def test_an_operation_is_repeated_until_the_store_is_available() -> None:
    failing = FailingStore(StoreUnavailable("the disk is full"))
    commit = Commit()

    with structlog.testing.capture_logs() as logs:
        await RetryingStore(cast("Store", failing)).commit(commit)

    assert failing.commits == [commit]
    assert [line["event"] for line in logs] == [
        "store unavailable, no turns are taken",
        "store available again",
    ]


async def test_other_errors_are_raised_at_once() -> None:
    failing = FailingStore(StoreError("it was moved"))

    with pytest.raises(StoreError, match="it was moved"):
        await RetryingStore(cast("Store", failing)).commit(Commit())

    assert failing.commits == []


async def test_an_available_store_answers_and_nothing_is_logged() -> None:
    store = RetryingStore(cast("Store", FailingStore()))

    with structlog.testing.capture_logs() as logs:
        found = [await store.is_handled(EventId(event_id)) for event_id in ("$handled", "$new")]

    assert found == [True, False]
    assert logs == []
