import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field, frozen

from durable.flows.room.flow import RoomRouting
from fsm.effects import AskAgent, Reply
from fsm.values.ids import AgentId, EventId, PlatformChatId
from fsm.values.signals import Release
from strandline import (
    ANY,
    STAY,
    Event,
    EventKind,
    Flow,
    Inbound,
    NoSuchTransition,
    Reset,
    Saved,
    Scope,
    State,
    Turn,
    TurnError,
    UnansweredSignal,
    durable,
    ephemeral,
    hours,
    minutes,
    on,
    upgrade,
)
from strandline.config.errors import ConfigError
from strandline.testing import ALICE, BOB, CAROL, ROOM, Rehearsal
from strandline.testing.errors import KitError


@frozen
class Duty:
    person: str
    swaps: int = 0


@frozen
class EndDuty:
    pass


@frozen
class KeepDuty:
    pass


class Rota(Flow):
    """Who is on call in this room."""

    scope = Scope.ROOM

    idle = State(initial=True)
    on_duty = State(durable, record=Duty, expires=hours(8))
    handing_over = State(ephemeral, memory=Duty, expires=minutes(5))

    take = Event(idle, on_duty, command="oncall")
    swap = Event(on_duty, STAY, text=r"(?i)swap with (\w+)")
    offer = Event(on_duty, handing_over, command="handover")
    accept = Event(handing_over, on_duty, reaction="✅", reply="ok")
    refuse = Event(handing_over, on_duty, reply=ANY)
    ask_end = Event(on_duty, STAY, command="done")
    end = Event(on_duty, idle, on=EndDuty)
    keep = Event(on_duty, STAY, on=KeepDuty)
    over = Event(on_duty, idle, on_expiry=True)
    came = Event(on_duty, STAY, on=EventKind.ENTERED)
    handed = Event(on_duty, STAY, attachment=True)

    @on(take)
    def begin(self, turn: Turn, _data: None) -> Duty:
        turn.reply(f"{turn.sender} is on call.")
        return Duty(turn.sender)

    @on(swap)
    def exchange(self, turn: Turn, duty: Duty) -> Duty:
        assert turn.match is not None
        turn.reply(f"Now it is {turn.match[1]}.")
        return Duty(turn.match[1], duty.swaps + 1)

    @on(offer)
    def ask_for_taker(self, turn: Turn, duty: Duty) -> Duty:
        turn.ask_back("Who takes over?", anyone=True)
        return duty

    @on(accept)
    def take_over(self, turn: Turn, duty: Duty) -> Duty:
        return evolve(duty, person=turn.sender)

    @on(refuse)
    def go_on(self, turn: Turn, duty: Duty) -> Duty:
        turn.reply(f"Then {duty.person} goes on: {turn.argument}")
        return duty

    @on(ask_end)
    def confirm_end(self, turn: Turn, _duty: Duty) -> None:
        turn.confirm("End it?", then=EndDuty(), otherwise=KeepDuty())

    @on(end)
    def finish(self, turn: Turn, duty: Duty) -> None:
        turn.reply(f"{duty.person} is done.")

    @on(keep)
    def carry_on(self, turn: Turn, duty: Duty) -> None:
        turn.say(f"{duty.person} goes on.")

    @on(over)
    def relieve(self, turn: Turn, duty: Duty) -> None:
        turn.say(f"{duty.person}'s time is up.")

    @on(came)
    def brief(self, turn: Turn, duty: Duty) -> None:
        turn.say(f"Welcome {turn.sender}, ask {duty.person}.")

    @on(handed)
    def thank(self, turn: Turn, _duty: Duty) -> None:
        turn.reply("Thank you for the file.")


@pytest.fixture
async def rota() -> Rehearsal:
    rehearsal = Rehearsal(Rota())
    await rehearsal.says("!oncall")
    return rehearsal


async def test_effects_are_values_that_can_be_compared() -> None:
    rehearsal = Rehearsal(Rota())

    turn = await rehearsal.says("!oncall", by=BOB)

    answered = turn.inbound.event_id
    assert turn.effects == [
        Reply(room_id=ROOM, text=f"{BOB} is on call.", in_reply_to=answered, mention=BOB)
    ]
    assert rehearsal.state(Rota) == "on_duty"
    assert rehearsal.data(Rota) == Duty(BOB)


