"""The bot speaks each person's language, also after a SIGKILL."""

import pytest

from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver


async def test_the_language_that_somebody_chose_survives_and_is_theirs_alone(setup: Setup) -> None:
    bot = await setup.bot(agents=1)
    alice, bob = await setup.person("alice"), await setup.person("bob")
    room = await setup.meet(alice, bot)
    bobs_room = await setup.meet(bob, bot)

    await alice.asks(
        room, "!language", r"Your language is English.*\n.*\n.*`!language ru`: русский"
    )
    await alice.asks(room, "!language klingon", "I don't know the language “klingon”")
    await alice.asks(room, "!language русский", "Хорошо, теперь я буду писать вам по-русски")
    await bot.restart()

    await alice.asks(room, "!status", "Мой последний перезапуск: ")
    await bob.asks(bobs_room, "!status", "I last restarted at ")
    await alice.asks(room, "!language en", "OK, I'll use English from now on")
    assert bot.store.get(f"flow:language:{alice.user_id}")["record"] == {"code": "en"}
