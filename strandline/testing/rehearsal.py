"""Rehearsals: unit tests of flows that need no network and take milliseconds.

A rehearsal has no homeserver and no agent. Everything else is the bot's real code: its turns, its
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
from strandline.authoring.naming import refuse_unanswered_signals
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
"""The ``agents`` entry of a rehearsal whose config has no ``agents`` section."""


@frozen
class _Question:
    mark: QuestionRef
    event_id: EventId
    room_id: RoomId


@define
class _TestClock:
    """A clock whose time ``at`` a test sets."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def clock(self) -> Clock:
        return Clock(now=self.now, monotonic=self.monotonic)


@define(eq=False)
class _TemporaryDatabase:
    """The database of a rehearsal in a temporary directory. Each simulated process opens it."""

    directory: Path = field(factory=lambda: Path(mkdtemp(prefix="strandline-rehearsal-")))
    _store: SqliteStore | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def path(self) -> Path:
        return self.directory / "lambda_matrix.db"

    async def open(self, clock: Clock) -> Store:
        """Close the previous process's store, if there is one, and open the store again."""
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
class _SimulatedProcess:
    """The objects of one simulated process. A restart discards them, but not the database.

    Args:
        loop: The event loop in which the store was opened.
        store: The store of durable state.
        turns: Handles events.
        deadlines: Finds the deadlines of durable states that have passed.
    """

    loop: asyncio.AbstractEventLoop
    store: Store
    turns: Turns
    deadlines: Deadlines


