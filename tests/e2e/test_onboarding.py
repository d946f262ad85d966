"""From an invite to a Space with a chat in it, and back when something is lost."""

import pytest

from tests.kit.scene import Scene

pytestmark = pytest.mark.homeserver

SPACES = {"onboarding": "space"}


async def test_an_invite_brings_a_space_with_a_first_chat_that_is_ready_to_answer(
    scene: Scene,
) -> None:
    bot, alice = await scene.bot(rooms=SPACES), await scene.person("alice")

    home = await scene.welcome(alice, bot)
    await alice.asks(home.chat, "hello", r"^\[agent-1 · chat 1\] hello$")

    name = f"{alice.localpart}'s space"
    assert await alice.state(home.space, "m.room.name") == {"name": name}
    assert await alice.state(home.chat, "m.room.name") == {"name": "Chat 1"}
    child = await alice.state(home.space, "m.space.child", home.chat)
    assert child["via"] == ["strandline.test"]
    assert await alice.state(home.chat, "m.space.parent", home.space)
    assert bot.kv(f"matrix_user:{alice.user_id}") == {
        "space_id": home.space,
        "next_chat_index": 2,
        "selected_agent_id": "agent-1",
    }
    assert bot.kv(f"matrix_room:{home.chat}") == {
        "room_type": "chat",
        "chat_id": "C1",
        "display_name": "Chat 1",
        "matrix_user_id": alice.user_id,
        "space_id": home.space,
        "platform_chat_id": "1",
        "agent_id": "agent-1",
    }
    chat = bot.kv(f"chat:{alice.user_id}:C1")
    assert (chat["name"], chat["room_id"], chat["archived"]) == ("Chat 1", home.chat, False)
