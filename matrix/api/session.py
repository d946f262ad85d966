"""The login session: stored in ``matrix_store/session.json`` and renewed on the same device.

The device id must not change, for two reasons. The homeserver recognises a repeated transaction id
only from the same device. Other users' devices encrypt messages for this device.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
from attrs import asdict, evolve, field, frozen

from fsm.failpoints import reach
from fsm.values.ids import UserId
from fsm.values.retry import HOMESERVER
from matrix.api.errors import (
    LoginRefused,
    RateLimited,
    Refused,
    SessionFileFailed,
    SessionUnusable,
    TokenRevoked,
    Unreachable,
)
from matrix.api.http import HomeserverHttp, endpoint
from matrix.api.retry import retry_request

_log = structlog.get_logger(__name__)


@frozen(kw_only=True)
class HomeserverSettings:
    """The homeserver and the credentials of the bot's account.

    Args:
        url: The homeserver's base URL.
        user_id: The bot's full Matrix id.
        password: Used for the first login unless there is an access token, and to log in again when
            the session is revoked. None: the bot can't log in again then.
        access_token: Used for the first login instead of the password. None to use the password.
        device_name: The display name of the bot's device.
    """

    url: str
    user_id: UserId
    password: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    device_name: str = "Strandline"


@frozen(kw_only=True)
class Session:
    """One login of the bot's account.

    Args:
        user_id: The bot's user id.
        device_id: The id of the bot's device.
        access_token: The access token of the device.
        logged_in_at_ms: When the device was last logged in, Unix time in milliseconds; 0 if
            unknown. The homeserver may have dropped all transaction ids from before.
        keys_due: Whether the device's encryption keys must be published again: the homeserver may
            have dropped them at the last login.
    """

    user_id: UserId
    device_id: str
    access_token: str = field(repr=False)
    logged_in_at_ms: int = 0
    keys_due: bool = False


class Login:
    """Logs the bot in at start, and again when the access token is revoked.

    Args:
        http: The HTTP client. It gets the access token, and the function that renews it.
        settings: The homeserver and the credentials.
        folder: The folder in which the session is stored.
        now: Returns the current time.
    """

    def __init__(
        self,
        http: HomeserverHttp,
        settings: HomeserverSettings,
        folder: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http = http
        self._settings = settings
        self._path = folder / "session.json"
        self._now = now
        self.count = 0
        """The number of logins of this process."""
        self._session: Session | None = None

    @property
    def logged_in_at_ms(self) -> int:
        """The time of the last login by any process, Unix time in milliseconds; 0 if unknown."""
        return self._session.logged_in_at_ms if self._session else 0

    @property
    def keys_due(self) -> bool:
        """Whether the device's keys have not been published since the last login of any process."""
        return self._session is not None and self._session.keys_due

    def mark_keys_published(self) -> None:
        """Store in the session that the device's keys were published."""
        if self._session is not None:
            self._session = evolve(self._session, keys_due=False)
            write_session(self._path, self._session)

    async def open(self, *, max_wait_seconds: float = 0.0) -> Session:
        """Return the stored session, or log in and return a new one.

        The access token of the session is set in the HTTP client. A stored session is used even
        when the homeserver is unreachable: later requests are retried until it is back. The bot
        logs in if there is no stored session, if its token was revoked, or if the configured access
        token is another one.

        Args:
            max_wait_seconds: How long a first login, or one with another access token, is retried.
                The limit is short because the operator is waiting for the bot to start.

        Raises:
            Unreachable: A first login is necessary, and the homeserver stays unreachable.
            LoginRefused: The credentials are missing, wrong, or those of another account.
            SessionUnusable: The stored session belongs to another account.
            SessionFileFailed: The session's file can't be read or written.
        """
        stored = read_session(self._path)
        if stored is not None and stored.user_id != self._settings.user_id:
            raise SessionUnusable(self._path, stored.user_id, self._settings.user_id)
        if stored is None or self._has_new_token(stored):
            policy = evolve(HOMESERVER, max_seconds=max_wait_seconds)
            session = await retry_request(self._first_login, policy)
        else:
            session = await self._resume(stored)
        self._http.token = session.access_token
        self._http.renew = lambda: self._renew(session)
        return session

    def _has_new_token(self, stored: Session) -> bool:
        token = self._settings.access_token
        return token is not None and token != stored.access_token

    async def _first_login(self) -> Session:
        token = self._settings.access_token
        if token is None:
            return await self._log_in(device_id=None)
        self._http.token = token
        try:
            answer = await self.whoami()
        except (TokenRevoked, Refused) as error:
            raise LoginRefused(self._settings.user_id, str(error)) from error
        session = Session(
            user_id=UserId(str(answer.get("user_id"))),
            device_id=str(answer.get("device_id") or ""),
            access_token=token,
        )
        self._check(session)
        self.count += 1
        self._store(session)
        return session

    async def _resume(self, stored: Session) -> Session:
        self._http.token = stored.access_token
        self._session = stored
        try:
            await self.whoami()
        except TokenRevoked as revoked:
            return await self._log_in_again(stored, revoked)
        except (Unreachable, RateLimited):
            _log.warning("the stored session is used unchecked", user_id=stored.user_id)
        return stored

    async def _renew(self, session: Session) -> str:
        renewed = await self._log_in_again(session, TokenRevoked("revoked while running"))
        return renewed.access_token

    async def _log_in_again(self, session: Session, revoked: TokenRevoked) -> Session:
        if self._settings.password is None:
            raise LoginRefused(session.user_id, str(revoked)) from revoked
        _log.warning("the access token was revoked, logging in again", device=session.device_id)
        return await self._log_in(device_id=session.device_id)

    async def _log_in(self, *, device_id: str | None) -> Session:
        settings = self._settings
        if settings.password is None:
            raise LoginRefused(settings.user_id, "neither a password nor an access token is given")
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": settings.user_id},
            "password": settings.password,
            "initial_device_display_name": settings.device_name,
        } | ({"device_id": device_id} if device_id else {})
        _check_writable(self._path)
        reach("session.login.before")
        try:
            answer = await self._http.log_in(endpoint("login"), body)
        except Refused as refused:
            raise LoginRefused(settings.user_id, refused.message or str(refused)) from refused
        session = _session(answer, self._http.url)
        self._check(session)
        self.count += 1
        self._store(session)
        reach("session.login.after")
        return session

    async def whoami(self) -> dict[str, object]:
        """Return the account of the access token, as ``GET …/account/whoami`` responds."""
        return await self._http.request("GET", endpoint("account", "whoami"), timeout_seconds=10)

    def _check(self, session: Session) -> None:
        if session.user_id != self._settings.user_id:
            raise LoginRefused(
                self._settings.user_id, f"the credentials belong to {session.user_id}"
            )
        if not session.device_id:
            raise LoginRefused(session.user_id, "the access token belongs to no device")

    def _store(self, session: Session) -> None:
        now_ms = int(self._now().timestamp() * 1000)
        self._session = evolve(session, logged_in_at_ms=now_ms, keys_due=True)
        write_session(self._path, self._session)


