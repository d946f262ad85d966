"""The suite for third parties, run on the kinds of our own: a class for each."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from ephemeral.agents.a2a.agent import A2aAgent
from ephemeral.agents.echo import EchoAgent
from ephemeral.agents.http import HttpAgent
from ephemeral.agents.openai.agent import OpenAiAgent
from strandline.testing import AgentConformance
from strandline.testing.processes import free_port

ROOT = Path(__file__).parents[4]
EXAMPLES = ROOT / "examples"
TRIES = 6000
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
    _wait_until_it_answers(f"{url}/asked")
    yield f"{url}/ask"
    server.kill()
    server.wait()


def _served(url: str, *command: str) -> Iterator[str]:
    server = subprocess.Popen(  # noqa: S603  # what the tests bring
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    _wait_until_it_answers(url)
    yield url
    server.kill()
    server.wait()


def _wait_until_it_answers(url: str) -> None:
    for _ in range(TRIES):
        try:
            urlopen(url).close()  # noqa: S310  # ours
        except HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(url)


@pytest.fixture(scope="module")
def harbour() -> Iterator[str]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    for _ in _served(f"{base}/report", "-m", "tests.support.a2a_server", str(port), "0.005"):
        yield base


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    rules = tmp_path_factory.mktemp("model") / "fakellm.yaml"
    rules.write_text("version: 1\nrules: [{name: any, respond: {content: Aye aye.}}]\n")
    port = free_port()
    base = f"http://127.0.0.1:{port}/v1"
    command = ("-c", "from fakellm.cli import main; main()", "serve", "--port", str(port))
    for _ in _served(f"{base}/models", *command, "--config", str(rules)):
        yield base


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


class TestA2a(AgentConformance):
    kind = A2aAgent

    @pytest.fixture
    def options(self, harbour: str) -> Mapping[str, Any]:
        return {"url": harbour}

    @pytest.fixture
    def unreachable(self) -> Mapping[str, Any]:
        return {"url": f"http://127.0.0.1:{free_port()}", "connect_seconds": 1}


class TestOpenAi(AgentConformance):
    kind = OpenAiAgent

    @pytest.fixture
    def options(self, model: str) -> Mapping[str, Any]:
        return {"url": model, "model": "mock"}

    @pytest.fixture
    def unreachable(self) -> Mapping[str, Any]:
        return {"url": f"http://127.0.0.1:{free_port()}", "model": "m", "connect_seconds": 1}
