"""Retries of a failing turn, with growing pauses."""

from collections.abc import Awaitable, Callable

import structlog
from attrs import frozen

from durable.store import DatabaseMoved
from fsm.errors import UnansweredSignal
from fsm.values.ids import EventId
from fsm.values.retry import TURN, retry
from strandline.engine.retrying_store import TIMING, until_available

_log = structlog.get_logger(__name__)

_FINAL = (UnansweredSignal, DatabaseMoved)
"""Errors that a retry can't fix."""


@frozen
class Failure:
    """The last error of a turn, and the number of its tries."""

    error: Exception
    tries: int

    @property
    def problem(self) -> str:
        """The error as text that can be stored, whatever characters it contains."""
        name = type(self.error).__name__
        try:
            return f"{name}: {self.error}".encode("utf-8", "replace").decode()
        except Exception:  # noqa: BLE001  # an error whose text can't be read: its name is stored
            return name


async def try_turn(event_id: EventId, take: Callable[[], Awaitable[None]]) -> Failure | None:
    """Try the turn until it succeeds; return the failure if it does not.

    Raises:
        DatabaseMoved: Nothing can be written any more: the bot must end.
    """
    tries = 0

    def note(error: Exception, attempt: int) -> None:
        nonlocal tries
        tries = attempt
        if not isinstance(error, DatabaseMoved):
            _log.exception("turn failed", event_id=event_id, tries=attempt)

    try:
        await retry(lambda: until_available(take), TURN, _turn_retry, TIMING, on_failure=note)
    except DatabaseMoved:
        raise
    except Exception as error:  # noqa: BLE001  # parked with its error, which `parked list` shows
        return Failure(error, tries)
    return None


def _turn_retry(error: Exception) -> float | None:
    return None if isinstance(error, _FINAL) else 0.0
