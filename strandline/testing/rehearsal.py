"""Rehearsals: unit tests of flows, without network, in milliseconds.

There is no homeserver and no agent. Everything else is the bot's real code: its turns, its
conversations in memory, and its store, with a database in a temporary directory.
"""

import asyncio
import atexit
import os
import weakref
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from typing import Any

from attrs import define, field, frozen

from durable.inspector import StoreInspector
from durable.store import SqliteStore, Store
from ephemeral.conversations import Conversations
from ephemeral.flows.confirmation import Confirmation
from fsm import Attachment, EventKind, Flow, Inbound, QuestionRef, Registry, Snapshot, Turn
from fsm.effects import Edit, Reply
from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.inbound import make_inbound
from strandline.authoring.naming import refuse_misnamed
from strandline.config.model import Config, config_of
from strandline.engine.clock import Clock
from strandline.engine.deadlines import Deadlines
from strandline.engine.outbox import OutboxBuilder
from strandline.engine.retrying_store import RetryingStore
from strandline.engine.turns import Outcome, Turns, TurnSettings
from strandline.flows.builtin import FLOWS
from strandline.flows.languages import ENGLISH
from strandline.flows.own_flows import make_flows
from strandline.testing.errors import KitError
from strandline.testing.store import BotStore

ALICE = UserId("@alice:example.org")
BOB = UserId("@bob:example.org")
CAROL = UserId("@carol:example.org")
ROOM = RoomId("!room:example.org")

AGENT = {"id": "agent-1", "name": "First agent", "kind": "echo"}
"""The agent of a rehearsal whose config names none."""


@frozen
class _Question:
    mark: QuestionRef
    event_id: EventId
    room_id: RoomId


@define
class _Hands:
    """A clock that a test sets."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def clock(self) -> Clock:
        return Clock(now=self.now, monotonic=self.monotonic)


@define(eq=False)
class _Disk:
    """A database in a temporary directory, which each simulated process opens."""

    directory: Path = field(factory=lambda: Path(mkdtemp(prefix="strandline-rehearsal-")))
    _store: SqliteStore | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def path(self) -> Path:
        return self.directory / "lambda_matrix.db"

    async def open(self, clock: Clock) -> Store:
        """Open the store."""
        if self._store is not None:
            self._store.begin_close()
            if self._loop is asyncio.get_running_loop():
                await self._store.close()
        self._loop = asyncio.get_running_loop()
        self._store = await SqliteStore.open(self.path, now=clock.now, is_synced=False)
        return self._store

    def remove(self) -> None:
        if self._store is not None:
            with suppress(RuntimeError):  # the interpreter exits and closes the files itself
                self._store.begin_close()
        rmtree(self.directory, ignore_errors=True)


@frozen
class _Life:
    """The state of one simulated process: a restart discards it."""

    loop: asyncio.AbstractEventLoop
    store: Store
    turns: Turns
    deadlines: Deadlines


class _Remover:
    """A thread that removes the databases of discarded rehearsals.

    The garbage collector may find a rehearsal at any time, while its thread holds any lock. So its
    callback takes no lock: it puts the database into a ``SimpleQueue``.
    """

    _gone: SimpleQueue[_Disk | None]
    _disks: set[_Disk]
    _thread: Thread | None

    def __init__(self) -> None:
        self._reset()
        atexit.register(self._finish)
        os.register_at_fork(after_in_child=self._reset)

    def watch(self, rehearsal: object, disk: _Disk) -> None:
        """Remove ``disk`` once ``rehearsal`` is garbage collected, or at the process's exit."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="strandline-rehearsals", daemon=True)
            self._thread.start()
        self._disks.add(disk)
        weakref.finalize(rehearsal, self._gone.put, disk).atexit = False

    def _reset(self) -> None:
        """A forked process has no such thread, and leaves its parent's databases alone."""
        self._gone = SimpleQueue()
        self._disks = set()
        self._thread = None

    def _run(self) -> None:
        while disk := self._gone.get():
            disk.remove()
            self._disks.discard(disk)

    def _finish(self) -> None:
        if self._thread is not None:
            self._gone.put(None)
            self._thread.join()
        for disk in self._disks:
            disk.remove()


_remover = _Remover()


