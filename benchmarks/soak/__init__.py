"""Talk to a bot, kill it at random instants, and count in the rooms what became of each message."""

from benchmarks.soak.run import Report, soak
from benchmarks.soak.settings import Settings

__all__ = ["Report", "Settings", "soak"]
