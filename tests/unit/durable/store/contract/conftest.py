from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from durable.store import Store
from tests.support.store.opening import open_store

OPENERS: dict[str, Callable[[Path], Awaitable[Store]]] = {"sqlite": open_store}
"""Each implementation, as what opens a store, again and again, at a path."""

Open = Callable[[], Awaitable[Store]]


@pytest.fixture(params=OPENERS)
def opened(request: pytest.FixtureRequest, path: Path) -> Open:
    """Opens the store that belongs to the test; the one before must be closed."""

    async def open_again() -> Store:
        return await OPENERS[request.param](path)

    return open_again


@pytest.fixture
async def store(opened: Open) -> AsyncIterator[Store]:
    store = await opened()
    yield store
    await store.close()