class Rehearsal:
    """Runs flows with simulated users, time and restarts.

    Each method that does something runs one turn and returns it: ``turn.effects`` are the effects
    that the handlers requested, as values that can be compared. A failed turn raises its handler's
    error and changes nothing. The first turn creates the database, in a temporary directory that is
    removed with the rehearsal.

    Args:
        flows: In the order in which they are offered an event. ``turn.confirm`` works.
        prefix: What commands begin with.
        config: Sections of ``config.yaml`` that differ from the default. If given, even empty, the
            built-in flows run too, after the others. A question to an agent is an effect
            ``AskAgent``, which gets no answer.

    Attributes:
        turns: All turns so far.

    Raises:
        UnansweredSignal: The source of one of the flows triggers a signal that no flow answers.
        ConfigError: The config can't be used.
    """

    _server = "example.org"

    def __init__(
        self, *flows: Flow, prefix: str = "!", config: Mapping[str, Any] | None = None
    ) -> None:
        self.turns: list[Turn] = []
        self._hands = _Hands(datetime(2026, 1, 1, 12, tzinfo=UTC))
        self._config = None if config is None else _config(config)
        self._prefix = self._config.commands.prefix if self._config else prefix
        rehearsed = [type(flow) for flow in flows]
        refuse_misnamed(rehearsed, [*FLOWS, *rehearsed])
        self._rehearsed = {flow.name: flow for flow in flows}
        self._questions: list[_Question] = []
        self._lives = 0
        self._disk = _Disk()
        _remover.watch(self, self._disk)
        self.restart()

    @property
    def now(self) -> datetime:
        """The wall clock; ``passes`` sets it forward."""
        return self._hands.at

    @now.setter
    def now(self, at: datetime) -> None:
        self._hands.at = at

    @property
    def store(self) -> BotStore:
        """The rehearsal's database, for reading: each reading finds what is committed at that time.

        The first turn creates the database.
        """
        return BotStore(self._disk.path)

    async def says(
        self, text: str, *, by: UserId = ALICE, room: RoomId = ROOM, **inbound: Any
    ) -> Turn:
        """Send a message or a command; ``inbound`` are further fields of ``Inbound``."""
        return await self._happens(EventKind.TEXT, by, room, body=text, **inbound)

    async def sends_file(
        self, name: str, *, text: str = "", by: UserId = ALICE, room: RoomId = ROOM
    ) -> Turn:
        """Send a file, with a caption if there is a text."""
        file = Attachment(
            event_id=self._next_id(),
            name=name,
            kind="file",
            mimetype="application/octet-stream",
            size_bytes=1,
            url=f"mxc://example.org/{name}",
        )
        kind = EventKind.TEXT if text else EventKind.FILE
        return await self._happens(
            kind, by, room, event_id=file.event_id, body=text, attachments=(file,)
        )

    async def reacts(
        self, key: str, *, by: UserId = ALICE, room: RoomId = ROOM, to: Turn | None = None
    ) -> Turn:
        """React to the newest question of the room, or to the question of a turn."""
        question = self._newest(room, to)
        return await self._happens(
            EventKind.REACTION,
            by,
            room,
            key=key,
            about=question.event_id,
            question=_to(by, question.mark),
        )

    async def replies(
        self, text: str, *, by: UserId = ALICE, room: RoomId = ROOM, to: Turn | None = None
    ) -> Turn:
        """Reply to the newest question of the room, or to the question of a turn."""
        question = self._newest(room, to)
        mark = _to(by, question.mark)
        return await self._happens(
            EventKind.TEXT, by, room, body=text, about=question.event_id, question=mark
        )

    async def takes_back(self, turn: Turn, *, by: UserId | None = None) -> Turn:
        """Redact the event that this turn handled: a message, a file, a reaction."""
        taken = turn.inbound
        return await self._happens(
            EventKind.REDACTED, by or taken.sender, taken.room_id, about=taken.event_id
        )

    async def enters(self, by: UserId, *, room: RoomId = ROOM) -> Turn:
        """Let a user join the room."""
        return await self._happens(EventKind.ENTERED, by, room)

    async def departs(self, by: UserId, *, room: RoomId = ROOM) -> Turn:
        """Let a user leave the room."""
        return await self._happens(EventKind.DEPARTED, by, room)

    async def takes(self, inbound: Inbound) -> Turn:
        """Handle any other event, and return its turn."""
        return await self._take(inbound)

    async def passes(self, time: timedelta) -> list[Turn]:
        """Let time pass; return the turns of the states and deadlines that expired."""
        self.now += time
        life, number = await self._alive(), len(self.turns)
        for lapsed in self._conversations.sweep(self._hands.monotonic()):
            self._note(await life.turns.expire(lapsed))
        for due in await life.deadlines.newly_due():
            self._note(await life.turns.fall_due(due))
            life.deadlines.settle(due)
        return self.turns[number:]

    def restart(self, *flows: Flow) -> None:
        """Simulate a kill and a restart: only durable state remains.

        Args:
            flows: New versions of running flows, under the same names.
        """
        self._rehearsed |= {flow.name: flow for flow in flows}
        self._flows = {flow.name: flow for flow in self._make_flows()}
        self._conversations = Conversations()
        self._lives += 1
        self._life: _Life | None = None

    def state(self, flow: type[Flow], *, by: UserId = ALICE, room: RoomId = ROOM) -> str:
        """The name of the state of this user's conversation in this room."""
        return self._standing(flow, by, room).state

    def data(self, flow: type[Flow], *, by: UserId = ALICE, room: RoomId = ROOM) -> Any:
        """The conversation's record or memory, or None."""
        return self._standing(flow, by, room).data

    @property
    def said(self) -> str:
        """The text of the newest turn's replies, questions and edits."""
        effects = self.turns[-1].effects if self.turns else []
        return "\n".join(e.text for e in effects if isinstance(e, Reply | Edit))

    def _make_flows(self) -> list[Flow]:
        """All flows of one process, in the order in which they are offered an event."""
        flows = list(self._rehearsed.values())
        if self._config is not None:
            registry = Registry(self._config.registry_entries())
            return [*flows, *make_flows(self._config, registry, self.now, further=flows)]
        if Confirmation.name in self._rehearsed:
            return flows
        return [*flows, Confirmation(lifetime=timedelta(minutes=5), started_at=self.now)]

    async def _alive(self) -> _Life:
        """The current simulated process; its first turn starts it."""
        loop = asyncio.get_running_loop()
        if self._life is None or self._life.loop is not loop:
            store = await self._disk.open(self._hands.clock())
            self._life = self._begin(store, loop)
        return self._life

    def _begin(self, store: Store, loop: asyncio.AbstractEventLoop) -> _Life:
        clock = self._hands.clock()
        turns = Turns(
            list(self._flows.values()),
            store=store,
            conversations=self._conversations,
            clock=clock,
            settings=TurnSettings(
                prefix=self._prefix,
                language=self._config.replies.language if self._config else ENGLISH,
                life=f"life-{self._lives}",
                outbox=OutboxBuilder(server=self._server),
            ),
        )
        deadlines = Deadlines(
            RetryingStore(store), frozenset(self._flows), monotonic=clock.monotonic
        )
        return _Life(loop, store, turns, deadlines)

    async def _happens(self, kind: EventKind, by: UserId, room: RoomId, **fields: Any) -> Turn:
        fields.setdefault("event_id", self._next_id())
        return await self._take(make_inbound(kind, room_id=room, sender=by, **fields))

    async def _take(self, inbound: Inbound, attempt: int = 0) -> Turn:
        """Run the turn of an event, then the turns of the events that it reopens."""
        life = await self._alive()
        outcome, number = await life.turns.take(inbound, attempt), len(self.turns)
        self._note(outcome)
        for again in outcome.reopened:
            await self._take(again.inbound, again.attempt)
        return self.turns[number]

    def _note(self, outcome: Outcome) -> None:
        turn = outcome.turn
        if turn is None:
            return
        self._questions += [
            _Question(
                effect.question_ref, EventId(f"$answer-{len(self.turns)}-{number}"), effect.room_id
            )
            for number, effect in enumerate(turn.effects)
            if isinstance(effect, Reply) and effect.question_ref is not None
        ]
        self.turns.append(turn)

    def _standing(self, flow: type[Flow], by: UserId, room: RoomId) -> Snapshot:
        running = self._flows[flow.name]
        key = running.key(room, by)
        live = self._conversations.find(running, key, self._hands.monotonic())
        if live is not None or not self._disk.path.exists():
            return live or running.at_rest
        return StoreInspector(self._disk.path).stored_snapshot(running, key)

    def _newest(self, room: RoomId, asked_in: Turn | None) -> _Question:
        for question in reversed(self._questions):
            is_meant = asked_in is None or question.mark.id == asked_in.inbound.event_id
            if question.room_id == room and is_meant:
                return question
        raise KitError("no flow has asked anything in this room: use turn.ask_back or turn.confirm")

    def _next_id(self) -> EventId:
        return EventId(f"${len(self.turns) + 1}")


def _to(user: UserId, mark: QuestionRef) -> QuestionRef | None:
    """The question's reference, if this user may answer it; else None."""
    return mark if mark.asker in (None, user) else None


def _config(sections: Mapping[str, Any]) -> Config:
    """A config with these sections, for a bot without a homeserver."""
    server = {"url": "https://example.org", "user_id": "@bot:example.org", "password": "-"}
    return config_of({"homeserver": server, "agents": [AGENT], **sections})
