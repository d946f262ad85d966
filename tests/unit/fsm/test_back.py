"""States that lead back to the state from which they were entered."""

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve, frozen

from fsm import (
    BACK,
    STAY,
    Command,
    Event,
    EventKind,
    Flow,
    Inbound,
    Snapshot,
    State,
    Turn,
    durable,
    ephemeral,
    minutes,
    on,
)
from fsm.checks.findings import collecting
from fsm.diagrams.drawing import arrows
from fsm.diagrams.table import events as events_table
from fsm.paths import By, PathPlan, transitions
from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing import Rehearsal


@frozen
class Trip:
    km: int = 0


@frozen
class Load:
    kg: int = 0


@frozen
class Fault:
    about: str = ""


class Truck(Flow):
    """Breaks down on the road or while it is loaded, and goes on with what it did."""

    idle = State(initial=True)
    driving = State(durable, record=Trip)
    loading = State(durable, record=Load)
    broken = State(durable, record=Fault)
    towed = State(durable, record=Fault)
    asking = State(ephemeral, memory=Fault, expires=minutes(5))

    drive = Event(idle, driving, command="drive")
    load = Event(driving, loading, command="load")
    stop = Event((driving, loading), idle, command="stop")
    fail = Event((idle, driving, loading), broken, command="fail")
    describe = Event(broken, STAY, command="describe")
    tow = Event(broken, towed, command="tow")
    mend = Event((broken, towed), BACK, command="mend")
    mend_faster = Event((broken, towed), BACK, command="faster")
    ask = Event((driving, loading), asking, command="ask")
    done = Event(asking, BACK, command="done")

    @on(drive)
    def start(self, _turn: Turn) -> Trip:
        return Trip(7)

    @on(load)
    def fill(self, _turn: Turn) -> Load:
        return Load(50)

    @on(fail, ask)
    def note(self, turn: Turn) -> Fault:
        return Fault(turn.argument)

    @on(describe)
    def note_more(self, turn: Turn, fault: Fault) -> Fault:
        return evolve(fault, about=turn.argument)

    @on(mend)
    def tell(self, turn: Turn, fault: Fault) -> None:
        turn.reply(f"Mended: {fault.about}")


TRIP = Snapshot("driving", Trip(7))


async def after(snapshot: Snapshot, *commands: str) -> Snapshot:
    flow = Truck()
    for command in commands:
        name, _, argument = command.partition(" ")
        stimulus = Command(name, argument)
        inbound = Inbound(
            event_id=EventId("$1"), room_id=RoomId("!r"), sender=UserId("@a:x"), kind=EventKind.TEXT
        )
        now = datetime(2026, 1, 1, tzinfo=UTC)
        turn = Turn(inbound=inbound, now=now, stimulus=stimulus, data=snapshot.data)
        move = flow.choose(snapshot, stimulus, turn)
        assert move is not None
        snapshot = await flow.step(snapshot, move, turn)
    return snapshot


async def test_back_leads_to_where_the_conversation_came_from_with_its_record() -> None:
    assert await after(TRIP, "fail", "mend") == TRIP
    assert await after(TRIP, "load", "fail", "mend") == Snapshot("loading", Load(50))
    assert await after(Snapshot("idle"), "fail", "mend") == Snapshot("idle")


async def test_an_event_that_stays_does_not_change_where_back_leads() -> None:
    broken = await after(TRIP, "fail oil", "describe tyre")

    assert broken == Snapshot("broken", Fault("tyre"), origin=TRIP)
    assert await after(broken, "mend") == TRIP


async def test_a_state_that_is_entered_on_the_way_goes_back_further() -> None:
    assert await after(TRIP, "fail", "tow", "mend") == TRIP


async def test_what_was_saved_without_an_origin_goes_back_to_idle() -> None:
    assert await after(Snapshot("broken", Fault()), "mend") == Snapshot("idle")


async def test_an_ephemeral_state_goes_back_too() -> None:
    assert await after(TRIP, "load", "ask", "done") == Snapshot("loading", Load(50))


