"""A turn: the handling of one inbound event, as its handlers see it.

Nothing that a handler asks of its turn has happened when the call returns. The program commits
all of it in one transaction, or, if a handler raises, none of it.
"""

from datetime import datetime
from typing import Protocol, TypeVar

from attrs import define, evolve, field

from fsm.effects import AskAgent, Effect, JoinRoom, LeaveRoom, Reopen, Reply
from fsm.errors import TurnError
from fsm.events import Command, Signal, Stimulus, Text
from fsm.ids import AgentId, PlatformChatId, RoomId
from fsm.inbound import Inbound

R = TypeVar("R")


class Records(Protocol):
    """The durable records that a turn reads and writes, each under its key."""

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key`` as this turn has it, or None."""

    def find(self, cls: type[R], key: str) -> R | None:
        """The same for a record that was read before; never waits."""

    def save(self, key: str, record: object) -> None:
        """Have ``record`` written by the commit."""

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue a number in the commit's own transaction."""


@define
class RecordsInMemory:
    """Records in a dict, for testing a flow without a store."""

    records: dict[str, object] = field(factory=dict)
    issued: int = 0

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key``, or None."""
        return self.find(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """The record under ``key``, or None."""
        record = self.records.get(key)
        return record if isinstance(record, cls) else None

    def save(self, key: str, record: object) -> None:
        """Put ``record`` under ``key``."""
        self.records[key] = record

    async def next_platform_chat_id(self) -> PlatformChatId:
        """The next number."""
        self.issued += 1
        return PlatformChatId(str(self.issued))


@define(kw_only=True)
class Turn:
    """What a handler reads from and writes its wishes to.

    Args:
        inbound: The event that this turn handles.
        now: The wall clock at the turn's start, aware UTC.
        stimulus: What this step answers: the event itself, or another flow's signal.
        records: The durable records.
        prefix: What commands begin with, for sentences that name one.
        attempt: 0 the first time that the event is handled, 1 after it was reopened once, …
        effects: What is wanted so far, in order.
        signals: Events of other flows that this turn triggers next, in order.
    """

    inbound: Inbound
    now: datetime
    stimulus: Stimulus
    records: Records = field(factory=RecordsInMemory)
    prefix: str = "!"
    attempt: int = 0
    effects: list[Effect] = field(factory=list)
    signals: list[Signal] = field(factory=list)

    @property
    def room_id(self) -> RoomId:
        """The room of the inbound event."""
        return self.inbound.room_id

    @property
    def argument(self) -> str:
        """What follows the command's name, stripped; a text's whole body."""
        match self.stimulus:
            case Command(argument=argument):
                return argument
            case Text(body=body):
                return body
            case _:
                return ""

    @property
    def payload(self) -> object:
        """What the signal that is being answered brought along."""
        return self.stimulus.payload if isinstance(self.stimulus, Signal) else None

    def answering(self, stimulus: Stimulus) -> "Turn":
        """The same turn, for a step that answers ``stimulus``."""
        return evolve(self, stimulus=stimulus)

    def reply(self, text: str) -> None:
        """Answer the inbound event in its room. ``text`` is Markdown."""
        self._exclude(AskAgent, "an agent is asked in this turn, and its answer is the reply")
        self.effects.append(
            Reply(room_id=self.room_id, text=text, in_reply_to=self.inbound.event_id)
        )

    def say(self, text: str) -> None:
        """Say something in the inbound event's room that answers no message. Markdown."""
        self._exclude(AskAgent, "an agent is asked in this turn, and its answer is the reply")
        self.effects.append(Reply(room_id=self.room_id, text=text))

    def ask(self, agent_id: AgentId, platform_chat_id: PlatformChatId, text: str) -> None:
        """Ask an agent; its answer becomes the reply to the inbound event.

        Raises:
            TurnError: The turn replies already. It would be repeated with other words if the
                process died while the agent thinks.
        """
        self._exclude(Reply, "this turn replies already, and an agent's answer is a reply")
        self._exclude(AskAgent, "this turn asks an agent already")
        self.effects.append(
            AskAgent(
                room_id=self.room_id,
                agent_id=agent_id,
                platform_chat_id=platform_chat_id,
                request_id=self.inbound.event_id,
                text=text,
            )
        )

    def join(self) -> None:
        """Accept the invite to the inbound event's room."""
        self.effects.append(JoinRoom(room_id=self.room_id))

    def leave(self) -> None:
        """Leave the inbound event's room, or decline the invite to it."""
        self.effects.append(LeaveRoom(room_id=self.room_id))

    def reopen(self, inbound: Inbound, attempt: int) -> None:
        """Have ``inbound``, which was answered with a question, handled once more."""
        self.effects.append(Reopen(inbound=inbound, attempt=attempt))

    def trigger(self, flow: str, event: str, payload: object = None) -> None:
        """Trigger another flow's event, in this turn, after this step."""
        self.signals.append(Signal(flow, event, payload))

    def _exclude(self, kind: type[Effect], problem: str) -> None:
        if any(isinstance(effect, kind) for effect in self.effects):
            raise TurnError(problem, "let one turn do one of the two")
