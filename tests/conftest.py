from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strandline.testing import Synapse
from tests.kit.scene import Scene


@pytest.fixture
async def scene(synapse: Synapse, tmp_path: Path) -> AsyncIterator[Scene]:
    async with Scene(synapse, tmp_path) as scene:
        yield scene
