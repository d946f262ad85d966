"""Runs a temporary real homeserver for tests and the demo: Synapse on a free loopback port."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import frozen

from fsm.values.ids import UserId
from strandline.testing.errors import KitError, SynapseMissing
from strandline.testing.processes import free_port, last_lines, start_module

START_SECONDS = 60.0
"""The timeout of a start, in seconds, on a busy machine. Usually a start takes one or two seconds.
"""

_UNLIMITED = {"per_second": 100_000, "burst_count": 100_000}


@frozen(kw_only=True)
class Credentials:
    """The credentials of an account and its first device."""

    user_id: UserId
    password: str
    access_token: str
    device_id: str


class Synapse:
    """Starts and stops one temporary homeserver.

    Use it as a context manager: entering starts Synapse; leaving kills it and deletes its data.

    Args:
        limited: Whether to keep Synapse's default rate limits. If False, requests are practically
            unlimited.
        overrides: Top-level keys of ``homeserver.yaml`` that are added, or replace the default.

    Attributes:
        directory: The temporary directory of Synapse's config, data and logs.
        server_name: The domain of all user ids and room ids.
        port: The TCP port of 127.0.0.1 on which Synapse listens.
        url: The base URL of the client-server API.

    Raises:
        SynapseMissing: matrix-synapse is not installed.
    """

    def __init__(
        self, *, limited: bool = False, overrides: Mapping[str, object] | None = None
    ) -> None:
        if find_spec("synapse") is None:
            raise SynapseMissing
        self.directory = Path(tempfile.mkdtemp(prefix="strandline-synapse-"))
        self.server_name = "strandline.test"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._secret = secrets.token_hex()
        self._process: subprocess.Popen[bytes] | None = None
        self._newcomers = count(1)
        self._write_files(limited=limited, overrides=overrides or {})

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    @property
    def log_path(self) -> Path:
        """The path of Synapse's log file."""
        return self.directory / "homeserver.log"

    @property
    def pid(self) -> int | None:
        """The id of Synapse's process; None before ``start``, and after ``stop`` or ``kill``."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start Synapse, and wait until it answers. A later start uses the same port and data.

        Raises:
            KitError: Synapse ended during its start, or did not answer in time.
        """
        self._process = start_module(
            "synapse.app.homeserver",
            ["--config-path", str(self.directory / "homeserver.yaml")],
            output=self.directory / "output.log",
            directory=self.directory,
            environment=_environment(),
        )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                output = last_lines(self.directory / "output.log")
                self.kill()
                raise KitError("Synapse did not start", output or last_lines(self.log_path))
            time.sleep(0.03)

    def stop(self) -> None:
        """Send SIGTERM to Synapse, and wait until its process has ended."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """Send SIGKILL to Synapse, and wait until its process has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def register(self, localpart: str, *, admin: bool = False) -> Credentials:
        """Create an account with a device through Synapse's admin API; return its credentials.

        Args:
            localpart: The localpart of the new user id.
            admin: Whether the user is an administrator of the homeserver.
        """
        path = "/_synapse/admin/v1/register"
        password = secrets.token_urlsafe(12)
        nonce = self._request("GET", path)["nonce"]
        role = "admin" if admin else "notadmin"
        text = f"{nonce}\0{localpart}\0{password}\0{role}".encode()
        answer = self._request(
            "POST",
            path,
            {
                "nonce": nonce,
                "username": localpart,
                "password": password,
                "admin": admin,
                "mac": hmac.new(self._secret.encode(), text, hashlib.sha1).hexdigest(),
            },
        )
        return Credentials(
            user_id=UserId(answer["user_id"]),
            password=password,
            access_token=answer["access_token"],
            device_id=answer["device_id"],
        )

    def newcomer(self, name: str) -> Credentials:
        """Create a new account, and return its credentials.

        Its localpart is ``name``, a hyphen and a number that is used only once, as in ``alice-1``.
        """
        return self.register(f"{name}-{next(self._newcomers)}")

    def _remove(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self._request("GET", "/_matrix/client/versions")
        except (OSError, ValueError):
            return False
        return True

    def _request(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # loopback
            return json.load(answer)

    def _write_files(self, *, limited: bool, overrides: Mapping[str, object]) -> None:
        key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        (self.directory / "signing.key").write_text(f"ed25519 a_test {key}\n")
        (self.directory / "log.yaml").write_text(json.dumps(_log_config(self.log_path)))
        config = {**self._config(), **({} if limited else _lifted_limits()), **overrides}
        (self.directory / "homeserver.yaml").write_text(json.dumps(config))

    def _config(self) -> dict[str, object]:
        listener = {
            "port": self.port,
            "type": "http",
            "tls": False,
            "bind_addresses": ["127.0.0.1"],
            "resources": [{"names": ["client"], "compress": False}],
        }
        return {
            "server_name": self.server_name,
            "public_baseurl": f"{self.url}/",
            "listeners": [listener],
            "pid_file": str(self.directory / "synapse.pid"),
            "database": {
                "name": "sqlite3",
                "args": {"database": str(self.directory / "homeserver.db")},
            },
            "media_store_path": str(self.directory / "media"),
            "log_config": str(self.directory / "log.yaml"),
            "signing_key_path": str(self.directory / "signing.key"),
            "registration_shared_secret": self._secret,
            "macaroon_secret_key": secrets.token_hex(),
            "form_secret": secrets.token_hex(),
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "federation_domain_whitelist": [],
            "report_stats": False,
            # fast and quiet: weak hashes, and no features that a bot does not need
            "bcrypt_rounds": 4,
            "background_updates": {"sleep_enabled": False},
            "presence": {"enabled": False},
            "user_directory": {"enabled": False},
            "stats": {"enabled": False},
            # a third of the work for each event is assigned to other processes, which do not exist
            "federation_sender_instances": ["none"],
            "update_user_directory_from_worker": "none",
            "push": {"enabled": False},
        }


def _environment() -> dict[str, str]:
    """The environment of this process, without the variables that make Synapse measure coverage."""
    return {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}


def _lifted_limits() -> dict[str, object]:
    joins = {"local": _UNLIMITED, "remote": _UNLIMITED}
    invites = {"per_room": _UNLIMITED, "per_user": _UNLIMITED, "per_issuer": _UNLIMITED}
    return {
        "rc_message": _UNLIMITED,
        "rc_registration": _UNLIMITED,
        "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED, "failed_attempts": _UNLIMITED},
        "rc_joins": joins,
        "rc_joins_per_room": _UNLIMITED,
        "rc_invites": invites,
        "rc_room_creation": _UNLIMITED,
        "rc_admin_redaction": _UNLIMITED,
    }


def _log_config(path: Path) -> dict[str, object]:
    return {
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "formatter": "line", "filename": str(path)}
        },
        "root": {"level": "WARNING", "handlers": ["file"]},
        "disable_existing_loggers": False,
    }
