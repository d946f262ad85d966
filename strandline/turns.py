"""Turns: each inbound event handled in one transaction.

The engine decides nothing about conversations. It finds the flow that answers, lets it step,
and commits what its handlers asked for; only then does anything leave the process.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

from attrs import field, frozen

from durable import Commit, Conflict, Handled, PlatformChatSequence, Reopened, Store
from durable.errors import AlreadyHandled
from durable.language import language_code, language_key
from durable.records import FlowRecord, RoomRecord, room_key
from durable.working_records import WorkingRecords
from ephemeral.conversations import Conversations
from fsm import Command, Flow, Inbound, Kind, Occurrence, Snapshot, Text, Tongue, Turn
from fsm.effects import AskAgent, OutboxRow, Reopen
from fsm.events import Stimulus
from fsm.failpoints import reach
from fsm.ids import ConversationKey
from strandline.languages import ENGLISH, tongue
from strandline.locks import KeyLocks
from strandline.replies import outbox_rows


@frozen(kw_only=True)
class Outcome:
    """What a committed turn left to be done.

    Args:
        rows: Outbox rows, stored, to be delivered now.
        question: An agent to ask; the event then stays unhandled until the answer is committed.
        reopened: Events to be handled once more, before any later one of the room.
    """

    rows: tuple[OutboxRow, ...] = ()
    question: AskAgent | None = None
    reopened: tuple[Reopen, ...] = ()


@frozen(kw_only=True)
class Clock:
    """Where time comes from.

    Args:
        now: The wall clock, aware UTC.
        monotonic: Seconds that never run backwards.
    """

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


@frozen
class _Work:
    """One try at a turn: what it reads, and where conversations stand after it."""

    turn: Turn
    records: WorkingRecords
    stood: dict[tuple[str, ConversationKey], Snapshot] = field(factory=dict)


class Turns:
    """The handling of inbound events by flows.

    Args:
        flows: In the order in which they are offered an event; the first that answers has it.
        language: Which language the bot speaks to who has chosen none.
    """

    def __init__(  # noqa: PLR0913  # the parts that meet here
        self,
        flows: Sequence[Flow],
        *,
        store: Store,
        conversations: Conversations,
        clock: Clock,
        prefix: str,
        language: str = ENGLISH,
    ) -> None:
        self._flows = {flow.name: flow for flow in flows}
        self._store = store
        self._conversations = conversations
        self._sequence = PlatformChatSequence(store)
        self._clock = clock
        self._prefix = prefix
        self._language = language
        self._locks = KeyLocks()

    async def take(self, inbound: Inbound, attempt: int = 0) -> Outcome:
        """Handle ``inbound`` and commit. An event that was handled before changes nothing.

        Raises:
            Exception: Whatever a handler raised; nothing has happened then.
        """
        stimulus = stimulus_of(inbound, self._prefix)
        while True:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(
                    self._locks.hold(f"room:{inbound.room_id}", f"user:{inbound.sender}")
                )
                records = await stack.enter_async_context(
                    WorkingRecords(self._store, self._sequence)
                )
                turn = Turn(
                    inbound=inbound,
                    now=self._clock.now(),
                    stimulus=stimulus,
                    records=records,
                    prefix=self._prefix,
                    attempt=attempt,
                )
                work = _Work(turn, records)
                await self._decide(work)
                try:
                    return await self._commit(work)
                except Conflict:
                    continue  # somebody else wrote what this turn had read: decide anew
                except AlreadyHandled:
                    return Outcome()

    async def _decide(self, work: _Work) -> None:
        reach("turn.decide.before")
        snapshots = {flow.name: await self._standing(work, flow) for flow in self._flows.values()}
        work.turn.tongue = await self._tongue(work)
        for flow in self._flows.values():
            if await self._try(work, flow, snapshots[flow.name], work.turn.stimulus):
                break
        while work.turn.signals:
            signal = work.turn.signals.pop(0)
            flow = self._flows[signal.flow]
            await self._try(work, flow, await self._standing(work, flow), signal)
        reach("turn.decide.after")

    async def _try(self, work: _Work, flow: Flow, snapshot: Snapshot, stimulus: Stimulus) -> bool:
        turn = work.turn.answering(stimulus, snapshot.data)
        move = flow.choose(snapshot, stimulus, turn)
        if move is None:
            return False
        after = await flow.step(snapshot, move, turn)
        key = flow.key(turn.room_id, turn.inbound.sender)
        work.records.stand(flow, key, after)
        work.stood[flow.name, key] = after
        return True

    async def _standing(self, work: _Work, flow: Flow) -> Snapshot:
        key = flow.key(work.turn.room_id, work.turn.inbound.sender)
        stood = work.stood.get((flow.name, key))
        if stood is not None and flow.kept_as is None:
            return stood
        durable = await work.records.standing(flow, key)
        live = self._conversations.find(flow, key, self._clock.monotonic())
        return live or durable

    async def _tongue(self, work: _Work) -> Tongue:
        listener = work.turn.sender
        if work.turn.inbound.kind is Kind.JOINED:  # the bot's own: it greets the room's owner
            room = work.records.find(RoomRecord, room_key(work.turn.room_id))
            listener = (room and room.matrix_user_id) or listener
        kept = await work.records.read(FlowRecord, language_key(listener))
        return tongue(language_code(kept), default=self._language)

    async def _commit(self, work: _Work) -> Outcome:
        turn, effects = work.turn, work.turn.effects
        question = next((e for e in effects if isinstance(e, AskAgent)), None)
        reopened = tuple(e for e in effects if isinstance(e, Reopen))
        settles = question is None and turn.inbound.kind is not Kind.INVITED
        commit = Commit(
            expected=work.records.expected,
            writes=work.records.writes,
            outbox=outbox_rows(turn.inbound, effects, attempt=turn.attempt),
            handled=Handled(turn.inbound.event_id, turn.room_id) if settles else None,
            reopens=tuple(
                Reopened(r.inbound.event_id, r.inbound.room_id, r.attempt) for r in reopened
            ),
        )
        reach("turn.commit.before")
        rows = await self._store.commit(commit)
        reach("turn.commit.after")
        self._settle(work)
        return Outcome(rows=rows, question=question, reopened=reopened)

    def _settle(self, work: _Work) -> None:
        for (name, key), snapshot in work.stood.items():
            self._conversations.put(self._flows[name], key, snapshot, self._clock.monotonic())


def stimulus_of(inbound: Inbound, prefix: str) -> Stimulus:
    """What an inbound event asks of the flows: a command, a text, or an occurrence."""
    if inbound.kind is not Kind.TEXT:
        return Occurrence(inbound.kind)
    body = inbound.body.strip()
    after = body.removeprefix(prefix)
    if after == body or not after[:1].isalpha():
        return Text(inbound.body)
    name, *argument = after.split(maxsplit=1)
    return Command(name.casefold(), argument[0] if argument else "")
