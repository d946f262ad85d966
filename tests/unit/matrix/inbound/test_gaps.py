"""How far back a gap's history is read, one event a page."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from structlog.testing import capture_logs

from fsm.values.ids import RoomId, SyncToken, UserId
from matrix import Homeserver
from matrix.api.homeserver import Page
from matrix.inbound.batch import TimelineGap
from matrix.inbound.gaps import missing_events
from tests.support.fakes.homeserver import BOT
from tests.support.sync_answers import ROOM, Json, member, text


class History:
    """A room's history; a token is the place before which it points."""

    def __init__(self, *events: Json) -> None:
        self.user_id = UserId(BOT)
        self.events = events
        self.read: list[str] = []

    async def retry(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        return await operation()

    async def page(
        self, room_id: RoomId, *, direction: str, start: str | None, end: str | None
    ) -> Page:
        assert room_id == ROOM
        self.read.append(direction)
        at = int(start or 0)
        if direction == "b":
            return Page([self.events[at - 1]], str(at - 1) if at > 1 else None)
        assert end == str(len(self.events))
        return Page([self.events[at]], str(at + 1)) if at < int(end) else Page([], None)

    def decrypted(self, _room_id: RoomId, raw: Json) -> Json:
        return raw


class Circle(History):
    """Names the place where it was asked to begin as the place where to go on."""

    async def page(
        self, room_id: RoomId, *, direction: str, start: str | None, end: str | None
    ) -> Page:
        page = await super().page(room_id, direction=direction, start=start, end=end)
        return Page(page.events, start)


def texts(name: str, count: int) -> list[Json]:
    return [text(f"{name} {number}", f"${name}{number}") for number in range(count)]


async def entered(history: History, *, join_follows: bool = False) -> list[str]:
    """What is handled of the gap in which the bot came into the room."""
    gap = TimelineGap(
        room_id=ROOM,
        since=SyncToken("0"),
        end=str(len(history.events)),
        is_entered=True,
        join_follows=join_follows,
    )
    found = missing_events(cast("Homeserver", history), gap)
    return [raw["content"].get("body", "") async for raw in found]


async def test_an_invite_on_the_last_page_that_is_searched_is_found() -> None:
    history = History(*texts("old", 30), member("invite", "$i"), *texts("new", 49))

    with capture_logs() as logs:
        found = await entered(history, join_follows=True)

    assert found == [f"new {number}" for number in range(49)]
    assert (history.read.count("b"), logs) == (50, [])


async def test_an_invite_further_back_is_not_looked_for_and_the_log_says_so() -> None:
    history = History(*texts("old", 30), member("invite", "$i"), *texts("new", 50))

    with capture_logs() as logs:
        found = await entered(history, join_follows=True)

    assert found == [f"new {number}" for number in range(50)]
    assert history.read.count("b") == 50
    assert [(e["log_level"], e["events"]) for e in logs] == [("warning", 5000)]


async def test_pages_after_the_join_do_not_count_as_searched() -> None:
    join = member("join", "$j", before="invite")
    history = History(
        *texts("old", 30), member("invite", "$i"), *texts("new", 48), join, *texts("since", 100)
    )

    with capture_logs() as logs:
        found = await entered(history)

    assert (found[0], len(found), found[-1]) == ("new 0", 48 + 1 + 100, "since 99")
    assert (history.read.count("b"), logs) == (150, [])


async def test_a_search_ends_where_the_homeserver_goes_in_a_circle() -> None:
    history = Circle(*texts("new", 3))

    assert await entered(history, join_follows=True) == []

    assert history.read == ["b"]
