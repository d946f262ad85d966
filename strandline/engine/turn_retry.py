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
    """Why a turn failed.

    Args:
        error: The error of the last try.
        tries: The number of tries.
    """

    error: Exception
    tries: int

    @property
    def problem(self) -> str:
        """The error's class and text, in a form that can be stored whatever the text contains."""
        name = type(self.error).__name__
        try:
            return f"{name}: {self.error}".encode("utf-8", "replace").decode()
        except Exception:  # noqa: BLE001  # an error whose text can't be read: its name is stored
            return name


async def try_turn(event_id: EventId, take: Callable[[], Awaitable[None]]) -> Failure | None:
    """Run the turn until it succeeds, or until the retry policy gives up.

    Args:
        event_id: The turn's event, for the log.
        take: Runs the turn once.

    Returns:
        None if the turn succeeded; else why it failed.

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
