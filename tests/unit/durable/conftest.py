from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from durable.store import Store
from tests.support.store.opening import open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lambda_matrix.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = await open_store(path)
    yield store
    await store.close()
