"""A bot's two lives on one file, each change noted before it is asked for."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import define, field

from durable.store import (
    Commit,
    Conflict,
    Handled,
    PlatformChatSequence,
    Progress,
    SqliteStore,
    Store,
    UnfinishedAnswer,
)
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, SyncToken
from tests.crash.power.model import Model
from tests.crash.power.recording import Log
from tests.support.store.opening import NOON, ROOM, noon, row

TURNS_PER_LIFE = 20
AT_ONCE = 5
"""As many turns are committed together, every so often."""


@define
class Script:
    """Args:
    log: Where it is noted what was acknowledged when.
    states: What is on disk after each change: the first is before all of them.
    """

    log: Log
    states: list[Model] = field(factory=lambda: [Model()])
    _random: Random = field(factory=lambda: Random(7))
    _owed: list[OutboxRow] = field(factory=list)
    _unpassed: list[EventId] = field(factory=list)
    _turns: int = 0

    async def run(self, path: Path, connect: Callable[..., sqlite3.Connection]) -> None:
        for _life in range(2):
            store = await SqliteStore.open(path, now=noon, connect=connect)
            await self._live(store)
            change = self._change()
            change.meta["stopped_at_ms"] = _ms()
            await self._acknowledged(store.close())

    async def _live(self, store: Store) -> None:
        change = self._change()
        change.meta["started_at_ms"] = _ms()
        change.meta.pop("stopped_at_ms", None)
        await self._acknowledged(store.mark_started())
        for turn in range(TURNS_PER_LIFE):
            await self._turn(store)
            if turn % 3 == 1:
                await self._deliver(store)
            if turn % 4 == 2:
                await self._advance(store)
            if turn % 5 == 3:
                await self._allocate(store)
            if turn % 7 == 4:
                await self._refuse(store)
            if turn % 9 == 6:
                # each sees what the one before it asked for, so they stand or fall in order
                together = [self._turn(store) for _ in range(AT_ONCE)]
                await asyncio.gather(*together, self._deliver(store), self._advance(store))

    def _change(self) -> Model:
        self.states.append(self.states[-1].copy())
        return self.states[-1]

    async def _acknowledged(self, asking: Coroutine[Any, Any, Any]) -> None:
        number = len(self.states) - 1
        await asking
        self.log.acknowledge(number)

    async def _turn(self, store: Store) -> None:
        self._turns += 1
        turn, before = self._turns, self.states[-1].kv
        event = EventId(f"$event{turn}")
        rows = (row(f"first{turn}", stream_of=event), row(f"second{turn}"))
        size = self._random.choice((20, 300, 3000))
        written: dict[str, str | None] = {
            "last": f'"{turn}"',
            f"chat:{turn % 11}": f'"{turn} {"я" * size}"',
            f"chat:{(turn + 5) % 11}": None if turn % 6 == 5 else f'"{turn}"',
        }
        commit = Commit(
            expected={key: before.get(key) for key in written},
            writes=written,
            outbox=rows,
            handled=Handled(event, ROOM),
            stream_begins=UnfinishedAnswer(event, ROOM),
            stream_ends=EventId(f"$event{turn - 3}") if turn > 3 else None,
        )
        self._change().commit(commit)
        self._owed.extend(rows)
        self._unpassed.append(event)
        await self._acknowledged(store.commit(commit))

    async def _deliver(self, store: Store) -> None:
        owed = self._owed.pop(0)
        became = EventId(f"$sent-{owed.transaction_id}")
        self._change().delivered(owed, became)
        await self._acknowledged(store.outbox.mark_delivered(owed, became))

    async def _advance(self, store: Store) -> None:
        passed, self._unpassed = self._unpassed, []
        token = SyncToken(f"s{len(self.states)}")
        self._change().advance(token, passed)
        await self._acknowledged(
            store.checkpoint.save(Progress(token=token, completed=tuple(passed)))
        )

    async def _allocate(self, store: Store) -> None:
        number = int(self.states[-1].meta.get("issued", "0")) + 1
        self._change().commit(Commit(writes={"platform_chat_seq": str(number)}))
        await self._acknowledged(PlatformChatSequence(store).allocate())

    async def _refuse(self, store: Store) -> None:
        """A commit of which nothing may ever be on disk."""
        with pytest.raises(Conflict):
            await store.commit(Commit(writes={"refused": "1"}, expected={"last": "another"}))


def _ms() -> str:
    return str(int(NOON.timestamp() * 1000))
