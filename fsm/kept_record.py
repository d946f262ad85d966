"""Flows whose state is derived from a record that other flows write too."""

from typing import Any, ClassVar

from fsm.states import State


class KeptAsRecord:
    """For the bot's own flows: ``class RoomRouting(KeptAsRecord, Flow)``.

    The record of a conversation is stored under ``{kept_as}:{key}``, not under
    ``flow:{name}:{key}``. The state is not stored: the flow derives it from the record.

    Attributes:
        kept_as: The prefix of the records' keys.
    """

    kept_as: ClassVar[str]

    def state_of(self, record: Any) -> State:
        """The state of a conversation that has this record."""
        raise NotImplementedError
