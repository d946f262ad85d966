import subprocess
import sys
from pathlib import Path

import pytest

from tests.strandline.test_config import GOOD

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="has no device that is always full")
def test_a_full_disk_under_the_output_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(GOOD)
    command = [sys.executable, "-m", "strandline", "config", "check"]

    with FULL.open("wb") as full:
        done = subprocess.run(  # noqa: S603  # the arguments are ours
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr
