"""Filling gaps: the events that a sync response leaves out, read page by page and in order."""

from collections.abc import AsyncIterator
from typing import Any

import structlog

from fsm.failpoints import reach
from matrix.batch import Gap
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


async def _forward(homeserver: Homeserver, gap: Gap, start: str | None) -> AsyncIterator[Json]:
    """From a token, or from the room's beginning, to the gap's end."""
    token = start
    while True:
        page = await _page(homeserver, gap, "f", token, gap.end)
        for raw in page.events:
            yield raw
        if page.end in (None, token, gap.end):
            return
        token = page.end


async def _since_invite(homeserver: Homeserver, gap: Gap) -> AsyncIterator[Json]:
    """What was written after the bot's invite; after its join if there is no invite to be found."""
    invited, start = await _before_invite(homeserver, gap)
    if not invited:
        seen = gap.join is None
        for raw in gap.tail:
            seen = seen or raw.get("event_id") == gap.join
            if seen:
                yield raw
        return
    reached = False
    async for raw in _forward(homeserver, gap, start):
        if reached:
            yield raw
        reached = reached or is_own_invite(raw, homeserver.user_id)
    for raw in gap.tail:
        yield raw


async def _before_invite(homeserver: Homeserver, gap: Gap) -> tuple[bool, str | None]:
    """Whether the bot's invite is in history, and a token shortly before it."""
    token = gap.end
    for _ in range(SEARCH_PAGES):
        page = await _page(homeserver, gap, "b", token, None)
        if any(is_own_invite(raw, homeserver.user_id) for raw in page.events):
            return True, page.end
        if page.end in (None, token):
            break
        token = page.end
    return False, None


async def _page(
    homeserver: Homeserver, gap: Gap, direction: str, start: str | None, end: str | None
) -> Page:
    reach("gap.page.before")
    page = await homeserver.persist(
        lambda: homeserver.page(gap.room_id, direction=direction, start=start, end=end)
    )
    reach("gap.page.after")
    return page
