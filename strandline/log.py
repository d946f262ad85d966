"""Logging: one line an event, for people or for machines, on standard output."""

import logging
import sys
from typing import Any

import structlog

QUIET = ("nio", "peewee", "transitions", "aiohttp", "asyncio", "markdown_it")
"""Libraries that have nothing to say to an operator below a warning."""


def configure_log(*, as_json: bool, level: str) -> None:
    """Send everything that is logged, by us or by libraries, to standard output."""
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


def _rendering(*, as_json: bool) -> list[Any]:
    if as_json:
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(),
            # the default shows local variables where rich is installed, passwords among them
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]
