"""What tests read of the outbox's rows."""

from typing import Any

from fsm.outbox import EditRow, OutboxRow, SendRow


def content_of(row: OutboxRow) -> dict[str, Any]:
    """The content of the event that the row sends."""
    assert isinstance(row, SendRow | EditRow)
    return row.content
