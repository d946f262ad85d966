import pytest

from tests.support.scene import Scene
from tests.support.walkthrough import PAGE, play

pytestmark = pytest.mark.homeserver


async def test_the_walk_in_the_docs_is_what_happens(scene: Scene) -> None:
    assert await play(scene) == PAGE.read_text("utf-8"), "make walkthrough writes it anew"
