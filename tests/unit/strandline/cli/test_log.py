import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.strandline.config.test_config import GOOD

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="has no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output_is_one_line_and_no_traceback(
    tmp_path: Path, unbuffered: str
) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)
    command = [sys.executable, "-m", "strandline", "config", "check"]

    with FULL.open("wb") as full:
        done = subprocess.run(  # noqa: S603  # the arguments are ours
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr


LOGS = """
import logging, structlog
from strandline.cli.log import configure_log
configure_log(as_json={as_json}, level="info")
log = structlog.get_logger()
log.info("a\\x1b[2J", room_id="!\\x9b31m\\u202e", listed=["\\x1b"])
logging.getLogger("library").warning("b\\x1b]0;owned\\x07")
try:
    raise ValueError("c\\x1b[31m")
except ValueError:
    log.exception("failed")
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_a_log_line_holds_nothing_that_a_terminal_obeys(*, as_json: bool) -> None:
    done = subprocess.run(  # noqa: S603  # the arguments are ours
        [sys.executable, "-c", LOGS.format(as_json=as_json)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert not set(done.stdout) & {"\x1b", "\x07", "\x9b", "\u202e"}
    for told in ("x1b[2J", "x1b]0;owned", "ValueError: c", "x1b[31m"):
        assert told in done.stdout.replace("u001b", "x1b")


QUOTED = """
import sys
from pathlib import Path

from matrix.crypto.olm import Crypto
from strandline.cli.log import configure_log

configure_log(as_json=True, level="debug")
crypto = Crypto("@bot:test", "DEVICE", Path(sys.argv[1]))
odd = {"type": "m.room.encrypted", "sender": "@a:test", "content": {"body": "a secret"}}
crypto.receive({"to_device": {"events": [odd]}})
crypto.decrypt("!room", odd | {"event_id": "$e", "origin_server_ts": 1})
crypto.close()
print("done")
"""


def test_what_the_crypto_engine_can_not_use_is_not_quoted_in_the_log(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603  # the arguments are ours
        [sys.executable, "-c", QUOTED, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert "a secret" not in done.stdout
    assert "done" in done.stdout


ADDRESSES = """
import asyncio
import httpx, structlog
from strandline.cli.log import configure_log

configure_log(as_json={as_json}, level="debug")
address = "http://127.0.0.1:9/ask?key=a-secret&b=c"


async def ask():
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get(address, headers={{"X-Key": "a-secret"}})


asyncio.run(ask())
log = structlog.get_logger()
log.info("asked", problem=f"no answer from {{address!r}}", listed=[address])
try:
    raise ValueError(address)
except ValueError:
    log.exception("failed at " + address)
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_the_query_of_an_address_is_in_no_line_whoever_logs_it(*, as_json: bool) -> None:
    done = subprocess.run(  # noqa: S603  # the arguments are ours
        [sys.executable, "-c", ADDRESSES.format(as_json=as_json)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "a-secret" not in done.stdout
    assert done.stdout.count("http://127.0.0.1:9/ask?…") == 4
    assert all(json.loads(line) for line in done.stdout.splitlines() if as_json)
