"""Test users that act through the client-server API of a real homeserver."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from math import inf
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from attrs import frozen

from fsm.values.ids import EventId, RoomId, UserId
from matrix import fields
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.homeserver import Credentials

Expected = str | Callable[["TimelineEvent"], bool]
"""What a message must be: a regular expression to search for in the body, or a predicate.

A predicate is called with the message and returns whether the message is the expected one.
"""

MAX_WAIT_MS = 1000
"""The longest wait of one sync request, in ms.

Between two requests, a waiting user checks the other reasons to stop waiting.
"""

SYNC_EVENTS = 100
"""The maximum number of a room's events in one sync response.

If there are more new events, all events of the room are read again.
"""

Json = dict[str, Any]


@frozen(kw_only=True)
class TimelineEvent:
    """One message of a room, with its edits applied.

    Args:
        type: The Matrix event type, ``m.room.message``.
        body: The text that a client shows: for an edited message, that of the newest edit.
        content: The event's content; for an edited message, updated with the new content.
        sent_at_ms: When the message was sent: the homeserver's clock, Unix time in milliseconds.
        in_reply_to: The event that the message replies to; None if it is no reply.
        edits: How often the message was edited.
    """

    event_id: EventId
    sender: UserId
    type: str
    body: str
    content: dict[str, Any]
    sent_at_ms: int
    in_reply_to: EventId | None = None
    edits: int = 0


class Person:
    """A test user with an account on the homeserver.

    Use it as an async context manager, or call ``close`` at the end. The methods that send an event
    return the event's id.

    Args:
        url: The base URL of the homeserver.
        credentials: The user's account.
        keeps_connections: Whether HTTP connections stay open between requests. If False, each
            request opens a connection of its own. Then nothing needs to be closed, and requests can
            be made from any event loop.
    """

    def __init__(
        self, url: str, credentials: Credentials, *, keeps_connections: bool = True
    ) -> None:
        self.credentials = credentials
        self.user_id = credentials.user_id
        self._url = url
        self._numbers = count()
        self._http = self._session() if keeps_connections else None

    @property
    def localpart(self) -> str:
        """The localpart of the user's id: ``alice`` for ``@alice:example.org``."""
        return self.user_id.removeprefix("@").partition(":")[0]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the HTTP connections."""
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        authorization = f"Bearer {self.credentials.access_token}"
        return aiohttp.ClientSession(headers={"Authorization": authorization})

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiohttp.ClientSession]:
        if self._http is not None:
            yield self._http
            return
        async with self._session() as http:
            yield http

    async def create_room(
        self, *, invite: Iterable[UserId] = (), encrypted: bool = False, name: str | None = None
    ) -> RoomId:
        """Create a private room, and return its id.

        Args:
            invite: The users to invite.
            encrypted: Whether encryption is enabled in the room.
            name: The room's name; None for a room without a name.
        """
        body: dict[str, Any] = {"invite": list(invite), "preset": "private_chat"}
        if name is not None:
            body["name"] = name
        if encrypted:
            content = {"algorithm": "m.megolm.v1.aes-sha2"}
            body["initial_state"] = [
                {"type": "m.room.encryption", "state_key": "", "content": content}
            ]
        return RoomId((await self.request("POST", "/createRoom", body))["room_id"])

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        """Invite a user to a room."""
        await self.request("POST", _room(room_id, "invite"), {"user_id": user_id})

    async def kick(self, room_id: RoomId, user_id: UserId) -> None:
        """Remove a user from a room."""
        await self.request("POST", _room(room_id, "kick"), {"user_id": user_id})

    async def join(self, room_id: RoomId) -> None:
        """Join a room."""
        await self.request("POST", _room(room_id, "join"), {})

    async def leave(self, room_id: RoomId) -> None:
        """Leave a room."""
        await self.request("POST", _room(room_id, "leave"), {})

    async def say(self, room_id: RoomId, text: str) -> EventId:
        """Send a text message."""
        return await self.send(room_id, "m.room.message", {"msgtype": "m.text", "body": text})

    async def send(self, room_id: RoomId, event_type: str, content: dict[str, Any]) -> EventId:
        """Send an event of any type."""
        path = _room(room_id, "send", event_type, f"person.{id(self)}.{next(self._numbers)}")
        return EventId((await self.request("PUT", path, content))["event_id"])

    async def edit(self, room_id: RoomId, event_id: EventId, text: str) -> EventId:
        """Replace the text of this user's text message ``event_id``. Return the id of the edit."""
        return await self.send(room_id, "m.room.message", edit_content(event_id, text))

    async def reply(self, room_id: RoomId, event_id: EventId, text: str) -> EventId:
        """Reply to a message with a text."""
        relation = {"m.in_reply_to": {"event_id": event_id}}
        content = {"msgtype": "m.text", "body": text, "m.relates_to": relation}
        return await self.send(room_id, "m.room.message", content)

    async def say_in_thread(self, room_id: RoomId, root: EventId, text: str) -> EventId:
        """Send a text message to the thread whose root is the event ``root``."""
        relation = {"rel_type": "m.thread", "event_id": root}
        content = {"msgtype": "m.text", "body": text, "m.relates_to": relation}
        return await self.send(room_id, "m.room.message", content)

    async def react(self, room_id: RoomId, event_id: EventId, key: str) -> EventId:
        """React to an event with the emoji ``key``."""
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
        return await self.send(room_id, "m.reaction", {"m.relates_to": relation})

    async def reactions(self, room_id: RoomId, event_id: EventId) -> list[tuple[UserId, str]]:
        """The reactions to an event, oldest first, each as its sender and the emoji."""
        return reactions_to(event_id, await self.raw_timeline(room_id))

    async def send_file(  # noqa: PLR0913  # what a file may carry
        self,
        room_id: RoomId,
        name: str,
        data: bytes,
        *,
        mimetype: str = "text/plain",
        msgtype: str = "m.file",
        caption: str | None = None,
    ) -> EventId:
        """Upload a file, and send it to the room.

        Args:
            room_id: The room.
            name: The file's name.
            data: The file's content.
            mimetype: The file's type.
            msgtype: The ``msgtype`` of the message.
            caption: The message's text; None for a file without a caption.
        """
        url = f"{self._url}/_matrix/media/v3/upload?filename={quote(name, safe='')}"
        async with (
            self._connected() as http,
            http.post(url, data=data, headers={"Content-Type": mimetype}) as answer,
        ):
            uri = (await answer.json())["content_uri"]
        content = {
            "msgtype": msgtype,
            "body": caption or name,
            "filename": name,
            "url": uri,
            "info": {"mimetype": mimetype, "size": len(data)},
        }
        return await self.send(room_id, "m.room.message", content)

    async def downloads(self, uri: str) -> bytes:
        """Download a file by its ``mxc://`` URI, and return its content.

        Raises:
            KitError: The homeserver refused the download.
        """
        path = uri.removeprefix("mxc://")
        url = f"{self._url}/_matrix/client/v1/media/download/{path}"
        async with self._connected() as http, http.get(url) as answer:
            if answer.status != 200:  # noqa: PLR2004
                what = f"{uri}: {answer.status}"
                raise KitError(what)
            return await answer.read()

    async def redact(self, room_id: RoomId, event_id: EventId) -> EventId:
        """Redact an event. Return the id of the redaction."""
        path = _room(room_id, "redact", event_id, f"person.{id(self)}.{next(self._numbers)}")
        return EventId((await self.request("PUT", path, {}))["event_id"])

    async def membership(self, room_id: RoomId, user_id: UserId) -> str | None:
        """A user's membership of a room: ``join``, ``invite``, ``leave``, ``ban`` or ``knock``.

        Returns:
            The membership; None if the user has never had one, or this person can't read it.
        """
        try:
            return str((await self.state(room_id, "m.room.member", user_id))["membership"])
        except KitError:
            return None

    async def invites(self) -> list[RoomId]:
        """The rooms to which this person has a pending invite."""
        return [RoomId(room_id) for room_id in await self._invited()]

    async def _invited(self) -> dict[str, Any]:
        answer = await self._sync({"presence": self._fresh(), "room": {"timeline": {"limit": 1}}})
        return fields.fields(answer, "rooms", "invite")

    def _timelines_of(self, **rooms: list[RoomId]) -> Json:
        """Return a sync filter that lets through only the rooms' timelines and invites.

        Args:
            rooms: Nothing for all rooms; or ``rooms=[…]`` with the rooms to let through.
        """
        nothing: Json = {"types": []}
        only = {"state": nothing, "ephemeral": nothing, "account_data": nothing}
        room = {"timeline": {"limit": SYNC_EVENTS}, **only, **rooms}
        return {"presence": self._fresh(), "account_data": nothing, "room": room}

    def _fresh(self) -> Json:
        """Return the presence part of a sync filter, which lets no presence through.

        Each result is unique, because Synapse caches the response to equal requests for two
        minutes.
        """
        return {"types": [], "not_types": [f"person.{id(self)}.{next(self._numbers)}"]}

    async def is_invited_to_space(self, room_id: RoomId) -> bool:
        """Whether this person has a pending invite to the room, and the room is a Space."""
        return _is_space(fields.fields(await self._invited(), room_id))

    async def invite_to(self, *, is_space: bool) -> RoomId:
        """Wait until this person has a pending invite, and return its room. There is no timeout.

        Args:
            is_space: True waits for an invite to a Space, False for one to any other room.
        """
        filter_ = self._timelines_of()
        wait = ""
        while True:
            answer = await self._sync(filter_, wait)
            for room_id, invite in fields.fields(answer, "rooms", "invite").items():
                if _is_space(invite) is is_space:
                    return RoomId(room_id)
            wait = f"&since={answer['next_batch']}&timeout={MAX_WAIT_MS}"

    async def members(self, room_id: RoomId) -> set[UserId]:
        """The users who have joined the room."""
        answer = await self.request("GET", _room(room_id, "joined_members"))
        return {UserId(user_id) for user_id in answer["joined"]}

    async def state(self, room_id: RoomId, event_type: str, key: str = "") -> dict[str, Any]:
        """The content of a state event of the room.

        Args:
            room_id: The room.
            event_type: The type of the state event.
            key: The state key.

        Raises:
            KitError: The room has no such state event, or this person may not read it.
        """
        path = _room(room_id, "state", event_type, key)
        content: dict[str, Any] = await self.request("GET", path)
        return content

    async def set_state(
        self, room_id: RoomId, event_type: str, content: dict[str, Any], key: str = ""
    ) -> None:
        """Send a state event with the state key ``key`` to the room."""
        await self.request("PUT", _room(room_id, "state", event_type, key), content)

    async def upgrade(self, room_id: RoomId, version: str = "12") -> RoomId:
        """Upgrade a room to the room version ``version``, and return the id of the new room."""
        body = {"new_version": version}
        answer = await self.request("POST", _room(room_id, "upgrade"), body)
        return RoomId(answer["replacement_room"])

    async def raw_timeline(self, room_id: RoomId) -> list[dict[str, Any]]:
        """All events of the room, oldest first, as the homeserver returns them."""
        events: list[dict[str, Any]] = []
        start = ""
        while True:
            path = _room(room_id, "messages") + f"?dir=f&limit=500{start}"
            page = await self.request("GET", path)
            events += page["chunk"]
            if "end" not in page or not page["chunk"]:
                return events
            start = f"&from={quote(page['end'])}"

    async def raw_timelines(
        self, room_id: RoomId, *, until: float = inf
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield all events of the room so far, oldest first, again and again.

        The first list is yielded at once. A further list is yielded when there are new events, and
        at least once a second.

        Args:
            room_id: The room.
            until: The event loop's time, in seconds, at which the last list is yielded. By default,
                the iterator has no end.
        """
        now = asyncio.get_running_loop().time
        since = (await self._sync(self._timelines_of(rooms=[])))["next_batch"]
        filter_ = self._timelines_of(rooms=[room_id])
        events = await self.raw_timeline(room_id)
        while True:
            yield events
            left_ms = int(min(1000 * (until - now()), MAX_WAIT_MS))
            if left_ms <= 0:
                return
            answer = await self._sync(filter_, f"&since={since}&timeout={left_ms}")
            since = answer["next_batch"]
            new = fields.fields(answer, "rooms", "join", room_id, "timeline")
            if _must_be_read(new) or room_id in fields.fields(answer, "rooms", "leave"):
                events = await self.raw_timeline(room_id)
            elif new:
                events = with_new(events, new["events"])

    async def timeline(self, room_id: RoomId) -> list[TimelineEvent]:
        """The room's messages, oldest first, with their edits applied."""
        return fold(await self.raw_timeline(room_id))

    async def transcript(self, room_id: RoomId) -> str:
        """The room's messages as text, one line for each: its sender and its newest text."""
        events = await self.timeline(room_id)
        return "\n".join(f"{e.sender.split(':')[0]:>14}  {e.body}" for e in events)

    async def sees(
        self,
        room_id: RoomId,
        expected: Expected,
        *,
        after: EventId | None = None,
        timeout_seconds: float = 30.0,
    ) -> TimelineEvent:
        """Wait until somebody other than this person has sent the expected message; return it.

        Args:
            room_id: The room.
            expected: What the message must be.
            after: Only messages after this message count; None for all messages of the room.
            timeout_seconds: The maximum wait.

        Raises:
            NotSeen: The message did not arrive in time. The error has the room's transcript.
        """
        wanted = _predicate(expected)
        until = asyncio.get_running_loop().time() + timeout_seconds
        async for events in self.timelines(room_id, until=until):
            ids = [e.event_id for e in events]
            start = ids.index(after) + 1 if after in ids else 0
            for event in events[start:]:
                if event.sender != self.user_id and wanted(event):
                    return event
        what = f"{self.user_id} does not see {expected!r} within {timeout_seconds:g} s"
        raise NotSeen(what, await self.transcript(room_id))

    async def timelines(
        self, room_id: RoomId, *, until: float = inf
    ) -> AsyncIterator[list[TimelineEvent]]:
        """Yield all messages of the room so far, at the same times as ``raw_timelines``."""
        async for events in self.raw_timelines(room_id, until=until):
            yield fold(events)

    async def _sync(self, filter_: Json, parameters: str = "") -> Json:
        path = f"/sync?set_presence=offline&filter={quote(json.dumps(filter_))}{parameters}"
        answer: Json = await self.request("GET", path)
        return answer

    async def asks(self, room_id: RoomId, text: str, expected: Expected) -> TimelineEvent:
        """Send a text; wait until somebody else sends the expected message after it, and return it.

        Raises:
            NotSeen: The message did not arrive in time. The error has the room's transcript.
        """
        return await self.sees(room_id, expected, after=await self.say(room_id, text))

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """Make one request to the client-server API, and return its response, decoded from JSON.

        Args:
            method: The HTTP method.
            path: The URL's path after ``/_matrix/client/v3``, with the query.
            body: The JSON value to send; None for a request without a body.

        Raises:
            KitError: The homeserver refused the request.
        """
        url = f"{self._url}/_matrix/client/v3{path}"
        async with (
            self._connected() as http,
            http.request(method, url, json=body) as answer,
        ):
            content = await answer.json()
            if answer.status != 200:  # noqa: PLR2004
                what = f"{method} {path}: {answer.status} {content}"
                raise KitError(what)
            return content


def edit_content(event_id: EventId, text: str) -> dict[str, Any]:
    """Return the content of an event that edits the text message ``event_id``."""
    return {
        "msgtype": "m.text",
        "body": f"* {text}",
        "m.new_content": {"msgtype": "m.text", "body": text},
        "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
    }


def reactions_to(event_id: EventId, raw: Iterable[Json]) -> list[tuple[UserId, str]]:
    """The reactions to an event, each as its sender and the emoji.

    Args:
        event_id: The event reacted to.
        raw: The events of its room, oldest first.
    """
    found = []
    for event in raw:
        relation = fields.fields(event, "content", "m.relates_to")
        is_reaction = event.get("type") == "m.reaction"
        if is_reaction and relation.get("event_id") == event_id:
            found.append((UserId(event["sender"]), str(relation.get("key", ""))))
    return found


def fold(raw: Iterable[dict[str, Any]]) -> list[TimelineEvent]:
    """The messages among raw events, in the same order, each with its edits applied.

    Redacted messages are left out.
    """
    events: dict[EventId, TimelineEvent] = {}
    for event in raw:
        content = fields.fields(event, "content")
        if event.get("type") != "m.room.message" or not content:
            continue
        relation = fields.fields(content, "m.relates_to")
        edited = events.get(fields.event_id(relation, "event_id") or EventId(""))
        if relation.get("rel_type") == "m.replace" and edited is not None:
            if edited.sender == event["sender"]:
                events[edited.event_id] = _edited(edited, event)
            continue
        events[event["event_id"]] = TimelineEvent(
            event_id=event["event_id"],
            sender=event["sender"],
            type=event["type"],
            body=str(content.get("body", "")),
            content=content,
            sent_at_ms=event.get("origin_server_ts", 0),
            in_reply_to=fields.event_id(fields.fields(relation, "m.in_reply_to"), "event_id"),
        )
    return list(events.values())


def _edited(event: TimelineEvent, edit: dict[str, Any]) -> TimelineEvent:
    new = fields.fields(edit, "content", "m.new_content")
    return TimelineEvent(
        event_id=event.event_id,
        sender=event.sender,
        type=event.type,
        body=str(new.get("body", "")),
        content={**event.content, **new},
        sent_at_ms=event.sent_at_ms,
        in_reply_to=event.in_reply_to,
        edits=event.edits + 1,
    )


def _must_be_read(timeline: Json) -> bool:
    """Whether all events of a room must be read again, given its timeline in a sync response.

    This is so if the response leaves out new events, or if a redaction has removed the content of
    an earlier event.
    """
    events = fields.objects(timeline, "events")
    return bool(timeline.get("limited")) or any(e["type"] == "m.room.redaction" for e in events)


def _is_space(invite: Json) -> bool:
    """Whether an invite of a sync response is to a Space."""
    events = fields.fields(invite, "invite_state").get("events", [])
    kinds = [e["content"].get("type") for e in events if e["type"] == "m.room.create"]
    return kinds == ["m.space"]


def with_new(events: list[Json], new: Iterable[Json]) -> list[Json]:
    """Return ``events``, followed by those of ``new`` whose id is not among them."""
    known = {event["event_id"] for event in events}
    return [*events, *(event for event in new if event["event_id"] not in known)]


def _predicate(expected: Expected) -> Callable[[TimelineEvent], bool]:
    if callable(expected):
        return expected
    pattern = re.compile(expected, re.DOTALL)
    return lambda event: pattern.search(event.body) is not None


def _room(room_id: RoomId, *rest: str) -> str:
    return "/rooms/" + "/".join(quote(part, safe="") for part in (room_id, *rest))
