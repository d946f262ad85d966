# ruff: noqa: S106  # the only secrets here are made up

import json
import stat
from pathlib import Path

import pytest

from fsm.values.ids import UserId
from matrix import Homeserver, LoginRefused, SessionFileFailed, SessionUnusable, Unreachable
from matrix.api.session import Session, read_session, write_session
from tests.support.fakes.homeserver import BOT, Answer, ScriptedHomeserver
from tests.support.sync_answers import settings


async def connect(server: ScriptedHomeserver, folder: Path, **changes: object) -> int:
    async with Homeserver.connect(settings(server, **changes), folder) as homeserver:
        return homeserver.login_count


async def test_a_login_is_kept_and_used_again(server: ScriptedHomeserver, tmp_path: Path) -> None:
    first = await connect(server, tmp_path)
    second = await connect(server, tmp_path)

    assert (first, second, server.logins) == (1, 0, 1)


async def test_the_session_is_readable_for_its_owner_only(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    await connect(server, tmp_path / "store")

    files = list((tmp_path / "store").iterdir())
    assert {"session.json"} < {file.name for file in files}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_new_login_keeps_the_device(server: ScriptedHomeserver, tmp_path: Path) -> None:
    session = Session(user_id=UserId(BOT), device_id="OLD", access_token="revoked")
    write_session(tmp_path / "session.json", session)

    await connect(server, tmp_path)

    kept = read_session(tmp_path / "session.json")
    assert kept is not None
    assert kept.logged_in_at_ms > 0
    assert (kept.user_id, kept.device_id, kept.access_token) == (BOT, "OLD", "token-1")


async def test_keys_that_a_killed_process_did_not_publish_after_its_login_are_published_by_the_next(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    """The homeserver drops a revoked device's keys; nobody could write to the bot any more."""

    async def life(*, is_killed: bool) -> int:
        before = len(server.asked("keys.upload"))
        async with Homeserver.connect(settings(server), tmp_path) as homeserver:
            if not is_killed:
                await homeserver.exchange_keys()
        uploads = server.asked("keys.upload")[before:]
        return sum("device_keys" in upload.body for upload in uploads)

    first = await life(is_killed=False)
    await server.script("account.whoami", Answer(401, {"errcode": "M_UNKNOWN_TOKEN"}))
    killed = await life(is_killed=True)
    later = [await life(is_killed=False) for _ in range(2)]

    assert (first, killed, later) == (1, 0, [1, 0])


async def test_a_wrong_password_is_said_at_once(server: ScriptedHomeserver, tmp_path: Path) -> None:
    with pytest.raises(LoginRefused, match="Invalid username or password"):
        await connect(server, tmp_path, password="wrong")

    assert not (tmp_path / "session.json").exists()


async def test_an_access_token_is_checked_and_kept(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    await connect(server, tmp_path, password=None, access_token="token-0")

    kept = read_session(tmp_path / "session.json")
    assert kept is not None
    assert (kept.user_id, kept.device_id, kept.access_token) == (BOT, "DEVICE", "token-0")


async def test_a_wrong_access_token_is_said_at_once(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    with pytest.raises(LoginRefused, match=r"homeserver\.access_token"):
        await connect(server, tmp_path, password=None, access_token="wrong")


async def test_a_stored_token_that_was_revoked_needs_an_operator_without_a_password(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    await connect(server, tmp_path, password=None, access_token="token-0")
    server.token = "another"

    with pytest.raises(LoginRefused):
        await connect(server, tmp_path, password=None, access_token="token-0")


@pytest.mark.parametrize(
    ("user_id", "device_id"), [("@other:test", "DEVICE"), (BOT, None)], ids=["user", "no device"]
)
async def test_a_token_of_somebody_else_is_refused(
    server: ScriptedHomeserver, tmp_path: Path, user_id: str, device_id: str | None
) -> None:
    whoami = Answer(body={"user_id": user_id, "device_id": device_id})
    await server.script("account.whoami", whoami)

    with pytest.raises(LoginRefused, match="belong"):
        await connect(server, tmp_path, password=None, access_token="token-0")


async def test_neither_password_nor_token(server: ScriptedHomeserver, tmp_path: Path) -> None:
    with pytest.raises(LoginRefused, match="neither"):
        await connect(server, tmp_path, password=None)


async def test_another_accounts_folder_is_not_used(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    session = Session(user_id=UserId("@other:test"), device_id="D", access_token="t")
    write_session(tmp_path / "session.json", session)

    with pytest.raises(SessionUnusable, match="@other:test"):
        await connect(server, tmp_path)


async def test_a_session_file_that_cannot_be_read_is_an_error_and_no_new_login(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    (tmp_path / "session.json").mkdir()

    with pytest.raises(SessionFileFailed, match="Is a directory"):
        await connect(server, tmp_path)

    assert server.logins == 0


async def test_a_session_file_that_cannot_be_written_is_an_error_and_no_new_login(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    (tmp_path / "session.new").mkdir()

    with pytest.raises(SessionFileFailed, match=r"session\.json"):
        await connect(server, tmp_path)

    assert server.logins == 0


@pytest.mark.parametrize("content", ["", "[]", '{"user_id": "@bot:test"}', "{", "null"])
async def test_a_broken_session_file_means_a_new_login(
    server: ScriptedHomeserver, tmp_path: Path, content: str
) -> None:
    (tmp_path / "session.json").write_text(content)

    assert await connect(server, tmp_path) == 1


async def test_a_first_login_does_not_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await connect(ScriptedHomeserver(url="http://127.0.0.1:9"), tmp_path)


async def test_a_first_login_waits_as_long_as_it_may(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    await server.script("login", Answer(502, b""), Answer(429, {"retry_after_ms": 10}))

    async with Homeserver.connect(settings(server), tmp_path, max_wait_seconds=30):
        assert len(server.asked("login")) == 3


async def test_a_stored_session_is_used_while_the_homeserver_is_away(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    await connect(server, tmp_path)
    await server.script("account.whoami", Answer(502, b""))

    assert await connect(server, tmp_path) == 0


async def test_secrets_do_not_print(server: ScriptedHomeserver) -> None:
    shown = repr(settings(server, access_token="syt_secret")) + repr(
        Session(user_id=UserId(BOT), device_id="D", access_token="syt_secret")
    )

    assert "correct horse" not in shown
    assert "syt_secret" not in shown


def test_a_session_is_written_over_a_half_written_one(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.with_suffix(".new").write_text("{")

    write_session(path, Session(user_id=UserId(BOT), device_id="D", access_token="t"))

    assert json.loads(path.read_text())["device_id"] == "D"
