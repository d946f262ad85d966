"""Filling gaps: the events that a sync response leaves out, read page by page and in order."""

from collections.abc import AsyncIterator
from typing import Any

import structlog

from fsm.failpoints import reach
from matrix.batch import Gap, after_invite
from matrix.errors import Refused
from matrix.homeserver import Homeserver, Page
from matrix.parse import is_own_invite

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

SEARCH_PAGES = 50
"""So many pages of 100 events back the bot's invite is looked for."""


async def missing_events(homeserver: Homeserver, gap: Gap) -> AsyncIterator[Json]:
    """The events of the gap, oldest first, decrypted. Holds one page at a time."""
    try:
        if gap.start is not None:
            async for raw in _forward(homeserver, gap, gap.start):
                yield raw
        else:
            async for raw in _since_invite(homeserver, gap):
                yield raw
    except Refused as refused:
        _log.warning("a room's history can't be read", room_id=gap.room_id, problem=str(refused))


async def _forward(homeserver: Homeserver, gap: Gap, start: str) -> AsyncIterator[Json]:
    token: str | None = start
    while token is not None:
        page = await _page(homeserver, gap, "f", token, gap.end)
        for raw in page.events:
            yield raw
        token = page.end if page.end not in (token, gap.end) else None


async def _since_invite(homeserver: Homeserver, gap: Gap) -> AsyncIterator[Json]:
    """What was written after the bot's invite; after its join if there is no invite to be found."""
    start = await _page_of_invite(homeserver, gap)
    if start is None:
        seen = gap.join is None
        for raw in gap.tail:
            seen = seen or raw.get("event_id") == gap.join
            if seen:
                yield raw
        return
    invited = False
    async for raw in _forward(homeserver, gap, start):
        if invited:
            yield raw
        invited = invited or is_own_invite(raw, homeserver.user_id)
    for raw in gap.tail:
        yield raw


async def _page_of_invite(homeserver: Homeserver, gap: Gap) -> str | None:
    """The token of a place in history shortly before the bot's latest invite."""
    token = gap.end
    for _ in range(SEARCH_PAGES):
        page = await _page(homeserver, gap, "b", token, None)
        older_first = tuple(reversed(page.events))
        if page.end is None or page.end == token:
            return None
        if after_invite(older_first, homeserver.user_id) is not None:
            return page.end
        token = page.end
    return None


async def _page(
    homeserver: Homeserver, gap: Gap, direction: str, start: str | None, end: str | None
) -> Page:
    reach("gap.page.before")
    page = await homeserver.persist(
        lambda: homeserver.page(gap.room_id, direction=direction, start=start, end=end)
    )
    reach("gap.page.after")
    return page
