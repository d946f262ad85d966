"""A scripted homeserver for each test, and a connection to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from matrix import Homeserver
from tests.support.fakes.homeserver import ScriptedHomeserver
from tests.support.sync_answers import settings


@pytest.fixture
async def server() -> AsyncIterator[ScriptedHomeserver]:
    async with ScriptedHomeserver.start() as server:
        yield server


@pytest.fixture
async def homeserver(server: ScriptedHomeserver, tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with Homeserver.connect(settings(server), tmp_path / "store") as homeserver:
        yield homeserver
