"""Logging: one line for each entry, as text or JSON, on standard output."""

import logging
import re
import sys
from io import StringIO
from typing import Any, TextIO

import structlog

from fsm.values.text import printable

QUIET = (
    *("peewee", "transitions", "aiohttp", "asyncio", "markdown_it"),
    *("httpx", "httpcore", "httpx2", "httpcore2", "openai", "a2a"),
)
"""Libraries of which only warnings and errors are logged.

Their other entries tell an operator nothing, or quote what the library sends: questions, headers,
addresses.
"""

_QUERY = re.compile(r"(https?://[^\s?\"'\\]*\?)[^\s\"'\\]+", re.IGNORECASE)

SILENT = ("nio",)
"""Libraries of which nothing is logged.

At every level, they quote whole events that they can't use, even decrypted ones and room keys. The
bot itself logs what matters to an operator.
"""


def configure_log(*, as_json: bool, level: str) -> None:
    """Send all log entries, Strandline's and those of libraries, to standard output.

    Args:
        as_json: True for one JSON object per line, False for text.
        level: The lowest level that is logged, such as ``info``.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(as_json=as_json),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.raiseExceptions = False  # or each line that a full disk refuses is a traceback instead
    logging.captureWarnings(capture=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _rendering(*, as_json: bool) -> list[Any]:
    if as_json:
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
            _without_queries,
        ]
    return [
        _written_out,
        structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=_traceback),
        _without_queries,
    ]


def _without_queries(_logger: Any, _method: str, line: str) -> str:
    """Return the log line without the query of each URL, since a query may contain a secret."""
    return _QUERY.sub(r"\1…", line)


def _written_out(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return the log entry with control characters in its texts escaped.

    The renderer escapes them in values of other types.
    """
    return {k: printable(v) if isinstance(v, str) else v for k, v in event.items()}


def _traceback(to: TextIO, exc_info: Any) -> None:
    """Write a traceback to ``to``, without local variables, since these may contain passwords."""
    whole = StringIO()
    structlog.dev.plain_traceback(whole, exc_info)
    to.write(printable(whole.getvalue(), lines=True))
