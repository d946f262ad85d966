"""Reads the events that a limited sync response omits, page by page and in order."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from attrs import frozen

from fsm.failpoints import reach
from fsm.values.ids import EventId
from matrix.api import fields
from matrix.api.errors import Refused
from matrix.api.homeserver import PAGE_EVENTS, Homeserver, Page
from matrix.inbound.batch import MembershipTracker, TimelineGap, joined_uninvited
from matrix.inbound.edits import MessageChange, amendments
from matrix.inbound.parse import is_own_invite, is_own_join

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

MAX_INVITE_SEARCH_PAGES = 50
"""Maximum pages that are searched for the bot's invite, backwards from the bot's join."""


@frozen
class _Start:
    """Where in a gap the events to handle start.

    Args:
        event_id: The bot's invite or join; None if all events from ``token`` on are to be handled.
        token: The token from which to read forward; None for the room's beginning.
        is_invite: Whether ``event_id`` is the invite. The events to handle start after the invite,
            or with the join.
    """

    event_id: EventId | None
    token: str | None
    is_invite: bool = False


@frozen
class _GapReader:
    """Reads the pages of one gap.

    Args:
        homeserver: The homeserver.
        gap: The gap.
        amend: Called with each edit and redaction that a page contains.
    """

    homeserver: Homeserver
    gap: TimelineGap
    amend: Callable[[MessageChange], None]

    async def page(self, direction: str, start: str | None, end: str | None) -> Page:
        reach("gap.page.before")
        page = await self.homeserver.retry(
            lambda: self.homeserver.page(
                self.gap.room_id, direction=direction, start=start, end=end
            )
        )
        reach("gap.page.after")
        for raw in page.events:
            for amendment in amendments(raw, self.gap.room_id, self.homeserver.decrypted):
                self.amend(amendment)
        return page

    async def forward(self, start: str | None) -> AsyncIterator[Page]:
        """Yield the pages from ``start`` (None: the room's beginning) to the gap's end."""
        token = start
        while True:
            page = await self.page("f", token, self.gap.end)
            yield page
            if not self.has_next(page, token):
                return
            token = page.end

    def has_next(self, page: Page, token: str | None) -> bool:
        """Return whether there is a page after ``page``, which was read from ``token``."""
        return page.end not in (None, token, self.gap.end)

    async def first_page(self) -> Page:
        """Read all pages, which reports their edits and redactions; return the first page."""
        pages = self.forward(self.gap.since)
        first = await anext(pages)
        async for _page in pages:
            pass
        return first


async def missing_events(
    homeserver: Homeserver,
    gap: TimelineGap,
    amend: Callable[[MessageChange], None] = lambda _: None,
) -> AsyncIterator[Json]:
    """Yield the events of the gap, oldest first, decrypted.

    All edits and redactions in the gap are reported before the first event is yielded, so that no
    outdated text is handled. Therefore a gap of several pages is read twice, and only one page is
    in memory at a time. Events from a time when the bot was not a member are left out.

    Args:
        homeserver: The homeserver.
        gap: The gap.
        amend: Called with each edit and redaction.
    """
    reading, presence = _GapReader(homeserver, gap, amend), MembershipTracker(homeserver.user_id)
    events = _since_entering(reading) if gap.is_entered else _since_token(reading)
    async for raw in events:
        if presence.follow(raw):
            yield raw


async def _since_token(reading: _GapReader) -> AsyncIterator[Json]:
    """Yield all events of the gap, from its start on, and then the gap's tail."""
    try:
        first = await reading.first_page()
        for raw in first.events:
            yield raw
        if reading.has_next(first, reading.gap.since):
            async for raw in _events(reading, first.end):
                yield raw
    except Refused as refused:
        _warn(reading.gap, refused)
    for raw in reading.gap.tail:
        yield raw


async def _events(reading: _GapReader, start: str | None) -> AsyncIterator[Json]:
    async for page in reading.forward(start):
        for raw in page.events:
            yield raw


async def _since_entering(reading: _GapReader) -> AsyncIterator[Json]:
    """Yield the events after the bot's invite, or from its join on if there was no invite.

    If the gap has neither, all its events are yielded, as in any other gap, so that none is lost.
    But if the bot's join is the next event after the gap, none is yielded.
    """
    gap, start = reading.gap, None
    try:
        start = await _find_start(reading)
    except Refused as refused:
        _warn(gap, refused)
    if start is not None:
        async for raw in _after(reading, start):
            yield raw
        for raw in gap.tail:
            yield raw
    elif not gap.join_follows:
        async for raw in _since_token(reading):
            yield raw


async def _after(reading: _GapReader, start: _Start) -> AsyncIterator[Json]:
    """Yield the events from ``start`` to the gap's end."""
    reached = start.event_id is None
    try:
        async for raw in _events(reading, start.token):
            is_start = fields.event_id(raw, "event_id") == start.event_id
            reached = reached or is_start
            if reached and not (is_start and start.is_invite):
                yield raw
    except Refused as refused:
        _warn(reading.gap, refused)


async def _find_start(reading: _GapReader) -> _Start | None:
    """Return where the events to handle start: the bot's newest invite in the gap, else its join.

    The gap is searched backwards from its end. If the invite is further back than
    ``MAX_INVITE_SEARCH_PAGES``, the events to handle start at the oldest page that was read.

    Returns:
        None if there is neither an invite nor a join.
    """
    token, bot = reading.gap.end, reading.homeserver.user_id
    is_joined = reading.gap.join_follows
    join: _Start | None = None
    pages_before_join = 0
    while pages_before_join < MAX_INVITE_SEARCH_PAGES:
        page = await reading.page("b", token, None)
        for raw in page.events:
            event_id = fields.event_id(raw, "event_id")
            if event_id is None:
                continue
            if is_own_invite(raw, bot):
                return _Start(event_id, page.end, is_invite=True)
            if not is_joined and is_own_join(raw, bot):
                is_joined, join = True, _Start(event_id, page.end)
                if joined_uninvited(raw):
                    return join
        if page.end in (None, token):
            break
        token = page.end
        pages_before_join += is_joined
    else:
        _log.warning(
            "the bot's invite is too far back, older events are skipped",
            room_id=reading.gap.room_id,
            events=MAX_INVITE_SEARCH_PAGES * PAGE_EVENTS,
        )
        return _Start(None, token)
    return join


def _warn(gap: TimelineGap, refused: Refused) -> None:
    _log.warning("a room's history can't be read", room_id=gap.room_id, problem=str(refused))