def read_session(path: Path) -> Session | None:
    """Return the session that is stored in the file; None if the file is missing or not valid.

    Raises:
        SessionFileFailed: The file can't be read.
    """
    with _file_errors(path):
        content = path.read_bytes() if path.exists() else None
    if content is None:
        return None
    try:
        stored = json.loads(content)
        names = ("user_id", "device_id", "access_token")
        user_id, device_id, token = (stored[name] for name in names)
    except (ValueError, KeyError, TypeError):
        _log.warning("the stored session can't be read, logging in again", path=str(path))
        return None
    logged_in = stored.get("logged_in_at_ms")
    return Session(
        user_id=UserId(str(user_id)),
        device_id=str(device_id),
        access_token=str(token),
        logged_in_at_ms=logged_in if isinstance(logged_in, int) else 0,
        keys_due=stored.get("keys_due") is True,
    )


def write_session(path: Path, session: Session) -> None:
    """Write the session to the file atomically, readable for the file's owner only.

    Raises:
        SessionFileFailed: The file can't be written.
    """
    with _file_errors(path):
        _write_file(path, json.dumps(asdict(session)))


def _check_writable(path: Path) -> None:
    """Check that a file can be created beside the session's; raise ``SessionFileFailed`` if not.

    A login whose session could not be stored would be repeated at each start.
    """
    with _file_errors(path):
        fresh = path.with_suffix(".new")
        os.close(_create(fresh))
        fresh.unlink()


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Convert each ``OSError`` to ``SessionFileFailed``."""
    try:
        yield
    except OSError as error:
        raise SessionFileFailed(path, error.strerror or str(error)) from error


def _create(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _write_file(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(_create(fresh), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _session(answer: dict[str, object], url: str) -> Session:
    try:
        return Session(
            user_id=UserId(str(answer["user_id"])),
            device_id=str(answer["device_id"]),
            access_token=str(answer["access_token"]),
        )
    except KeyError as missing:
        raise Unreachable(url, f"its login answer lacks {missing}") from missing
