"""The records that one turn reads and changes.

They are read from the store when the turn asks for them. Changes are collected here, and the commit
at the end of the turn writes them.
"""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from attrs import evolve

from durable.records import (
    Deadline,
    FlowRecord,
    RoomRecord,
    SavedState,
    UserRecord,
    flow_key,
    room_key,
    user_key,
)
from durable.store.codec import from_json, of_plain, plain, to_json
from durable.store.contract import Store
from durable.store.errors import CorruptValue
from durable.store.sequence import PlatformChatSequence
from fsm import Flow, Inbound, Saved, Snapshot, Tier, Turn, TurnError
from fsm.dispatch import TransitionTaken
from fsm.kept_record import KeptAsRecord
from fsm.records import (
    PLATFORM_CHAT_SEQ_KEY,
    RECORD_PREFIX,
    BotRecords,
    ReadKeys,
    Records,
    one_number_a_turn,
    refuse_engines,
)
from fsm.values.ids import ConversationKey, PlatformChatId, UserId

R = TypeVar("R")


class TurnRecords:
    """Reads the records of a turn, and collects the changes for the turn's commit.

    Use as an async context manager, and commit inside of it: it holds the lock on the platform chat
    sequence, if the turn needs it, until it ends. It does not commit by itself.

    Attributes:
        expected: Each key that was read, with the JSON text that was read; None if there was none.
            The commit compares it with the stored text, and raises ``Conflict`` if another turn
            has changed the stored text.
        writes: Each key that the commit must write, with its new JSON text; None deletes the key.
    """

    def __init__(self, store: Store, sequence: PlatformChatSequence) -> None:
        self.expected: dict[str, str | None] = {}
        self.writes: dict[str, str | None] = {}
        self._store = store
        self._sequence = sequence
        self._present: dict[str, object] = {}
        self._read = ReadKeys()
        self._held = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._held.__aexit__(kind, error, trace)

    async def read(self, cls: type[R], key: str) -> R | None:
        """Return the record under ``key``, with the uncommitted changes of this turn.

        Return None if there is no record. A stored record that can't be decoded as a ``cls`` is
        moved to the table ``quarantine``, and None is returned too.
        """
        if key not in self._present:
            stored = await self._store.read(cls, key)
            self.expected[key] = stored.text
            self._present[key] = stored.value
        self._read.add(key)
        return self.find(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """Like ``read``, but never waits: for a key that this turn has read or saved.

        Raises:
            TurnError: This turn has neither read nor saved the key, nor read a prefix of it.
        """
        self._read.require(cls, key)
        if key not in self._present:  # its prefix was read, and there is no such key
            self.expected[key] = self._present[key] = None
        record = self._present[key]
        return record if isinstance(record, cls) else None

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """Return the ``cls`` records whose keys begin with ``prefix``, with this turn's changes.

        Args:
            cls: The class of the records. Records of another class are left out.
            prefix: The beginning of the keys.
            owner: If given, only room records with this ``matrix_user_id`` are returned; ``prefix``
                is then the prefix of room records.

        Returns:
            Each record, by its key without the prefix.
        """
        stored = (
            await self._store.read_all(cls, prefix)
            if owner is None
            else await self._store.read_rooms(cls, owner)
        )
        if owner is None:
            self._read.add_prefix(prefix)
        for key, found in stored.items():
            self._read.add(key)
            if key not in self._present:
                self.expected[key] = found.text
                self._present[key] = found.value
        return {
            key.removeprefix(prefix): record
            for key, record in self._present.items()
            if key.startswith(prefix) and isinstance(record, cls)
            if owner is None or getattr(record, "matrix_user_id", None) == owner
        }

    def save(self, key: str, record: object) -> None:
        """Have the commit write ``record`` under ``key``; None deletes the stored record.

        Raises:
            TurnError: The key is reserved for the engine.
        """
        refuse_engines(key)
        self._write(key, record)

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue a platform chat number. The commit stores it.

        Another turn that calls this method waits until this turn has ended.

        Raises:
            TurnError: This turn has already issued a number. It would wait for itself.
        """
        if PLATFORM_CHAT_SEQ_KEY in self.writes:
            raise one_number_a_turn()
        allocation = await self._held.enter_async_context(self._sequence.next())
        self.expected.update(allocation.expected)
        self.writes.update(allocation.writes)
        return allocation.platform_chat_id

    def of_flow(self, name: str) -> Records:
        """The records of the flow with this name."""
        return FlowRecords(self, name)

    async def read_text(self, key: str) -> None:
        """Read the stored text under ``key`` into ``expected``, without decoding it."""
        self._read.add(key)
        if key not in self.expected and key not in self.writes:
            self.expected[key] = await self._store.read_text(key)

    async def read_texts(self, prefix: str) -> list[str]:
        """Read all texts whose keys begin with ``prefix`` into ``expected``, without decoding them.

        Returns:
            The sorted full keys under which there is a text after the changes of this turn.
        """
        self._read.add_prefix(prefix)
        for key, text in (await self._store.read_texts(prefix)).items():
            self.expected.setdefault(key, text)
        known = self.expected | self.writes
        return sorted(k for k, text in known.items() if k.startswith(prefix) and text is not None)

    def find_text(self, cls: type[object], key: str, *, prefix: str) -> str | None:
        """Return the text under ``key``, with this turn's changes; None if there is none.

        Args:
            cls: The record class that the caller wants, for the error message.
            key: The full key.
            prefix: The start of the key that the error message leaves out.

        Raises:
            TurnError: This turn has neither read nor saved the key, nor read a prefix of it.
        """
        self._read.require(cls, key, prefix=prefix)
        if key in self.writes:
            return self.writes[key]
        return self.expected.setdefault(key, None)

    def save_text(self, key: str, text: str | None) -> None:
        """Have the commit write ``text`` under ``key``; None deletes the stored text."""
        self._read.add(key)
        self.writes[key] = text

    async def stored_snapshot(self, flow: Flow, key: ConversationKey) -> Snapshot:
        """Return the conversation's state in the store: a durable state, or idle.

        An ephemeral state is not in the store. A record that ``flow`` can't read, even with its
        ``@upgrade`` methods, is moved to the table ``quarantine``; the conversation is then idle.
        """
        if isinstance(flow, KeptAsRecord):
            record: Any = await self.read(flow.record_type or object, f"{flow.kept_as}:{key}")
            return flow.at_rest if record is None else Snapshot(flow.state_of(record).name, record)
        if not flow.is_durable:
            return flow.at_rest
        kept = await self.read(FlowRecord, flow_key(flow.name, key))
        if kept is None:
            return flow.at_rest
        try:
            snapshot = snapshot_of(flow, kept)
        except Exception as error:  # noqa: BLE001  # what an author's upgrade raises, too
            await self._set_aside(flow_key(flow.name, key), f"{type(error).__name__}: {error}")
            return flow.at_rest
        if flow.states[snapshot.state].initial:  # an upgrade may drop the conversation
            self._write(flow_key(flow.name, key), None)
        return snapshot

    def deadline(self, flow: Flow, key: ConversationKey) -> Deadline | None:
        """Return the deadline of the conversation's durable state; None if it has none.

        Call ``stored_snapshot`` first.
        """
        kept = self._kept(flow, key)
        return kept.deadline if kept is not None else None

    def drop_deadline(self, flow: Flow, key: ConversationKey) -> None:
        """Have the commit remove the deadline from the conversation's record. The state stays.

        Call ``stored_snapshot`` first.
        """
        kept = self._kept(flow, key)
        if kept is not None:
            self._write(flow_key(flow.name, key), evolve(kept, deadline=None))

    def save_snapshot(self, flow: Flow, moved: TransitionTaken, turn: Turn) -> None:
        """Have the commit write the conversation's state after the step ``moved``.

        A new state that is ephemeral changes nothing in the store. For the idle state, the
        conversation's record is deleted.
        """
        key, state = moved.key, flow.states[moved.after.state]
        if state.tier is Tier.EPHEMERAL or not flow.is_durable:
            return
        if isinstance(flow, KeptAsRecord):
            self._keep(f"{flow.kept_as}:{key}", moved.after.data)
        elif state.initial:
            self._keep(flow_key(flow.name, key), None)
        else:
            before = self._kept(flow, key)
            kept = flow_record(flow, moved, turn, before=before)
            self._keep(flow_key(flow.name, key), kept)

    def _kept(self, flow: Flow, key: ConversationKey) -> FlowRecord | None:
        """Return the flow record that this turn has read or saved; None if there is none."""
        record = self._present.get(flow_key(flow.name, key))
        return record if isinstance(record, FlowRecord) else None

    async def _set_aside(self, key: str, error: str) -> None:
        """Move the record under ``key`` to the table ``quarantine``, with the reason ``error``."""
        await self._store.set_aside(key, self.expected[key] or "", error)
        self.expected[key] = self._present[key] = None

    def _keep(self, key: str, record: object) -> None:
        if self._present.get(key) != record:
            self._write(key, record)

    def _write(self, key: str, record: object) -> None:
        self._read.add(key)
        self._present[key] = record
        self.writes[key] = None if record is None else to_json(record)


class FlowRecords:
    """Reads and changes one flow's own records in a turn: ``turn.records``.

    The records are stored under ``record:FLOW:KEY``; the methods take and return the ``KEY``. A
    record that can't be decoded raises, and stays in the database unchanged.

    Args:
        turn_records: The records of the turn, which reads and writes the texts.
        flow: The flow's name.
    """

    def __init__(self, turn_records: TurnRecords, flow: str) -> None:
        self._turn_records = turn_records
        self._flow = flow
        self._prefix = f"{RECORD_PREFIX}{flow}:"

    async def read(self, cls: type[R], key: str) -> R | None:
        """Return the record under ``key``, with the uncommitted changes of this turn.

        Return None if there is no record.

        Raises:
            TurnError: The stored record can't be decoded as a ``cls``. The record is not changed.
        """
        await self._turn_records.read_text(self._prefix + key)
        return self.find(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """Like ``read``, but never waits: for a key that this turn has read or saved. For guards.

        Raises:
            TurnError: This turn has neither read nor saved the key, nor read a prefix of it; or the
                record can't be decoded as a ``cls``.
        """
        text = self._turn_records.find_text(cls, self._prefix + key, prefix=self._prefix)
        if text is None:
            return None
        try:
            return from_json(cls, text)
        except CorruptValue as error:
            problem = f"{self._flow}'s record under {key!r} is no {cls.__name__}: {error.problem}"
            remedy = "read it as the class that was saved there; it is left as it is"
            raise TurnError(problem, remedy) from error

    def save(self, key: str, record: object) -> None:
        """Have the commit write ``record`` under ``key``; None deletes the stored record.

        Raises:
            TurnError: The record can't be stored and read back without loss.
        """
        if record is not None:
            _refuse_unreadable(record, f"{self._flow} under {key!r}")
        text = None if record is None else to_json(record)
        self._turn_records.save_text(self._prefix + key, text)

    async def all(self, cls: type[R], prefix: str = "") -> dict[str, R]:
        """Return the flow's records whose keys begin with ``prefix``, with this turn's changes.

        Args:
            cls: The class of all these records.
            prefix: The beginning of the keys; empty for all records of the flow.

        Returns:
            Each record, by its key without the prefix.

        Raises:
            TurnError: A record can't be decoded as a ``cls``. No record is changed.
        """
        whole = self._prefix + prefix
        keys = [k.removeprefix(whole) for k in await self._turn_records.read_texts(whole)]
        found = {key: self.find(cls, prefix + key) for key in keys}
        return {key: record for key, record in found.items() if record is not None}

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue the next platform chat number. The turn's commit stores it as issued.

        Raises:
            TurnError: This turn has already issued a number.
        """
        return await self._turn_records.next_platform_chat_id()


async def read_ahead(records: BotRecords, inbound: Inbound) -> None:
    """Read the records of the event's room and sender, so that guards can ``find`` them."""
    await records.read(RoomRecord, room_key(inbound.room_id))
    await records.read(UserRecord, user_key(inbound.sender))


def snapshot_of(flow: Flow, kept: FlowRecord) -> Snapshot:
    """Return the stored state of a conversation, upgraded to the current version of its flow.

    Args:
        flow: The flow.
        kept: The conversation's record in the store.

    Raises:
        Exception: The flow has no such durable state, the record can't be decoded as the state's
            record class, or an ``@upgrade`` method of the flow raised.
    """
    origin = None
    if kept.origin is not None:
        origin = _saved(flow, Saved(kept.origin.state, kept.origin.record), kept.version)
    return evolve(_saved(flow, Saved(kept.state, kept.record), kept.version), origin=origin)


def _saved(flow: Flow, saved: Saved, version: int) -> Snapshot:
    saved = flow.read_saved(saved, version)
    state = flow.states[saved.state]
    if state.tier is Tier.EPHEMERAL:
        problem = f"{state.name!r} is ephemeral, so no saved conversation can be in it"
        raise ValueError(problem)
    data = of_plain(state.record, saved.record) if state.record else None
    return Snapshot(state.name, data)


def flow_record(
    flow: Flow, moved: TransitionTaken, turn: Turn, *, before: FlowRecord | None
) -> FlowRecord:
    """Return the record to store for a conversation that is in a durable state after a step.

    Args:
        flow: The conversation's flow.
        moved: The step.
        turn: The turn of the step.
        before: The conversation's record before the step; None if it had none.

    Raises:
        TurnError: The state's record can't be stored and read back without loss.
    """
    lifetime = flow.lifetime(flow.states[moved.after.state])
    if lifetime is None:
        deadline = None
    elif moved.entered or before is None:
        at_ms = int((turn.now + lifetime).timestamp() * 1000)
        deadline = Deadline(at_ms=at_ms, room_id=turn.room_id, sender=turn.sender)
    else:
        deadline = before.deadline
    return FlowRecord(
        state=moved.after.state,
        version=flow.version,
        record=_readable(flow, moved.after) if moved.after.data is not None else {},
        deadline=deadline,
        origin=_origin(flow, moved.after.origin),
        extra=before.extra if before is not None else {},
    )


def _origin(flow: Flow, snapshot: Snapshot | None) -> SavedState | None:
    """Return the stored form of ``snapshot``, the state to which ``BACK`` leads; None for idle."""
    if snapshot is None or not flow.states[snapshot.state].is_durable:
        return None
    record = _readable(flow, snapshot) if snapshot.data is not None else {}
    return SavedState(snapshot.state, record)


def _readable(flow: Flow, snapshot: Snapshot) -> dict[str, Any]:
    """Return the snapshot's record as a JSON object.

    Raises:
        TurnError: The record can't be read back without loss.
    """
    fields: dict[str, Any] = _refuse_unreadable(snapshot.data, f"{flow.name} in {snapshot.state!r}")
    return fields


def _refuse_unreadable(record: object, where: str) -> Any:
    """Return the record as a JSON value.

    Args:
        record: The record.
        where: The flow and the state or key of the record, for the error message.

    Raises:
        TurnError: The record can't be read back without loss.
    """
    try:
        kept = plain(record)
        is_same = of_plain(type(record), kept) == record
        problem = "it would be read back as another"
    except CorruptValue as error:
        is_same, problem = False, error.problem
    except (TypeError, ValueError) as error:  # what JSON has no form for
        is_same, problem = False, str(error)
    if not is_same:
        what = f"{where} can't keep {record!r}: {problem}"
        raise TurnError(what, "give its fields values of the types that they declare")
    return kept
