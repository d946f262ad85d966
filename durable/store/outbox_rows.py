"""Converts outbox rows to the columns of the table ``outbox`` and back.

The column ``kind`` names the row's class. The column ``payload`` has the fields of that class as
JSON.
"""

from typing import Any

from attrs import fields, frozen
from cattrs import BaseValidationError, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from durable.store.codec import dump, load, new_converter
from fsm.effects import NewRoom
from fsm.outbox import (
    CreateRoomRow,
    EditRow,
    InviteRow,
    JoinRow,
    LeaveRow,
    OutboxRow,
    ReportTo,
    SendRow,
    StateRow,
    UnreadableRow,
)
from fsm.values.ids import EventId, RoomId, TransactionId

_CLASSES: dict[str, type[OutboxRow]] = {
    cls.kind: cls
    for cls in (SendRow, EditRow, StateRow, InviteRow, CreateRoomRow, JoinRow, LeaveRow)
}

_STORED_NAMES = {
    SendRow: {"event_type": "type", "if_withdrawn": "instead"},
    EditRow: {"if_withdrawn": "instead"},
    StateRow: {"event_type": "type", "report_to": "asked"},
    InviteRow: {"report_to": "asked"},
    ReportTo: {"room_id": "in", "user_id": "by"},
}
"""By class, the fields that have another name in the JSON than in the code.

The JSON names can't be changed, because existing databases have them.
"""

_IF_SET = ("instead", "asked", "edits")
"""The JSON names of the fields that are left out of the JSON if they are None."""

_COLUMNS = frozenset(column.name for column in fields(OutboxRow))


@frozen
class StoredRow:
    """A row of the table ``outbox``, one field for each column.

    ``kind`` and ``payload`` have the values that ``kind_and_payload`` returns. The other fields are
    those of ``OutboxRow``.
    """

    position: int
    transaction_id: str
    room_id: str
    kind: str
    payload: str
    stream_of: str | None
    created_at_ms: int

    def read(self) -> OutboxRow:
        """Return the row as an object of the class for its ``kind``.

        If the kind is unknown or the payload can't be decoded, return an ``UnreadableRow``.
        """
        try:
            cls = _CLASSES[self.kind]
        except KeyError:
            return self._unreadable(f"no such kind of effect: {self.kind!r}")
        try:
            payload = load(self.payload)
            given = {"room": payload} if cls is CreateRoomRow else payload
            row: OutboxRow = _converter.structure(given | self._columns(), cls)
        except BaseValidationError as error:
            return self._unreadable("; ".join(transform_error(error)))
        except (TypeError, ValueError) as error:
            return self._unreadable(f"{type(error).__name__}: {error}")
        return row

    def _columns(self) -> dict[str, Any]:
        return {
            "transaction_id": TransactionId(self.transaction_id),
            "room_id": RoomId(self.room_id),
            "position": self.position,
            "created_at_ms": self.created_at_ms,
            "stream_of": None if self.stream_of is None else EventId(self.stream_of),
        }

    def _unreadable(self, problem: str) -> UnreadableRow:
        return UnreadableRow(
            kind=self.kind, payload=self.payload, problem=problem, **self._columns()
        )


def kind_and_payload(row: OutboxRow) -> tuple[str, str]:
    """The values of the columns ``kind`` and ``payload`` (JSON text) for the row."""
    if isinstance(row, UnreadableRow):
        return row.kind, row.payload
    everything = _converter.unstructure(row)
    payload = everything["room"] if isinstance(row, CreateRoomRow) else everything
    given = {k: v for k, v in payload.items() if v is not None or k not in _IF_SET}
    return row.kind, dump(given)


def _as_it_is(value: dict[str, Any]) -> dict[str, Any]:
    return value


def _override(cls: type, name: str) -> Any:
    return override(
        rename=_STORED_NAMES.get(cls, {}).get(name),
        unstruct_hook=_as_it_is if name in ("content", "if_withdrawn") else None,
    )


def _make_converter() -> Any:
    converter = new_converter()
    for cls in (ReportTo, NewRoom, *_CLASSES.values()):
        names = {column.name: _override(cls, column.name) for column in fields(cls)}
        reads: Any = make_dict_structure_fn(cls, converter, **names)
        if issubclass(cls, OutboxRow):
            names |= {name: override(omit=True) for name in _COLUMNS}
        converter.register_structure_hook(cls, reads)
        converter.register_unstructure_hook(cls, make_dict_unstructure_fn(cls, converter, **names))
    return converter


_converter = _make_converter()
