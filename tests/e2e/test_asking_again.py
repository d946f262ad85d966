"""What people do while an agent answers them, and after: ask again, write on, say stop."""

import asyncio

from fsm.ids import RoomId
from strandline.testing.person import Person
from tests.kit.scene import Bot, Scene


async def a_bot(scene: Scene, *, replies: dict[str, str] | None = None, **echo: float) -> Bot:
    bot = await scene.bot(start=False, limits={"edit_seconds": 0.2}, replies=replies or {})
    bot.config["agents"] = [{"id": "a1", "kind": "echo", "options": echo}]
    await bot.start()
    return bot


async def said_to(person: Person, room: RoomId, *questions: str) -> list[str]:
    return [e.body for e in await person.timeline(room) if e.in_reply_to in questions]


async def test_the_last_question_is_asked_again_as_it_now_reads(scene: Scene) -> None:
    alice, bot = await scene.person("alice"), await a_bot(scene)
    room = await scene.meet(alice, bot)
    await alice.asks(room, "!retry", "You have asked nothing in this chat that I could ask again.")
    question = await alice.say(room, "hello")
    await alice.sees(room, r"\[a1 · chat 1\] hello", after=question)
    await alice.asks(room, "!status", "This room: ")

    await alice.edit(room, question, "hello there")
    await alice.asks(room, "!retry", r"\[a1 · chat 1\] hello there")
    await alice.asks(room, "!retry", r"\[a1 · chat 1\] hello there")


async def test_a_bot_that_is_killed_while_it_asks_again_asks_the_same(scene: Scene) -> None:
    alice, bot = await scene.person("alice"), await a_bot(scene, chunks=4, chunk_seconds=0.3)
    room = await scene.meet(alice, bot)
    await alice.asks(room, "hello", r"\[a1 · chat 1\] hello")
    bot.environment["STRANDLINE_FAILPOINT"] = "answer.edit.after"
    await bot.restart()

    again = await alice.say(room, "!retry")
    assert await bot.ended() == -9
    del bot.environment["STRANDLINE_FAILPOINT"]
    await bot.start()

    await alice.sees(room, r"\[a1 · chat 1\] hello", after=again)
    await bot.settled()
    assert await said_to(alice, room, again) == ["[a1 · chat 1] hello"]


async def test_what_is_written_meanwhile_joins_the_question_if_the_config_says_so(
    scene: Scene,
) -> None:
    alice = await scene.person("alice")
    bot = await a_bot(scene, replies={"while_answering": "join"}, delay_seconds=1.5)
    room = await scene.meet(alice, bot)

    first = await alice.say(room, "tell me")
    await asyncio.sleep(0.3)
    status = await alice.say(room, "!status")
    kept = await alice.say(room, "in its turn")
    await alice.sees(room, r"\[a1 · chat 1\] in its turn", after=kept)
    assert await said_to(alice, room, first) == ["[a1 · chat 1] tell me"]
    assert len(await said_to(alice, room, status)) == 1

    first = await alice.say(room, "one")
    second = await alice.say(room, "two")
    third = await alice.say(room, "three")
    await alice.sees(room, r"\[a1 · chat 1\] one\n\ntwo\n\nthree", after=first)
    for _ in range(2):
        await alice.asks(room, "!retry", r"\[a1 · chat 1\] one\n\ntwo\n\nthree")

    assert await said_to(alice, room, second, third) == []


async def test_a_kill_makes_of_what_has_joined_no_second_answer(scene: Scene) -> None:
    alice = await scene.person("alice")
    bot = await a_bot(scene, replies={"while_answering": "join"}, delay_seconds=1)
    room = await scene.meet(alice, bot)
    bot.environment["STRANDLINE_FAILPOINT"] = "answer.commit.after"
    await bot.restart()

    first, second = await alice.say(room, "one"), await alice.say(room, "two")
    assert await bot.ended() == -9
    del bot.environment["STRANDLINE_FAILPOINT"]
    await bot.start()

    await alice.asks(room, "!status", "This room: ")
    answers = await said_to(alice, room, first, second)
    assert answers == ["[a1 · chat 1] one\n\ntwo"]
