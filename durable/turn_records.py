"""The records of one turn: read through the store, written by the turn's commit."""

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
    """The records that a turn has read and changed. Use as an async context manager.

    Attributes:
        expected: Each key that was read, with its text at that time. The commit compares them, to
            detect changes in between.
        writes: Each key that is to change, with its new text; None deletes.
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
        """Read the record under ``key``, with this turn's own changes; None if there is none."""
        if key not in self._present:
            stored = await self._store.read(cls, key)
            self.expected[key] = stored.text
            self._present[key] = stored.value
        self._read.add(key)
        return self.find(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """Like ``read``, but without waiting, for a key that this turn has read or saved.

        Raises:
            TurnError: This turn has not read the key.
        """
        self._read.require(cls, key)
        if key not in self._present:  # a prefix that was read has no such key
            self.expected[key] = self._present[key] = None
        record = self._present[key]
        return record if isinstance(record, cls) else None

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """All records whose keys begin with ``prefix``, by the rest of their keys.

        With an ``owner``, only records with this ``matrix_user_id``: room records have that field.
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
        """Save ``record`` with the commit; None deletes the stored record.

        Raises:
            TurnError: Only the engine writes this key.
        """
        refuse_engines(key)
        self._write(key, record)

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue a number. Other turns wait for the next one until this turn has ended.

        Raises:
            TurnError: This turn has already issued one. A second one would be a deadlock.
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
        """Read the stored text under ``key``, unchecked."""
        self._read.add(key)
        if key not in self.expected and key not in self.writes:
            self.expected[key] = await self._store.read_text(key)

    async def read_texts(self, prefix: str) -> list[str]:
        """Read all texts with ``prefix``; return the keys, including those that this turn saves."""
        self._read.add_prefix(prefix)
        for key, text in (await self._store.read_texts(prefix)).items():
            self.expected.setdefault(key, text)
        known = self.expected | self.writes
        return sorted(k for k, text in known.items() if k.startswith(prefix) and text is not None)

    def find_text(self, cls: type[object], key: str, *, prefix: str) -> str | None:
        """This turn's text under the key, for a caller that leaves out the prefix.

        Raises:
            TurnError: This turn has not read the key.
        """
        self._read.require(cls, key, prefix=prefix)
        if key in self.writes:
            return self.writes[key]
        return self.expected.setdefault(key, None)

    def save_text(self, key: str, text: str | None) -> None:
        """Save the text with the commit; None deletes it."""
        self._read.add(key)
        self.writes[key] = text

    async def stored_snapshot(self, flow: Flow, key: ConversationKey) -> Snapshot:
        """The conversation's stored state: a durable one, or idle."""
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
        """The deadline of the conversation's durable state; call ``stored_snapshot`` first."""
        kept = self._kept(flow, key)
        return kept.deadline if kept is not None else None

    def drop_deadline(self, flow: Flow, key: ConversationKey) -> None:
        """Keep the conversation's state without its deadline; call ``stored_snapshot`` first."""
        kept = self._kept(flow, key)
        if kept is not None:
            self._write(flow_key(flow.name, key), evolve(kept, deadline=None))

    def save_snapshot(self, flow: Flow, moved: TransitionTaken, turn: Turn) -> None:
        """Save the conversation's new state with the commit, if it is durable."""
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
        """The flow record that ``stored_snapshot`` has read, if there is one."""
        record = self._present.get(flow_key(flow.name, key))
        return record if isinstance(record, FlowRecord) else None

    async def _set_aside(self, key: str, error: str) -> None:
        """Move a record that the flow can't read to the quarantine; the conversation is idle."""
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
    """The records of one flow, whose keys begin with the flow's name.

    A record that can't be decoded counts as absent, and stays in the database as it is.

    Args:
        turn_records: The records of the turn.
        flow: The flow's name.
    """

    def __init__(self, turn_records: TurnRecords, flow: str) -> None:
        self._turn_records = turn_records
        self._flow = flow
        self._prefix = f"{RECORD_PREFIX}{flow}:"

    async def read(self, cls: type[R], key: str) -> R | None:
        """Read the record under ``key``, with this turn's own changes; None if there is none.

        Raises:
            TurnError: The stored record is not a ``cls``. It is not changed.
        """
        await self._turn_records.read_text(self._prefix + key)
        return self.find(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """Like ``read``, but never waits: for a key that this turn has read or saved. For guards.

        Raises:
            TurnError: This turn has not read the key, or the record is not a ``cls``.
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
        """Save ``record`` with the commit; None deletes the stored record.

        Raises:
            TurnError: It can't be stored and read back without loss.
        """
        if record is not None:
            _refuse_unreadable(record, f"{self._flow} under {key!r}")
        text = None if record is None else to_json(record)
        self._turn_records.save_text(self._prefix + key, text)

    async def all(self, cls: type[R], prefix: str = "") -> dict[str, R]:
        """All records whose keys begin with ``prefix``, by the rest of their keys.

        Raises:
            TurnError: One of them is not a ``cls``. None is changed.
        """
        whole = self._prefix + prefix
        keys = [k.removeprefix(whole) for k in await self._turn_records.read_texts(whole)]
        found = {key: self.find(cls, prefix + key) for key in keys}
        return {key: record for key, record in found.items() if record is not None}

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue the next platform chat id. It is stored with the turn's commit.

        Raises:
            TurnError: This turn has already issued one.
        """
        return await self._turn_records.next_platform_chat_id()


async def read_ahead(records: BotRecords, inbound: Inbound) -> None:
    """Read the records that guards need in every turn: those of the event's room and sender."""
    await records.read(RoomRecord, room_key(inbound.room_id))
    await records.read(UserRecord, user_key(inbound.sender))


def snapshot_of(flow: Flow, kept: FlowRecord) -> Snapshot:
    """The conversation's state, upgraded to the current version of its flow.

    Raises:
        Exception: The flow has no such state, or the record does not have the state's class.
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
    """The record of a conversation in a durable state.

    Args:
        flow: Its flow.
        moved: The step that brought it there.
        turn: The turn in which it did.
        before: The record before the step.

    Raises:
        TurnError: The record can't be stored and read back without loss.
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
    """The stored form of the state to which ``BACK`` leads; None for idle."""
    if snapshot is None or not flow.states[snapshot.state].is_durable:
        return None
    record = _readable(flow, snapshot) if snapshot.data is not None else {}
    return SavedState(snapshot.state, record)


def _readable(flow: Flow, snapshot: Snapshot) -> dict[str, Any]:
    """The record as JSON, checked to be readable without loss."""
    fields: dict[str, Any] = _refuse_unreadable(snapshot.data, f"{flow.name} in {snapshot.state!r}")
    return fields


def _refuse_unreadable(record: object, where: str) -> Any:
    """The record as JSON, checked to be readable without loss.

    Raises:
        TurnError: It can't be read back without loss.
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
