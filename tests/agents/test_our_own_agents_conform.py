"""The suite for third parties, run on the kinds of our own: a class for each."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ephemeral.echo import EchoAgent
from ephemeral.http_agent import HttpAgent
from strandline.testing import AgentConformance
from strandline.testing.processes import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVER = """
import sys
import platform_server as server
server.WORD_SECONDS = 0.005
server.web.run_app(server.app(), host="127.0.0.1", port=int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(  # noqa: S603  # an example of ours
        [sys.executable, "-c", SERVER, str(port)], stdout=subprocess.DEVNULL, cwd=EXAMPLES
    )
    for _ in range(200):
        try:
            urlopen(f"{url}/asked").close()  # noqa: S310  # ours
            break
        except OSError:
            time.sleep(0.05)
    yield f"{url}/ask"
    server.kill()
    server.wait()


class TestEcho(AgentConformance):
    kind = EchoAgent


class TestHttp(AgentConformance):
    kind = HttpAgent

    @pytest.fixture
    def options(self, platform: str) -> Mapping[str, Any]:
        return {"url": platform}

    @pytest.fixture
    def unreachable(self) -> Mapping[str, Any]:
        return {"url": f"http://127.0.0.1:{free_port()}/ask", "connect_seconds": 1}
