"""Errors of the Matrix client. ``fsm.errors`` has the tree of all errors."""

from pathlib import Path

from attrs import frozen

from fsm.errors import StrandlineError
from fsm.values.ids import RoomId, UserId


class MatrixError(StrandlineError):
    """Base class of the Matrix client's errors."""


@frozen(slots=False)
class Unreachable(MatrixError):
    """The homeserver gave no usable response. The same request can be retried.

    Args:
        url: The homeserver's base URL.
        problem: What happened: no connection, a timeout, or what is wrong with the response.
    """

    url: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.url} can't be reached: {self.problem}; "
            f"check homeserver.url, and that the homeserver is running"
        )


@frozen(slots=False)
class RateLimited(MatrixError):
    """The homeserver limits the rate of requests (HTTP status 429).

    Args:
        retry_after_ms: How long to wait before a retry.
    """

    retry_after_ms: int

    def __str__(self) -> str:
        return (
            f"the homeserver limits our rate, try again in {self.retry_after_ms} ms; "
            f"raise its rc_message and rc_joins for the bot if this is common"
        )


@frozen(slots=False)
class TokenRevoked(MatrixError):
    """The access token is unknown to the homeserver (``M_UNKNOWN_TOKEN``)."""

    message: str

    def __str__(self) -> str:
        return f"the access token is no longer valid ({self.message}); log in again"


@frozen(slots=False)
class LoginRefused(MatrixError):
    """The bot can't log in: its credentials are missing, wrong, or those of another account."""

    user_id: UserId
    problem: str

    def __str__(self) -> str:
        return (
            f"cannot log in as {self.user_id}: {self.problem}; "
            f"check homeserver.user_id and homeserver.password or homeserver.access_token"
        )


@frozen(slots=False)
class Refused(MatrixError):
    """The request is refused, by the homeserver or before it is sent; a retry will not help.

    Args:
        status: The HTTP status.
        errcode: The Matrix error code.
        message: The error text.
    """

    status: int
    errcode: str
    message: str

    def __str__(self) -> str:
        return (
            f"the homeserver refuses: {self.status} {self.errcode} {self.message}; "
            f"look at the bot's rights in the room, and at the homeserver's log"
        )


@frozen(slots=False)
class NotEncryptable(MatrixError):
    """An event for an encrypted room can't be encrypted."""

    room_id: RoomId
    problem: str

    def __str__(self) -> str:
        return (
            f"an event for {self.room_id} can't be encrypted: {self.problem}; "
            f"it was not sent, since it would be readable for others"
        )


@frozen(slots=False)
class FileCorrupted(MatrixError):
    """A file can't be decrypted, or its hash differs from the hash in its event."""

    problem: str

    def __str__(self) -> str:
        return f"the file can't be used: {self.problem}; have it sent again"


@frozen(slots=False)
class StoreFailed(MatrixError):
    """The crypto store can't be read or written."""

    path: Path
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.path} can't be used: {self.problem}; "
            f"free disk space, or make the folder writable for the bot"
        )


@frozen(slots=False)
class StoreMoved(MatrixError):
    """The crypto store's file was moved while it was open."""

    path: Path

    def __str__(self) -> str:
        return (
            f"{self.path} was moved away while the bot was running, so the bot stops: with other "
            f"keys nobody could read what it says. Put the file back and start the bot again; move "
            f"its folder only while the bot is stopped"
        )


@frozen(slots=False)
class SessionUnusable(MatrixError):
    """The stored session belongs to another account than the configured one."""

    path: Path
    stored: UserId
    configured: UserId

    def __str__(self) -> str:
        return (
            f"{self.path} holds a session of {self.stored}, the config says {self.configured}; "
            f"give each account a matrix_store of its own"
        )


@frozen(slots=False)
class SessionFileFailed(StrandlineError):
    """The file of the stored session can't be read or written.

    It is no ``MatrixError``, so that no handler of a failed request catches it: it ends the bot.
    """

    path: Path
    problem: str

    def __str__(self) -> str:
        return (
            f"the session file {self.path} can't be read or written ({self.problem}); free disk "
            f"space, or give the bot's user access to the file and its folder"
        )


def is_permanent(error: MatrixError) -> bool:
    """Whether a retry of the same request would fail in the same way."""
    return isinstance(error, Refused | NotEncryptable | FileCorrupted)
