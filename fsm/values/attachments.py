"""Files that people send: what is known of them without downloading one."""

from typing import Any

from attrs import field, frozen

from fsm.values.ids import EventId


@frozen(kw_only=True)
class Attachment:
    """One file, image, audio or video in a room.

    Args:
        event_id: The event that brought it.
        name: Its file name, as the sender gave it.
        kind: ``file``, ``image``, ``audio`` or ``video``.
        mimetype: What its sender says it is.
        size_bytes: How large its sender says it is; 0 where nothing is said.
        url: Its ``mxc://`` URI.
        encryption: The ``file`` object of an encrypted attachment (client-server API, "Sending
            encrypted attachments"), or None.
    """

    event_id: EventId
    name: str
    kind: str = "file"
    mimetype: str = "application/octet-stream"
    size_bytes: int = 0
    url: str = ""
    encryption: dict[str, Any] | None = field(default=None, eq=False, repr=False)


@frozen
class Said:
    """A text and the files that go with it."""

    text: str
    attachments: tuple[Attachment, ...]
