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
"""Libraries that have nothing to say to an operator below a warning, or that log there what they
send: questions, headers, addresses."""

_QUERY = re.compile(r"(https?://[^\s?\"'\\]*\?)[^\s\"'\\]+", re.IGNORECASE)

SILENT = ("nio",)
"""Libraries that quote what they can't use whole, at any level: events that anybody has sent, also
what was encrypted, and the keys of rooms. What matters of it, the bot says itself."""


def configure_log(*, as_json: bool, level: str) -> None:
    """Send all log entries, of ours and of libraries, to standard output."""
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
    """Remove the query of each URL in the line, since it may contain a secret."""
    return _QUERY.sub(r"\1…", line)


def _written_out(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Escape control characters in the entry's texts; the renderer quotes other values."""
    return {k: printable(v) if isinstance(v, str) else v for k, v in event.items()}


def _traceback(to: TextIO, exc_info: Any) -> None:
    """Format a traceback without local variables, since they may contain passwords."""
    whole = StringIO()
    structlog.dev.plain_traceback(whole, exc_info)
    to.write(printable(whole.getvalue(), lines=True))
