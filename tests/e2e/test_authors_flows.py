"""A flow of somebody else's, beside the config of a real bot that is killed."""

from strandline import hours
from tests.support.rota import PATH, put_beside
from tests.support.setup import Setup


async def test_it_keeps_its_record_and_its_deadline_over_a_kill(setup: Setup) -> None:
    alice = await setup.person("alice")
    bot = await setup.bot(start=False, flows=[PATH])
    put_beside(bot.directory)
    await bot.start()
    room = await setup.meet(alice, bot)

    await alice.asks(room, "!oncall", "You are on call")
    await alice.asks(room, "!relieve", "Relieve them")
    await bot.restart()
    await alice.asks(room, "!yes", "I have no open question")
    await alice.asks(room, "who is on call?", f"{alice.user_id} is on call")
    await alice.asks(room, "hello", r"\[agent-1 · chat 1\] hello")

    await bot.advance(hours(7))
    await alice.asks(room, "!status", "platform chat 1")
    await bot.kill()
    await bot.advance(hours(2))
    await bot.start()
    await alice.sees(room, f"The time of {alice.user_id} is up")
    await alice.asks(room, "who is on call?", r"\[agent-1 · chat 1\] who is on call")

    said = [event.body for event in await alice.timeline(room)]
    assert sum("is up" in body for body in said) == 1


async def test_an_answer_to_a_sub_flow_comes_back_to_the_flow_that_asked(setup: Setup) -> None:
    alice = await setup.person("alice")
    bot = await setup.bot(start=False, flows=[PATH])
    put_beside(bot.directory)
    await bot.start()
    room = await setup.meet(alice, bot)
    await alice.asks(room, "!oncall", "You are on call")
    question = await alice.asks(room, "!relieve", "Relieve them")

    await alice.react(room, question.event_id, "✅")

    await alice.sees(room, f"{alice.user_id} is relieved")


async def test_a_flow_that_can_not_be_imported_stops_the_start_with_one_line(setup: Setup) -> None:
    bot = await setup.bot(start=False, flows=[PATH])

    await bot.start(wait=False)

    assert await bot.ended() == 2
    [line] = bot.log_path.read_text().splitlines()
    assert "flows[0]: 'rota_flow:Rota' can't be imported: no module 'rota_flow'" in line