async def test_a_durable_state_goes_back_after_a_restart() -> None:
    room = Rehearsal(Truck())
    for command in ("!drive", "!fail oil", "!tow"):
        await room.says(command)

    room.restart()

    assert room.state(Truck) == "towed"
    await room.says("!mend")
    assert room.said == "Mended: oil"
    assert (room.state(Truck), room.data(Truck)) == ("driving", Trip(7))


async def test_an_ephemeral_state_is_forgotten_by_a_restart_and_its_origin_stays() -> None:
    room = Rehearsal(Truck())
    for command in ("!drive", "!load", "!ask"):
        await room.says(command)

    room.restart()

    assert (room.state(Truck), room.data(Truck)) == ("loading", Load(50))


@frozen
class Scrap:
    pass


@frozen
class Inspect:
    pass


class Lorry(Flow):
    """Asks what is to become of it as soon as it is broken."""

    idle = State(initial=True)
    broken = State(durable, record=Fault)
    inspecting = State(ephemeral, memory=Fault, expires=minutes(5))

    fail = Event(idle, broken, command="fail")
    check = Event(idle, broken, command="check")
    inspect = Event(broken, inspecting, on=Inspect)
    mend = Event((broken, inspecting), BACK, command="mend")
    scrap = Event(broken, idle, on=Scrap)
    tire = Event(inspecting, idle, on_expiry=True)

    @on(fail)
    def ask(self, turn: Turn) -> Fault:
        turn.confirm("Scrap it?", then=Scrap())
        return Fault("oil")

    @on(check)
    def begin(self, turn: Turn) -> Fault:
        turn.trigger(Inspect())
        return Fault("tyre")

    @on(scrap)
    def say_scrapped(self, turn: Turn) -> None:
        turn.reply("Scrapped.")

    @on(tire)
    def say_tired(self, turn: Turn) -> None:
        turn.say("Nothing found.")


async def test_a_snapshot_that_was_entered_from_idle_is_the_one_that_is_saved() -> None:
    assert await after(Snapshot("idle"), "fail") == Snapshot("broken", Fault(""))


async def test_a_yes_reaches_a_durable_state_that_was_entered_from_idle() -> None:
    room = Rehearsal(Lorry())
    await room.says("!fail")

    await room.says("!yes")

    assert (room.state(Lorry), room.said) == ("idle", "Scrapped.")


async def test_an_ephemeral_state_over_one_that_was_entered_from_idle_expires() -> None:
    room = Rehearsal(Lorry())
    await room.says("!check")
    assert room.state(Lorry) == "inspecting"

    await room.passes(timedelta(minutes=6))

    assert (room.state(Lorry), room.said) == ("idle", "Nothing found.")


def test_a_picture_has_an_arrow_to_each_possible_origin() -> None:
    targets = {
        (arrow.source.name, arrow.target.name)
        for arrow in arrows(Truck)
        if any(label.startswith("mend:") for label in arrow.labels)
    }

    assert targets == {
        (source, target)
        for source in ("broken", "towed")
        for target in ("idle", "driving", "loading")
    }
    assert "| `done` | !done | `asking` | back to `driving` or `loading` |" in events_table(Truck)


def test_walks_go_back_only_to_where_they_came_from() -> None:
    found = transitions(Truck, PathPlan())

    assert {(e.source, e.target) for e in found if e.event == "mend"} == {
        (source, target)
        for source in ("broken", "towed")
        for target in ("idle", "driving", "loading")
    }
    for walk in found.values():
        before = ""
        for edge in walk.edges:
            if edge.event in ("fail", "ask"):
                before = edge.source
            if edge.event in ("mend", "mend_faster", "done") and edge.by is By.EVENT:
                assert edge.target == before


def codes(**names: Any) -> list[str]:
    with collecting() as flawed:
        type("Bad", (Flow,), names)
    return [each.finding.code for each in flawed]


def test_back_to_an_ephemeral_state_is_refused() -> None:
    idle = State(initial=True)
    asking = State(ephemeral, expires=minutes(1))
    broken = State(durable)
    states = {"idle": idle, "asking": asking, "broken": broken}

    found = codes(
        **states,
        ask=Event(idle, asking, command="ask"),
        fail=Event(asking, broken, command="fail"),
        mend=Event(broken, BACK, command="mend"),
    )

    assert found == ["SL136"]
