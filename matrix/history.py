"""Filling gaps: the events that a sync response leaves out, read page by page and in order."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import structlog
from attrs import frozen

from fsm.failpoints import reach
from matrix.amendments import Amendment, parse_amendment
from matrix.batch import Gap
from matrix.errors import Refused
from matrix.homeserver import Homeserver, Page
from matrix.parse import is_own_invite

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

SEARCH_PAGES = 50
"""So many pages of 100 events back the bot's invite is looked for."""


@frozen
class _Reading:
    """One gap that is being read."""

    homeserver: Homeserver
    gap: Gap
    amend: Callable[[Amendment], None]

    async def page(self, direction: str, start: str | None, end: str | None) -> Page:
        reach("gap.page.before")
        page = await self.homeserver.persist(
            lambda: self.homeserver.page(
                self.gap.room_id, direction=direction, start=start, end=end
            )
        )
        reach("gap.page.after")
        for raw in page.events:
            if (amendment := parse_amendment(raw, self.gap.room_id)) is not None:
                self.amend(amendment)
        return page


async def missing_events(
    homeserver: Homeserver, gap: Gap, amend: Callable[[Amendment], None] = lambda _: None
) -> AsyncIterator[Json]:
    """The events of the gap, oldest first, decrypted. Holds one page at a time.

    Edits and redactions are told to ``amend`` before the events of their page.
    """
    reading = _Reading(homeserver, gap, amend)
    if gap.start is None:
        async for raw in _since_invite(reading):
            yield raw
        return
    try:
        async for raw in _forward(reading, gap.start):
            yield raw
    except Refused as refused:
        _warn(gap, refused)


async def _forward(reading: _Reading, start: str | None) -> AsyncIterator[Json]:
    """From a token, or from the room's beginning, to the gap's end."""
    token = start
    while True:
        page = await reading.page("f", token, reading.gap.end)
        for raw in page.events:
            yield raw
        if page.end in (None, token, reading.gap.end):
            return
        token = page.end


async def _since_invite(reading: _Reading) -> AsyncIterator[Json]:
    """What was written after the bot's invite; after its join if there is no invite to be found."""
    gap, invite = reading.gap, None
    try:
        invite, start = await _newest_invite(reading)
        async for raw in _after(reading, invite, start):
            yield raw
    except Refused as refused:
        _warn(gap, refused)
    for raw in _tail(gap, is_whole=invite is not None):
        yield raw


async def _after(reading: _Reading, invite: str | None, start: str | None) -> AsyncIterator[Json]:
    """The events after the invite, up to the gap's end."""
    if invite is None:
        return
    reached = False
    async for raw in _forward(reading, start):
        if reached:
            yield raw
        reached = reached or raw.get("event_id") == invite


def _tail(gap: Gap, *, is_whole: bool) -> Iterator[Json]:
    """What came with the response itself: all of it, or what is after the bot's join."""
    seen = is_whole or gap.join is None
    for raw in gap.tail:
        seen = seen or raw.get("event_id") == gap.join
        if seen:
            yield raw


async def _newest_invite(reading: _Reading) -> tuple[str | None, str | None]:
    """The event of the bot's newest invite in the gap, and a token shortly before it."""
    token, bot = reading.gap.end, reading.homeserver.user_id
    for _ in range(SEARCH_PAGES):
        page = await reading.page("b", token, None)
        found = next((raw for raw in page.events if is_own_invite(raw, bot)), None)
        if found is not None:
            return str(found.get("event_id")), page.end
        if page.end in (None, token):
            break
        token = page.end
    return None, None


def _warn(gap: Gap, refused: Refused) -> None:
    _log.warning("a room's history can't be read", room_id=gap.room_id, problem=str(refused))
