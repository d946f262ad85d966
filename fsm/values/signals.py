"""What one flow says to another."""

from attrs import frozen


@frozen
class Signal:
    """Another flow, or the program itself, triggers an event by its name.

    Args:
        flow: The name of the flow whose event it is.
        event: The event.
        payload: What the event's handler finds in ``turn.payload``.
        missed: What is replied if the flow's present state does not answer the event; "" for
            nothing. None where that can't be, and is a defect.
        seen: Where the flow's conversation stood when this was asked about: if it stands elsewhere
            now, the event is missed.
    """

    flow: str
    event: str
    payload: object = None
    missed: str | None = None
    seen: object = None
