import pytest

from tests.support.setup import Setup
from tests.support.walkthrough import PAGE, play

pytestmark = pytest.mark.homeserver


async def test_the_walk_in_the_docs_is_what_happens(setup: Setup) -> None:
    assert await play(setup) == PAGE.read_text("utf-8"), "make walkthrough writes it anew"
