"""What one flow says to another."""

from attrs import frozen


@frozen
class Signal:
    """Another flow, or the program itself, triggers an event by its name."""

    flow: str
    event: str
    payload: object = None
