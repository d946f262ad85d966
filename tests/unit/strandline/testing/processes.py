import asyncio
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.limits import HANGS_SECONDS


def is_running(pid: str) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return re.search(r"^State:\s+[^ZX]", status.read_text(), re.MULTILINE) is not None
    except (FileNotFoundError, ProcessLookupError):
        return False


async def assert_dies_with_its_parent(
    program: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> None:
    """Kill a program whose first word is the id of a process that it has started."""
    parent = subprocess.Popen(  # noqa: ASYNC220, S603
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with parent:
        assert parent.stdout is not None
        pid = (await asyncio.to_thread(parent.stdout.readline)).decode().split()[0]
        assert is_running(pid)

        parent.kill()
        parent.wait()

        async with asyncio.timeout(HANGS_SECONDS):
            while is_running(pid):
                await asyncio.sleep(0.01)