async def test_a_text_that_matches_the_expression_causes_its_event(rota: Rehearsal) -> None:
    await rota.says("  SWAP with carol ")
    assert rota.data(Rota) == Duty("carol", 1)

    turn = await rota.says("let us swap with bob")
    assert turn.effects == []


async def test_anybody_may_answer_a_question_to_everyone(rota: Rehearsal) -> None:
    await rota.says("!handover")
    await rota.reacts("✅", by=CAROL)

    assert rota.data(Rota) == Duty(CAROL)


async def test_a_reply_of_any_text_reaches_the_flow_that_asked(rota: Rehearsal) -> None:
    await rota.says("!handover")
    await rota.replies("not before noon", by=BOB)

    assert rota.said == f"Then {ALICE} goes on: not before noon"


async def test_a_restart_keeps_what_is_durable_and_falls_back_from_what_is_not(
    rota: Rehearsal,
) -> None:
    await rota.says("!handover")
    assert rota.state(Rota) == "handing_over"

    rota.restart()

    assert rota.state(Rota) == "on_duty"
    assert rota.data(Rota) == Duty(ALICE)


async def test_a_yes_triggers_what_was_confirmed(rota: Rehearsal) -> None:
    await rota.says("!done")
    await rota.says("!yes")

    assert rota.said == f"{ALICE} is done."
    assert rota.state(Rota) == "idle"


@pytest.mark.parametrize("answer", ["!no", None])
async def test_a_no_or_no_answer_triggers_what_is_done_otherwise(
    rota: Rehearsal, answer: str | None
) -> None:
    await rota.says("!done")
    if answer is None:
        await rota.passes(minutes(5))
    else:
        await rota.says(answer)

    assert f"{ALICE} goes on." in rota.said
    assert rota.state(Rota) == "on_duty"


async def test_a_yes_that_comes_too_late_for_its_flow_says_so(rota: Rehearsal) -> None:
    await rota.says("!done")
    await rota.says("!done", by=BOB)
    await rota.says("!yes", by=BOB)

    await rota.says("!yes")

    assert rota.said == "That is no longer possible: things have changed since I asked."


async def test_a_yes_is_about_what_was_there_when_it_was_asked(rota: Rehearsal) -> None:
    await rota.says("!done")
    await rota.says("swap with carol", by=BOB)

    await rota.says("!yes")

    assert rota.said == "That is no longer possible: things have changed since I asked."
    assert rota.data(Rota) == Duty("carol", 1)


async def test_a_record_that_would_come_back_as_another_fails_the_turn() -> None:
    class Careless(Flow):
        idle = State(initial=True)
        kept = State(durable, record=Duty)
        keep = Event((idle, kept), kept, command="keep")
        end = Event(kept, idle, command="end")

        @on(keep)
        def note(self, turn: Turn, _duty: Duty | None) -> Duty:
            swaps: Any = turn.argument
            return Duty("x", int(swaps) if swaps.isdigit() else swaps)

    rehearsal = Rehearsal(Careless())
    await rehearsal.says("!keep 3")

    with pytest.raises(TurnError, match=r"can't keep Duty.*give its fields values of the types"):
        await rehearsal.says("!keep three")

    assert rehearsal.data(Careless) == Duty("x", 3)


async def test_a_question_that_lapses_when_its_flow_has_gone_on_says_nothing_more(
    rota: Rehearsal,
) -> None:
    await rota.says("!done")
    await rota.says("!done", by=BOB)
    await rota.says("!yes", by=BOB)

    await rota.says("!no")

    assert rota.turns[-1].effects == []


async def test_a_durable_state_ends_at_its_deadline_though_the_process_died(
    rota: Rehearsal,
) -> None:
    await rota.passes(hours(7))
    rota.restart()

    assert await rota.passes(minutes(59)) == []
    [turn] = await rota.passes(minutes(1))

    assert turn.inbound.kind is EventKind.EXPIRED
    assert rota.said == f"{ALICE}'s time is up."
    assert rota.state(Rota) == "idle"
    assert await rota.passes(hours(9)) == []


