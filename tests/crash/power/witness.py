"""A homeserver that keeps its power, and what it had been told when the bot's went."""

from collections.abc import Callable
from typing import Any, Self

from attrs import define, field

from fsm.effects import transaction_id
from fsm.values.ids import EventId, RoomId, TransactionId, UserId
from tests.crash.faults.memory import Json, MemoryHomeserver
from tests.crash.power.recording import Log


@define(eq=False)
class Witness(MemoryHomeserver):
    """Args:
    disk: What is done to the bot's files: the clock of what happens here.
    """

    disk: Log = field(factory=Log)
    instants: list[int] = field(factory=list)
    """How many operations had been done before each event of ``log``."""

    def happens(self, room_id: RoomId, sender: UserId, kind: str, **more: Any) -> EventId:
        self.instants.append(len(self.disk.operations))
        return MemoryHomeserver.happens(self, room_id, sender, kind, **more)

    def events_at(self, cut: int) -> range:
        """As many events can have happened, if the power went after so many operations."""
        certain = sum(instant < cut for instant in self.instants)
        return range(certain, sum(instant <= cut for instant in self.instants) + 1)

    def as_it_was(self, events: int, is_owed: Callable[[TransactionId], bool]) -> Self:
        """Another one, in which no more events have happened."""
        there = type(self)(is_owed=is_owed, log=self.log[:events], instants=self.instants[:events])
        there.sent = self._sent_in(events)
        return there

    def answered(self, events: int) -> set[str]:
        """The stems of the events of people's to which the bot had sent anything by then."""
        people = {stem(raw["event_id"]) for _, raw in self.log}
        return people & {sent.split(".")[1] for _, sent in self._sent_in(events)}

    def _sent_in(self, events: int) -> dict[tuple[RoomId, TransactionId], tuple[EventId, Json]]:
        happened = {raw["event_id"] for _, raw in self.log[:events]}
        return {key: sent for key, sent in self.sent.items() if sent[0] in happened}


def stem(event_id: EventId) -> str:
    """What every transaction id of an answer to the event holds."""
    return transaction_id(event_id, 0).split(".")[1]
