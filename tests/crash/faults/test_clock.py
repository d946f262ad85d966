"""A system clock that is set back or forward while the bot runs decides nothing."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from durable.store import Progress, SqliteStore, Store
from fsm.values.ids import AgentId, EventId, RoomId, SyncToken
from tests.support.outbox import content_of
from tests.unit.strandline.engine.test_turns import ALICE, STARTED, Stage, texts

HOUR = timedelta(hours=1)


class Clock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.now = STARTED

    def __call__(self) -> datetime:
        return self.now


async def life(directory: Path, clock: Clock) -> tuple[Store, Stage]:
    store = await SqliteStore.open(directory / "lambda_matrix.db", now=clock)
    await store.restart_report([AgentId("a1")])
    await store.mark_started()
    return store, Stage(store, "a1")


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
async def test_order_and_numbers_do_not_come_from_the_clock(
    tmp_path: Path, jump: timedelta
) -> None:
    clock = Clock()
    store, stage = await life(tmp_path, clock)
    for number in range(4):
        if number == 2:
            clock.now = stage.now = STARTED + jump
        await stage.take("!help", event_id=f"$help{number}")
        await stage.take("hello", event_id=f"$hello{number}", room=f"!{number}")
        await store.parking.park_event(EventId(f"$p{number}"), RoomId("!p"), error="e", attempts=5)
    await store.checkpoint.save(Progress(token=SyncToken("s1"), completed=(EventId("$help0"),)))
    await store.close()

    store, stage = await life(tmp_path, clock)

    order = [
        content_of(row)["m.relates_to"]["m.in_reply_to"]
        for row in await store.outbox.pending_rows()
    ]
    assert [reply["event_id"] for reply in order] == [f"$help{n}" for n in range(4)]
    rooms = [await stage.room(f"!{number}") for number in range(4)]
    assert [room.platform_chat_id for room in rooms] == ["1", "2", "3", "4"]
    assert [parked.event_id for parked in await store.parking.list_parked()] == [
        f"$p{n}" for n in range(4)
    ]
    assert await store.is_handled(EventId("$help0"))
    assert await store.checkpoint.token() == "s1"
    await stage.take("hello", room="!4", event_id="$hello4")
    assert (await stage.room("!4")).platform_chat_id == "5"
    await store.close()


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
async def test_a_question_stays_open_for_as_long_as_it_was_to(
    tmp_path: Path, jump: timedelta
) -> None:
    clock = Clock()
    store, stage = await life(tmp_path, clock)
    await stage.take("hello")
    await stage.take("!archive")

    clock.now = stage.now = STARTED + jump
    stage.seconds = 299
    answer = await stage.take("!yes")

    assert "is archived" in texts(answer)[0]
    await store.close()


async def test_a_life_that_ended_before_it_began_is_reported_as_it_was_noted(
    tmp_path: Path,
) -> None:
    clock = Clock()
    store, stage = await life(tmp_path, clock)
    await stage.take("!help", sender=ALICE)
    clock.now = STARTED - HOUR
    await store.close()

    store = await SqliteStore.open(tmp_path / "lambda_matrix.db", now=clock)
    report = await store.restart_report([AgentId("a1")])
    await store.close()

    assert (report.last_started, report.last_stopped) == (STARTED, STARTED - HOUR)
