"""How times and sizes are said. Keeps nothing, so nothing is lost at a restart."""

from datetime import timedelta

from fsm import Translator

KILO = 1000
MEGA = 1000 * KILO


def within(tongue: Translator, duration: timedelta) -> str:
    """``within 5 minutes``."""
    seconds = round(duration.total_seconds())
    if seconds % 60:
        return tongue.n("within {count} second", "within {count} seconds", seconds)
    return tongue.n("within {count} minute", "within {count} minutes", seconds // 60)


def size(tongue: Translator, size_bytes: int) -> str:
    """``12 kB``, ``1.2 MB``; a file's sender need not say how large it is."""
    if size_bytes <= 0:
        return tongue.t("unknown size")
    kilobytes = -(-size_bytes // KILO)
    if kilobytes < KILO:
        return tongue.t("{amount} kB", amount=kilobytes)
    return tongue.t("{amount} MB", amount=f"{size_bytes / MEGA:.1f}".removesuffix(".0"))