class _Remover:
    """Removes the databases of discarded rehearsals, in a thread of its own.

    Garbage collection may happen at any time, in a thread that holds any lock. So the finalizer of
    a rehearsal takes no lock: it only puts the database into a ``SimpleQueue``.
    """

    _gone: SimpleQueue[_TemporaryDatabase | None]
    _databases: set[_TemporaryDatabase]
    _thread: Thread | None

    def __init__(self) -> None:
        self._reset()
        atexit.register(self._finish)
        os.register_at_fork(after_in_child=self._reset)

    def watch(self, rehearsal: object, database: _TemporaryDatabase) -> None:
        """Remove ``database`` when ``rehearsal`` is garbage collected or the process exits."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="strandline-rehearsals", daemon=True)
            self._thread.start()
        self._databases.add(database)
        weakref.finalize(rehearsal, self._gone.put, database).atexit = False

    def _reset(self) -> None:
        """Begin without a thread and without databases to remove.

        This runs in a forked process too: the fork has no copy of the thread, and must not remove
        the databases of its parent.
        """
        self._gone = SimpleQueue()
        self._databases = set()
        self._thread = None

    def _run(self) -> None:
        while database := self._gone.get():
            database.remove()
            self._databases.discard(database)

    def _finish(self) -> None:
        if self._thread is not None:
            self._gone.put(None)
            self._thread.join()
        for database in self._databases:
            database.remove()


_remover = _Remover()


class Rehearsal:
    """Runs flows with simulated users, time and restarts.

    Each method that simulates an event runs one turn and returns that turn. The list
    ``turn.effects`` has the effects that the handlers requested, as values that can be compared. If
    a handler raises an error, the method raises that error and nothing is changed. The first turn
    creates the database, in a temporary directory that is removed with the rehearsal.

    Args:
        flows: The flows to run, in the order in which they are offered an event. The built-in flow
            that ``turn.confirm`` needs is added.
        prefix: What commands begin with, if no config is given.
        config: Sections of ``config.yaml`` that differ from the default. If a config is given, even
            an empty one, all built-in flows run too, after ``flows``. A question to an agent is
            then an effect ``AskAgent``, which gets no answer.

    Attributes:
        turns: All turns so far, oldest first.

    Raises:
        UnansweredSignal: The source of one of the flows triggers a signal that no flow answers.
        ConfigError: The config can't be used.
    """

    _server = "example.org"

    def __init__(
        self, *flows: Flow, prefix: str = "!", config: Mapping[str, Any] | None = None
    ) -> None:
        self.turns: list[Turn] = []
        self._test_clock = _TestClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
        self._config = None if config is None else _config(config)
        self._prefix = self._config.commands.prefix if self._config else prefix
        rehearsed = [type(flow) for flow in flows]
        refuse_unanswered_signals(rehearsed, [*FLOWS, *rehearsed])
        self._rehearsed = {flow.name: flow for flow in flows}
        self._questions: list[_Question] = []
        self._lives = 0
        self._database = _TemporaryDatabase()
        _remover.watch(self, self._database)
        self.restart()

    @property
    def now(self) -> datetime:
        """The simulated time, in UTC. ``passes`` sets it forward; a test may also assign it."""
        return self._test_clock.at

    @now.setter
    def now(self, at: datetime) -> None:
        self._test_clock.at = at

    @property
    def store(self) -> BotStore:
        """A reader of the rehearsal's database. Each call reads what is committed at that time.

        The first turn creates the database.
        """
        return BotStore(self._database.path)

    async def says(
        self, text: str, *, by: UserId = ALICE, room: RoomId = ROOM, **inbound: Any
    ) -> Turn:
        """Send a text message or a command.

        Args:
            text: The text.
            by: The sender.
            room: The room.
            inbound: Further fields of the event, as in ``Inbound``.
        """
        return await self._happens(EventKind.TEXT, by, room, body=text, **inbound)

    async def sends_file(
        self, name: str, *, text: str = "", by: UserId = ALICE, room: RoomId = ROOM
    ) -> Turn:
        """Send a file of one byte.

        Args:
            name: The file's name.
            text: The file's caption; empty for a file without a caption.
            by: The sender.
            room: The room.
        """
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
        """React to a question that a flow asked with ``turn.ask_back`` or ``turn.confirm``.

        Args:
            key: The emoji.
            by: The user who reacts.
            room: The room of the question.
            to: The turn that asked the question; None for the newest question of the room.

        Raises:
            KitError: There is no such question.
        """
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
        """Reply to a question that a flow asked with ``turn.ask_back`` or ``turn.confirm``.

        Args:
            text: The text of the reply.
            by: The user who replies.
            room: The room of the question.
            to: The turn that asked the question; None for the newest question of the room.

        Raises:
            KitError: There is no such question.
        """
        question = self._newest(room, to)
        mark = _to(by, question.mark)
        return await self._happens(
            EventKind.TEXT, by, room, body=text, about=question.event_id, question=mark
        )

    async def takes_back(self, turn: Turn, *, by: UserId | None = None) -> Turn:
        """Redact the event that ``turn`` handled: a message, a file, a reaction.

        Args:
            turn: The turn of the event.
            by: The user who redacts the event; None for its sender.
        """
        taken = turn.inbound
        return await self._happens(
            EventKind.REDACTED, by or taken.sender, taken.room_id, about=taken.event_id
        )

    async def enters(self, by: UserId, *, room: RoomId = ROOM) -> Turn:
        """Simulate that the user ``by`` joins the room; return the turn that handles it."""
        return await self._happens(EventKind.ENTERED, by, room)

    async def departs(self, by: UserId, *, room: RoomId = ROOM) -> Turn:
        """Simulate that the user ``by`` leaves the room; return the turn that handles it."""
        return await self._happens(EventKind.DEPARTED, by, room)

    async def takes(self, inbound: Inbound) -> Turn:
        """Handle an inbound event of any other kind."""
        return await self._take(inbound)

    async def passes(self, time: timedelta) -> list[Turn]:
        """Set the clock forward, and handle the states and deadlines that have expired by then.

        Returns:
            The turns of those expiries; empty if nothing expired.
        """
        self.now += time
        process, number = await self._alive(), len(self.turns)
        for lapsed in self._conversations.sweep(self._test_clock.monotonic()):
            self._note(await process.turns.expire(lapsed))
        for due in await process.deadlines.newly_due():
            self._note(await process.turns.fall_due(due))
            process.deadlines.settle(due)
        return self.turns[number:]

    def restart(self, *flows: Flow) -> None:
        """Simulate a kill and a restart of the bot: only durable state remains.

        Args:
            flows: Flows that replace running flows of the same names, as after an upgrade. All
                other flows stay the same.
        """
        self._rehearsed |= {flow.name: flow for flow in flows}
        self._flows = {flow.name: flow for flow in self._make_flows()}
        self._conversations = Conversations()
        self._lives += 1
        self._process: _SimulatedProcess | None = None

    def state(self, flow: type[Flow], *, by: UserId = ALICE, room: RoomId = ROOM) -> str:
        """The name of the current state of the flow's conversation with this user in this room."""
        return self._standing(flow, by, room).state

    def data(self, flow: type[Flow], *, by: UserId = ALICE, room: RoomId = ROOM) -> Any:
        """The record or memory of the flow's conversation with this user in this room.

        None if the current state has neither.
        """
        return self._standing(flow, by, room).data

    @property
    def said(self) -> str:
        """The texts of the newest turn's replies, questions and edits, one after another.

        Empty if there are none.
        """
        effects = self.turns[-1].effects if self.turns else []
        return "\n".join(e.text for e in effects if isinstance(e, Reply | Edit))

    def _make_flows(self) -> list[Flow]:
        """Return the flows of a new process, in the order in which they are offered an event."""
        flows = list(self._rehearsed.values())
        if self._config is not None:
            registry = Registry(self._config.registry_entries())
            return [*flows, *make_flows(self._config, registry, self.now, further=flows)]
        if Confirmation.name in self._rehearsed:
            return flows
        return [*flows, Confirmation(lifetime=timedelta(minutes=5), started_at=self.now)]

    async def _alive(self) -> _SimulatedProcess:
        """Return the current simulated process; start it if this is its first turn."""
        loop = asyncio.get_running_loop()
        if self._process is None or self._process.loop is not loop:
            store = await self._database.open(self._test_clock.clock())
            self._process = self._begin(store, loop)
        return self._process

    def _begin(self, store: Store, loop: asyncio.AbstractEventLoop) -> _SimulatedProcess:
        clock = self._test_clock.clock()
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
        return _SimulatedProcess(loop, store, turns, deadlines)

    async def _happens(self, kind: EventKind, by: UserId, room: RoomId, **fields: Any) -> Turn:
        fields.setdefault("event_id", self._next_id())
        return await self._take(make_inbound(kind, room_id=room, sender=by, **fields))

    async def _take(self, inbound: Inbound, attempt: int = 0) -> Turn:
        """Run the turn of an event, then the turns of all events that this turn reopens.

        Returns:
            The turn of the event itself.
        """
        process = await self._alive()
        outcome, number = await process.turns.take(inbound, attempt), len(self.turns)
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
        live = self._conversations.find(running, key, self._test_clock.monotonic())
        if live is not None or not self._database.path.exists():
            return live or running.at_rest
        return StoreInspector(self._database.path).stored_snapshot(running, key)

    def _newest(self, room: RoomId, asked_in: Turn | None) -> _Question:
        for question in reversed(self._questions):
            is_meant = asked_in is None or question.mark.id == asked_in.inbound.event_id
            if question.room_id == room and is_meant:
                return question
        raise KitError("no flow has asked anything in this room: use turn.ask_back or turn.confirm")

    def _next_id(self) -> EventId:
        return EventId(f"${len(self.turns) + 1}")


def _to(user: UserId, mark: QuestionRef) -> QuestionRef | None:
    """Return ``mark``, the reference of a question, if ``user`` may answer it; else None."""
    return mark if mark.asker in (None, user) else None


def _config(sections: Mapping[str, Any]) -> Config:
    """Return a config with these sections, for a rehearsal, which needs no homeserver.

    Raises:
        ConfigError: The config has errors.
    """
    server = {"url": "https://example.org", "user_id": "@bot:example.org", "password": "-"}
    return config_of({"homeserver": server, "agents": [AGENT], **sections})
