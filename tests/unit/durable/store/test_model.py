"""The store against a model of it in plain Python, with crashes and restarts between."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from durable.records import IssuedNumber
from durable.store import (
    AlreadyHandled,
    Commit,
    Conflict,
    Handled,
    PlatformChatSequence,
    Progress,
    Reopened,
    Store,
    UnfinishedAnswer,
)
from fsm.outbox import OutboxRow
from fsm.records import PLATFORM_CHAT_SEQ_KEY
from fsm.values.ids import EventId, SyncToken
from tests.support.store.opening import ROOM, open_store, row

T = TypeVar("T")

KEYS = st.sampled_from(["a", "b", "c"])
EVENTS = st.sampled_from([EventId(f"${i}") for i in range(5)])
TEXTS = st.integers(0, 3).map(str)


class StoreModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.lives = 0
        self.abandoned: list[Store] = []
        self.values: dict[str, str] = {}
        self.handled: set[EventId] = set()
        self.owed: list[OutboxRow] = []
        self.hopeless: set[str] = set()
        self.streams: dict[EventId, EventId | None] = {}
        self.reopened: dict[EventId, int] = {}
        self.parked: dict[EventId, int] = {}
        self.token: SyncToken | None = None
        self.issued = 0
        self.rows = 0

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @property
    def path(self) -> Path:
        return self.folder / str(self.lives) / "lambda_matrix.db"

    @initialize()
    def begin(self) -> None:
        self.store = self.wait(open_store(self.path))

    @rule()
    def restart(self) -> None:
        self.wait(self.store.close())
        self.store = self.wait(open_store(self.path))
        self.wait(self.store.restart_report([]))

    @rule()
    def crash(self) -> None:
        """What a killed process leaves: the files as they are this moment, nothing closed."""
        before = self.path.parent
        self.lives += 1
        shutil.copytree(before, self.path.parent, ignore=shutil.ignore_patterns("*-shm"))
        self.abandoned.append(self.store)
        self.store = self.wait(open_store(self.path))

    @rule(key=KEYS, text=st.none() | TEXTS, guess=st.none() | TEXTS, event=EVENTS)
    def commit(self, key: str, text: str | None, guess: str | None, event: EventId) -> None:
        self.rows += 1
        commit = Commit(
            expected={key: guess},
            writes={key: text},
            outbox=(row(f"t{self.rows}"),),
            handled=Handled(event, ROOM),
        )
        try:
            (stored,) = self.wait(self.store.commit(commit))
        except AlreadyHandled:
            assert event in self.handled
        except Conflict:
            assert event not in self.handled
            assert self.values.get(key) != guess
        else:
            assert event not in self.handled
            assert self.values.get(key) == guess
            self.set(key, text)
            self.handled.add(event)
            self.reopened.pop(event, None)
            self.owed.append(stored)

    @rule(commits=st.lists(st.tuples(KEYS, TEXTS), min_size=2, max_size=6))
    def commit_together(self, commits: list[tuple[str, str]]) -> None:
        async def together() -> None:
            await asyncio.gather(
                *(self.store.commit(Commit(writes={key: text})) for key, text in commits)
            )

        self.wait(together())
        self.values.update(commits)

    @rule(event=EVENTS)
    def begin_answer(self, event: EventId) -> None:
        self.rows += 1
        rows = self.wait(
            self.store.commit(
                Commit(
                    stream_begins=UnfinishedAnswer(event, ROOM),
                    outbox=(evolve(row(f"t{self.rows}"), stream_of=event),),
                )
            )
        )
        self.owed += rows
        self.streams.setdefault(event, None)

    @rule(event=EVENTS)
    def end_answer(self, event: EventId) -> None:
        self.wait(self.store.commit(Commit(stream_ends=event)))
        self.streams.pop(event, None)

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        delivered = data.draw(st.sampled_from(self.owed))
        event_id = EventId(f"$sent-{delivered.transaction_id}")
        self.wait(self.store.outbox.mark_delivered(delivered, event_id))
        self.owed.remove(delivered)
        if delivered.stream_of in self.streams:
            self.streams[delivered.stream_of] = event_id

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def give_row_up(self, data: st.DataObject) -> None:
        hopeless = data.draw(st.sampled_from(self.owed))
        self.wait(self.store.outbox.park_row(hopeless, "403"))
        self.owed.remove(hopeless)
        if hopeless.stream_of is not None and self.streams.get(hopeless.stream_of) is None:
            self.streams.pop(hopeless.stream_of, None)

    @rule(event=EVENTS, ordinal=st.integers(1, 3))
    def reopen(self, event: EventId, ordinal: int) -> None:
        self.wait(self.store.commit(Commit(reopens=(Reopened(event, ROOM, ordinal),))))
        self.handled.discard(event)
        self.reopened[event] = ordinal

    @rule(event=EVENTS)
    def park(self, event: EventId) -> None:
        self.wait(self.store.parking.park_event(event, ROOM, error="ValueError", attempts=5))
        ordinal = self.reopened.pop(event, 0)
        self.parked.setdefault(event, ordinal)
        self.handled.add(event)

    @rule(event=EVENTS)
    def retry(self, event: EventId) -> None:
        assert self.wait(self.store.parking.retry(event)) == (event in self.parked)
        if event in self.parked:
            self.reopened[event] = self.parked.pop(event) + 1
            self.handled.discard(event)

    @rule(token=TEXTS, passed=st.lists(EVENTS))
    def advance(self, token: str, passed: list[EventId]) -> None:
        self.token = SyncToken(token)
        self.wait(self.store.checkpoint.save(Progress(token=self.token, completed=tuple(passed))))

    @rule()
    def allocate(self) -> None:
        number = int(self.wait(PlatformChatSequence(self.store).allocate()))
        assert number == self.issued + 1
        self.issued = number
        self.values[PLATFORM_CHAT_SEQ_KEY] = str(number)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        for key in ("a", "b", "c", PLATFORM_CHAT_SEQ_KEY):
            assert self.values.get(key) == self.wait(self.store.read(IssuedNumber, key)).text
        everything = [EventId(f"${i}") for i in range(5)]
        known = self.handled | set(self.reopened)
        assert known == self.wait(self.store.handled_among(everything))
        assert self.owed == list(self.wait(self.store.outbox.pending_rows()))
        assert self.token == self.wait(self.store.checkpoint.token())
        assert self.reopened == {
            again.event_id: again.ordinal for again in self.wait(self.store.reopened())
        }
        set_aside = {p.event_id for p in self.wait(self.store.parking.list_parked())}
        assert set(self.parked) == {event for event in set_aside if event in everything}
        for event in everything:
            found = self.wait(self.store.stream(event))
            wanted = (
                UnfinishedAnswer(event, ROOM, self.streams[event])
                if event in self.streams
                else None
            )
            assert found == wanted

    def set(self, key: str, text: str | None) -> None:
        if text is None:
            self.values.pop(key, None)
        else:
            self.values[key] = text

    def teardown(self) -> None:
        if hasattr(self, "store"):
            for store in (*self.abandoned, self.store):
                self.wait(store.close())
        self.loop.close()
        shutil.rmtree(self.folder)


def test_the_store_agrees_with_a_model_of_it_through_every_crash() -> None:
    run_state_machine_as_test(
        StoreModel, settings=settings(max_examples=40, stateful_step_count=30, deadline=None)
    )
