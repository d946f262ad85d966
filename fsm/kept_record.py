"""A mixin for flows whose state is derived from a record that other flows write too."""

from typing import Any, ClassVar

from fsm.states import State


class KeptAsRecord:
    """Makes a built-in flow derive its state from a record, which other flows may write too.

    Used as a mixin: ``class RoomRouting(KeptAsRecord, Flow)``.

    The record of a conversation is stored under ``{kept_as}:{key}``, where ``key`` is the
    conversation's key, and not under ``flow:{name}:{key}``. The state is not stored.

    Attributes:
        kept_as: The first part of the keys of the records.
    """

    kept_as: ClassVar[str]

    def state_of(self, record: Any) -> State:
        """The state of a conversation that has this record."""
        raise NotImplementedError
