import re
from pathlib import Path


def is_running(pid: str) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return re.search(r"^State:\s+[^ZX]", status.read_text(), re.MULTILINE) is not None
    except (FileNotFoundError, ProcessLookupError):
        return False