async def test_an_event_that_stays_leaves_the_deadline_and_entering_begins_it_anew(
    rota: Rehearsal,
) -> None:
    await rota.passes(hours(7))
    await rota.says("swap with bob")
    await rota.passes(minutes(59))
    assert rota.state(Rota) == "on_duty"
    await rota.says("!handover")
    await rota.reacts("✅", by=CAROL)

    assert await rota.passes(hours(7)) == []
    assert len(await rota.passes(hours(1))) == 1


async def test_people_who_enter_and_files_are_events(rota: Rehearsal) -> None:
    await rota.enters(BOB)
    assert rota.said == f"Welcome {BOB}, ask {ALICE}."

    await rota.sends_file("log.txt")
    assert rota.said == "Thank you for the file."

    await rota.sends_file("log.txt", text="look at this")
    assert rota.said == "Thank you for the file."


async def test_a_handler_that_raises_leaves_everything_as_it_was() -> None:
    class Fussy(Flow):
        idle = State(initial=True)
        counting = State(durable, record=Duty)
        count = Event((idle, counting), counting, command="count")
        end = Event(counting, idle)

        @on(count)
        def add(self, turn: Turn, duty: Duty | None) -> Duty:
            turn.reply("Counted.")
            if turn.argument == "wrong":
                raise ValueError(turn.argument)
            return Duty("x", duty.swaps + 1 if duty else 1)

    rehearsal = Rehearsal(Fussy())
    await rehearsal.says("!count")

    with pytest.raises(ValueError, match="wrong"):
        await rehearsal.says("!count wrong")

    assert rehearsal.data(Fussy) == Duty("x", 1)
    assert len(rehearsal.turns) == 1


@define
class Tally:
    marks: list[str] = field(factory=list)


class Counter(Flow):
    """Keeps marks and numbers in the turn's records, and breaks when it is told to."""

    idle = State(initial=True)
    mark = Event(idle, STAY, command="mark")
    scribble = Event(idle, STAY, command="scribble")
    number = Event(idle, STAY, command="number")
    show = Event(idle, STAY, command="show")

    @on(mark)
    async def save(self, turn: Turn, _data: None) -> None:
        tally = await turn.records.read(Tally, "tally") or Tally()
        turn.records.save("tally", Tally([*tally.marks, turn.argument]))
        _break_if_told(turn)

    @on(scribble)
    async def change_in_place(self, turn: Turn, _data: None) -> None:
        tally = await turn.records.read(Tally, "tally")
        assert tally is not None
        tally.marks.append(turn.argument)
        _break_if_told(turn)

    @on(number)
    async def issue(self, turn: Turn, _data: None) -> None:
        turn.reply(await turn.records.next_platform_chat_id())
        _break_if_told(turn)

    @on(show)
    async def tell(self, turn: Turn, _data: None) -> None:
        tally = await turn.records.read(Tally, "tally")
        turn.reply(", ".join(tally.marks) if tally else "nothing")


def _break_if_told(turn: Turn) -> None:
    if turn.argument == "wrong":
        raise ValueError(turn.argument)


async def test_what_a_turn_saves_the_next_one_reads() -> None:
    rehearsal = Rehearsal(Counter())
    await rehearsal.says("!mark one")
    await rehearsal.says("!mark two")

    await rehearsal.says("!show")

    assert rehearsal.said == "one, two"


@pytest.mark.parametrize("command", ["mark", "scribble"])
async def test_what_a_handler_saved_before_it_raised_is_not_there(command: str) -> None:
    rehearsal = Rehearsal(Counter())
    await rehearsal.says("!mark one")

    with pytest.raises(ValueError, match="wrong"):
        await rehearsal.says(f"!{command} wrong")
    await rehearsal.says("!show")

    assert rehearsal.said == "one"


async def test_a_number_that_a_failed_turn_was_given_is_issued_to_the_next() -> None:
    rehearsal = Rehearsal(Counter())
    with pytest.raises(ValueError, match="wrong"):
        await rehearsal.says("!number wrong")

    await rehearsal.says("!number")
    assert rehearsal.said == "1"

    await rehearsal.says("!number")
    assert rehearsal.said == "2"


async def test_an_older_question_can_be_answered_too() -> None:
    class Twice(Flow):
        idle = State(initial=True)
        ask = Event(idle, STAY, command="ask")
        take = Event(idle, STAY, reaction="✅")

        @on(ask)
        def put(self, turn: Turn, _data: None) -> None:
            turn.ask_back(turn.argument)

        @on(take)
        def tell(self, turn: Turn, _data: None) -> None:
            assert turn.question_ref is not None
            turn.reply(f"{turn.emoji} on {turn.question_ref.id}")

    rehearsal = Rehearsal(Twice())
    first = await rehearsal.says("!ask one")
    await rehearsal.says("!ask two")

    await rehearsal.reacts("✅\ufe0f", to=first)

    assert rehearsal.said == f"✅ on {first.inbound.event_id}"


async def test_a_reaction_needs_a_question(rota: Rehearsal) -> None:
    with pytest.raises(KitError, match="ask_back"):
        await rota.reacts("✅")


@frozen
class Person2:
    first: str
    last: str


class Rota2(Flow):
    """The next release: people have two names, and the state is called otherwise."""

    scope = Scope.ROOM
    name = "rota"
    version = 2

    idle = State(initial=True)
    serving = State(durable, record=Person2)

    take = Event(idle, serving, command="oncall")
    done = Event(serving, idle, command="done")

    @upgrade(1)
    def split_name(self, saved: Saved) -> Saved:
        return Saved("serving", {"first": saved.record["person"], "last": "?"})

    @on(take)
    def begin(self, turn: Turn, _data: None) -> Person2:
        return Person2(turn.sender, "")


async def test_what_an_older_release_saved_is_read_by_the_newer(rota: Rehearsal) -> None:
    rota.restart(Rota2())

    assert rota.state(Rota2) == "serving"
    assert rota.data(Rota2) == Person2(ALICE, "?")


def test_a_version_without_its_upgrade_is_refused_when_it_is_defined() -> None:
    with pytest.raises(Exception, match=r"does not know how to read version 1.*@upgrade\(1\)"):

        class Rota3(Flow):
            version = 2
            idle = State(initial=True)


@frozen
class Pay:
    """What ``Clerk`` triggers."""


@frozen
class Mistyped:
    """What no flow answers."""


class Till(Flow):
    """Answers at idle alone."""

    idle = State(initial=True)
    closed = State(durable)
    pay = Event(idle, STAY, on=Pay)
    close = Event(idle, closed, command="close")
    open = Event(closed, idle, command="open")


class Clerk(Flow):
    """Triggers signals of other flows, as it is told."""

    idle = State(initial=True)
    send = Event(idle, STAY, command="send")
    ask = Event(idle, STAY, command="ask")

    @on(send)
    def trigger(self, turn: Turn) -> None:
        named = {"pay": Pay(), "mistyped": Mistyped(), "reset": Reset(Till)}
        turn.trigger(named[turn.argument])

    @on(ask)
    def confirm(self, turn: Turn) -> None:
        known, unknown = Reset(Clerk), Pay()
        is_yes = turn.argument == "yes"
        turn.confirm(
            "Pay?",
            then=unknown if is_yes else known,
            otherwise=known if is_yes else unknown,
        )


async def test_a_signal_that_the_state_does_not_answer_is_an_error() -> None:
    room = Rehearsal(Clerk(), Till())
    await room.says("!close")

    with pytest.raises(NoSuchTransition, match="till: state 'closed' does not answer Pay"):
        await room.says("!send pay")


async def test_a_signal_to_a_flow_that_does_not_run_is_told_with_the_flow_to_add() -> None:
    with pytest.raises(UnansweredSignal) as failure:
        await Rehearsal(Clerk()).says("!send pay")

    assert failure.value.asker == "clerk"
    assert "Till" in failure.value.elsewhere
    assert "does not run (running are clerk, confirmation)" in str(failure.value)
    assert failure.value.remedy.startswith("add that flow to `flows:` in the config, or in a test")


async def test_a_signal_that_no_event_names_is_told_with_what_to_write() -> None:
    with pytest.raises(UnansweredSignal) as failure:
        await Rehearsal(Clerk(), Till()).says("!send mistyped")

    assert str(failure.value) == (
        "clerk: it triggers Mistyped, and no event of a flow names that class "
        "(running are clerk, till, confirmation); write on=Mistyped in the event that answers it"
    )


