from pathlib import Path

import pytest

from fsm.values.ids import RoomId
from strandline.testing import Person
from tests.docs.pages import DOCS, Shell, blocks, carry_out, talk, write
from tests.support.setup import Setup

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

TUTORIAL = DOCS / "tutorial.md"


async def _meet(person: Person, bot: str) -> RoomId:
    room = await person.create_room(invite=[bot])  # type: ignore[list-item]
    await person.sees(room, "Hello!")
    return room


async def test_every_step_of_the_tutorial_does_what_it_says(setup: Setup, tmp_path: Path) -> None:
    account, alice = setup.synapse.newcomer("bot"), await setup.person("alice")
    own = {
        "https://matrix.example.org": setup.synapse.url,
        "@bot:example.org": account.user_id,
        "the bot's password": account.password,
        "/path/to/strandline[": "strandline[",  # it is installed already, and pip finds it so
    }
    room: RoomId | None = None

    with Shell(tmp_path) as shell:
        for block in blocks(TUTORIAL):
            match block.kind:
                case "console":
                    carry_out(block, shell, own)
                case "room":
                    room = room or await _meet(alice, account.user_id)
                    await talk(block, alice, room)
                case "strandline-flow":
                    pass
                case _:
                    write(block, tmp_path / "shopping", own)


def test_every_block_of_the_tutorial_is_one_that_is_carried_out() -> None:
    kinds = {block.kind for block in blocks(TUTORIAL) if block.title is None}

    assert kinds <= {"console", "room", "strandline-flow"}