async def test_a_signal_reaches_the_flow_that_names_its_class() -> None:
    room = Rehearsal(Clerk(), Till())

    turn = await room.says("!send pay")

    assert [triggered.signal for triggered in turn.signals] == []
    assert room.state(Till) == "idle"


async def test_any_flow_can_be_reset() -> None:
    room = Rehearsal(Clerk(), Till())
    await room.says("!close")

    await room.says("!send reset")

    assert room.state(Till) == "idle"


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_a_question_is_refused_when_it_is_asked_not_when_it_is_answered(answer: str) -> None:
    room = Rehearsal(Clerk())

    with pytest.raises(UnansweredSignal, match=r"^clerk: it triggers Pay, and .*Till"):
        await room.says(f"!ask {answer}")

    assert room.turns == []


class Cashier(Flow):
    """Triggers another flow's signal in its source."""

    idle = State(initial=True)
    cash = Event(idle, STAY, command="cash")

    @on(cash)
    def push(self, turn: Turn) -> None:
        turn.trigger(Pay())


class Porter(Flow):
    """Triggers a signal of the bot's own flows in its source, and one that no flow answers."""

    idle = State(initial=True)
    carry = Event(idle, STAY, command="carry")

    @on(carry)
    def lift(self, turn: Turn) -> None:
        turn.trigger(Release())
        turn.trigger(Mistyped())


@pytest.mark.parametrize(
    ("flow", "problem"),
    [
        (Cashier(), "^Cashier.push: it triggers Pay, and .*Till"),
        (Porter(), "^Porter.lift: it triggers Mistyped, and no event of a flow names that class"),
    ],
)
def test_what_the_source_triggers_and_no_flow_answers_is_told_before_the_first_turn(
    flow: Flow, problem: str
) -> None:
    with pytest.raises(UnansweredSignal, match=problem):
        Rehearsal(flow)


def test_a_flow_whose_source_can_not_be_read_is_rehearsed_all_the_same() -> None:
    written = "class Typed(Flow):\n    idle = State(initial=True)\n    def f(self, turn): ...\n"
    made: dict[str, Any] = {"Flow": Flow, "State": State, "__name__": "<typed>"}
    exec(written, made)  # noqa: S102  # as at a prompt

    Rehearsal(made["Typed"]())


async def test_with_a_config_the_bots_own_flows_run_too_and_an_agent_is_asked_by_an_effect() -> (
    None
):
    room = Rehearsal(Clerk(), Till(), config={"limits": {"confirmation_seconds": 60}})

    asked = await room.says("hello")
    await room.says("!archive")
    await room.says("!yes")

    [question] = asked.effects
    assert isinstance(question, AskAgent)
    assert (question.agent_id, question.text) == ("agent-1", "hello")
    assert "is archived" in room.said
    assert room.state(RoomRouting) == "archived"
    assert room.store.get(f"matrix_room:{ROOM}")["platform_chat_id"] == "1"


async def test_what_waited_for_a_choice_is_handled_again_when_it_is_made() -> None:
    agents = [{"id": "a", "kind": "echo"}, {"id": "b", "kind": "echo"}]
    room = Rehearsal(config={"agents": agents, "commands": {"prefix": "?"}})
    first = await room.says("hello?")

    chosen = await room.says("?agent b")

    again = room.turns[-1]
    assert again is not chosen
    assert again.inbound == first.inbound
    assert [(e.agent_id, e.text) for e in again.effects if isinstance(e, AskAgent)] == [
        ("b", "hello?")
    ]


def test_a_config_that_no_bot_could_use_is_refused() -> None:
    with pytest.raises(ConfigError, match="confirmation_second"):
        Rehearsal(config={"limits": {"confirmation_second": 60}})


async def test_an_event_that_comes_again_is_answered_once() -> None:
    room = Rehearsal(Rota())
    await room.says("!oncall", event_id="$x")

    again = await room.says("!oncall", event_id="$x", by=BOB)

    assert again.effects == []
    assert room.data(Rota) == Duty(ALICE)


async def test_any_event_can_be_had_happen(rota: Rehearsal) -> None:
    entered = Inbound(event_id=EventId("$y"), room_id=ROOM, sender=BOB, kind=EventKind.ENTERED)

    turn = await rota.takes(entered)

    assert turn.inbound is entered
    assert rota.said == f"Welcome {BOB}, ask {ALICE}."


async def test_a_turn_that_changes_a_durable_state_may_not_ask_an_agent() -> None:
    class Rash(Flow):
        idle = State(initial=True)
        kept = State(durable, record=Duty)
        keep = Event(idle, kept, command="keep")
        end = Event(kept, idle, command="end")

        @on(keep)
        def note(self, turn: Turn, _data: None) -> Duty:
            turn.ask(AgentId("a"), PlatformChatId("1"), "what is in it?")
            return Duty("x")

    room = Rehearsal(Rash())

    with pytest.raises(TurnError, match="changes its durable state in a turn that asks an agent"):
        await room.says("!keep")

    assert room.state(Rash) == "idle"


def test_a_rehearsal_goes_on_in_another_event_loop() -> None:
    room = Rehearsal(Rota())
    asyncio.run(room.says("!oncall"))

    asyncio.run(room.says("swap with carol"))

    assert room.data(Rota) == Duty("carol", 1)


async def test_the_database_goes_with_its_rehearsal() -> None:
    room = Rehearsal(Rota())
    await room.says("!oncall")
    folder = room.store.path.parent
    assert room.store.path.exists()

    del room
    gc.collect()

    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert not folder.exists()


PROGRAM = """
import asyncio, os, sys, weakref
{first}
from strandline.testing import Rehearsal
from tests.unit.strandline.testing.test_rehearsal import Rota

def rehearsed():
    rehearsal = Rehearsal(Rota())
    asyncio.run(rehearsal.says("!oncall"))
    print(rehearsal.store.path.parent, flush=True)
    return rehearsal

kept = rehearsed()
{last}
"""
"""Prints the directories of its rehearsals."""

FINALIZER = "held = set(); weakref.finalize(held, print, end='')"

FORKS = """
if os.fork() == 0:
    rehearsed()
    also = rehearsed()
    del kept
    sys.exit()
assert os.wait()[1] == 0
assert kept.store.path.exists()
"""


@pytest.mark.parametrize(
    ("first", "last", "number"),
    [("", "", 1), (FINALIZER, "", 1), ("", "rehearsed()", 2), ("", FORKS, 3)],
    ids=["a live one", "an earlier finalizer", "one that is gone", "forked"],
)
def test_a_process_that_ends_leaves_no_database(first: str, last: str, number: int) -> None:
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM.format(first=first, last=last)],
        capture_output=True,
        text=True,
        check=True,
    )

    folders = [Path(line) for line in ended.stdout.splitlines() if line.startswith("/")]
    assert len(folders) == number
    assert not any(folder.exists() for folder in folders)


async def test_a_turn_takes_milliseconds() -> None:
    room, turns = Rehearsal(Rota()), 50
    await room.says("!oncall")

    began = time.process_time()
    for number in range(turns):
        await room.says(f"swap with p{number}")
    each = (time.process_time() - began) / turns

    print(f"a rehearsed turn takes {each * 1000:.2f} ms of processor time")
    assert each < 0.05


class Snoop(Flow):
    """Reads and overwrites whatever it can."""

    idle = State(initial=True)
    snoop = Event(idle, STAY, command="snoop")

    @on(snoop)
    async def try_all(self, turn: Turn, _data: None) -> None:
        found = await turn.records.all(Duty)
        for key in (f"matrix_user:{turn.sender}", f"matrix_room:{turn.room_id}"):
            found[key] = await turn.records.read(Duty, key) or Duty("nobody")
            turn.records.save(key, Duty("x"))
        turn.reply(str(len(found)))


async def test_a_flow_can_neither_see_nor_harm_what_the_bot_keeps() -> None:
    room = Rehearsal(Snoop(), config={})
    await room.says("hello")
    statement = "SELECT key, value FROM kv WHERE key NOT LIKE 'record:%'"
    before = room.store.rows(statement)

    await room.says("!snoop")
    await room.says("!status")

    assert "First agent" in room.said
    assert room.store.rows(statement) == before
    assert room.store.rows("SELECT * FROM quarantine") == []
    assert room.store.get(f"record:snoop:matrix_room:{ROOM}") == {"person": "x", "swaps": 0}
