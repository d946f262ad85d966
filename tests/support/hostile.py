"""Hostile people: they send what nobody should, to a whole bot, through a real homeserver.

What they do follows from a seed. What the homeserver refuses never reaches a bot, and is counted
apart.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp
from attrs import define, field

from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing import Person
from strandline.testing.errors import KitError
from tests.support.encrypted import EncryptedPerson
from tests.support.fakes.homeserver import BOT
from tests.support.mutations import EVENTS, TO_DEVICE, anything, mutated, said
from tests.support.sync_answers import ALICE, ROOM, Json

COMMANDS = (
    *("help", "agents", "agent", "status", "yes", "no", "cancel", "new", "chats", "rename"),
    *("archive", "load", "rebind", "repair", "forget-me", "retry", "stop", "files", "language"),
    *("", "!", "nothing", "ｈｅｌｐ", "HELP\u200b", "help\x00"),
)

ARGUMENTS = (
    *("", "1", "0", "-1", "C1", "agent-1", "agent-2", "ru", "xx", "9" * 5_000, "٣", "1e9", "٣٤٥"),
    *(
        "[x](http://evil.example)",
        "<b>",
        "`" * 300,
        "*" * 20_000,
        "\u202e\u2066",
        "\x1b[2J\x00\x07",
    ),
    *(
        "é" * 9_000,
        "\U0001f4a9" * 50,
        "%s %n {0} {name}",
        "../../..",
        "' OR 1=1 --",
        "\n" * 500,
        "@room",
    ),
)

TEXTS = (
    "x" * 60_000,
    "> " * 20_000,
    "[" * 10_000 + "](" * 5_000,
    "> <@a:b> x\n" * 3_000,
    "```" * 5_000,
    "- " * 3_000 + "x",
    "|" * 10_000 + "\n" + "|-" * 5_000,
    "&#x0;&#xD800;&#99999999;",
    "http://" + "a." * 10_000,
    " ",
    "\x00",
)

ODD_TYPES = (
    *(
        "m.sticker",
        "m.poll.start",
        "org.matrix.msc3381.poll.start",
        "m.poll.response",
        "m.poll.end",
    ),
    *("m.location", "m.call.invite", "m.room.redaction", "m.key.verification.start", "m.beacon"),
    *(
        "m.room.message",
        "m.reaction",
        "m.room.encrypted",
        "m.room.tombstone",
        "org.x",
        "strandline",
    ),
    *("m.room.member", "m.room.create", "org.strandline.turn", "x" * 255),
)

STATE_TYPES = (
    *("m.room.name", "m.room.topic", "m.room.avatar", "m.room.canonical_alias", "m.room.tombstone"),
    *(
        "m.room.encryption",
        "m.room.history_visibility",
        "m.room.join_rules",
        "m.room.pinned_events",
    ),
    *("m.room.server_acl", "m.room.guest_access", "m.space.child", "m.space.parent", "org.x"),
    *("m.room.message", "m.room.encrypted", "m.reaction", "m.room.third_party_invite"),
    *("m.room.power_levels", "m.room.member"),
)

MSGTYPES = (
    *("m.text", "m.emote", "m.notice", "m.file", "m.image", "m.audio", "m.video", "m.location"),
    *("m.key.verification.request", "m.server_notice", "org.x", ""),
)

ROOM_VERSIONS = ("1", "5", "6", "10", "11", "12")
"""Below version 6 a homeserver takes numbers that are none in canonical JSON."""


@define(eq=False)
class Place:
    """A room in which hostile events are sent.

    Args:
        known: Events of the room, the newest last: hostile events are about them.
        is_sealed: What is said there is encrypted.
        forbidden: How often something was forbidden there; beyond a bound nothing more is tried.
    """

    room_id: RoomId
    forbidden: int = 0
    known: list[EventId] = field(factory=list)
    is_sealed: bool = False


@define(eq=False)
class Hostile:
    """Somebody who sends hostile events.

    Args:
        person: The account.
        bot: Whom it is about.
        places: The rooms where it happens.
        encrypting: The account's encrypting client, where there is one.
        refused: What the homeserver refused, by its status.
        sent: What it took, by what it was.
    """

    person: Person
    bot: UserId
    bot_device: str
    places: list[Place]
    encrypting: EncryptedPerson | None = None
    refused: Counter[str] = field(factory=Counter)
    sent: Counter[str] = field(factory=Counter)

    async def strike(self, random: Random, place: Place | None = None) -> bool:
        """Send one hostile event, or do one hostile thing; whether the homeserver took it."""
        if place is None and not self._open():
            await self.new_room()
        place = place or random.choice(self._open())
        act = random.choices(*_acts(place))[0]
        try:
            await act(self, place, random)
        except (KitError, aiohttp.ClientError, ValueError) as error:
            status = _status(error)
            self.refused[status] += 1
            place.forbidden += status == "403"
            return False
        self.sent[act.__name__] += 1
        return True

    def _open(self) -> list[Place]:
        return [place for place in self.places if place.forbidden < MOST_FORBIDDEN]

    async def mutation(self, place: Place, random: Random) -> None:
        """An event of a kind that the bot reads, with some of its parts replaced."""
        raw = self.placed(random.choice(EVENTS), place, random)
        content = mutated(raw["content"], random, times=random.choice((1, 1, 2, 3)))
        if "state_key" in raw:
            await self._set(place, raw["type"], raw["state_key"], content)
        else:
            await self._send(place, raw["type"], content)

    async def sealed(self, place: Place, random: Random) -> None:
        """The same under the seal, where the homeserver can't look."""
        assert self.encrypting is not None
        raw = self.placed(random.choice(EVENTS), place, random)
        clear: Json = {key: raw[key] for key in ("type", "content")} | {"room_id": place.room_id}
        text = json.dumps(mutated(clear, random, times=random.choice((1, 2, 3))))
        odd = ("[" * 20_000, "1" * 5_000, "null", "", '{"a":' * 3_000, "\x00")
        text = random.choice(odd) if random.random() < 0.05 else text
        content = self.encrypting.sealed(place.room_id, text)
        if random.random() < 0.2:
            content = mutated(content, random)
        elif "m.relates_to" in raw["content"]:
            content["m.relates_to"] = raw["content"]["m.relates_to"]
        await self._send(place, "m.room.encrypted", content)

    async def command(self, place: Place, random: Random) -> None:
        """A command with an argument that makes no sense."""
        words = [random.choice(ARGUMENTS) for _ in range(random.choice((0, 1, 1, 2)))]
        body = " ".join([f"!{random.choice(COMMANDS)}", *words])
        await self._send(place, "m.room.message", {"msgtype": "m.text", "body": body})

    async def text(self, place: Place, random: Random) -> None:
        """A text that is hard to read, perhaps in a thread of nothing."""
        body = random.choice((*TEXTS, *ARGUMENTS))
        content: Json = {"msgtype": random.choice(MSGTYPES), "body": body}
        if random.random() < 0.3:
            content |= {"format": "org.matrix.custom.html", "formatted_body": body}
        about = random.choice(
            (*place.known[-5:], "$" + "x" * 254, "$" + "x" * 20_000, "", "..", {})
        )
        relation: Json = {"rel_type": random.choice(("m.thread", "m.replace", "m.reference", []))}
        relation |= {"event_id": about, "m.in_reply_to": {"event_id": about}}
        if random.random() < 0.5:
            content["m.relates_to"] = relation
        await self._send(place, "m.room.message", content)

    async def odd(self, place: Place, random: Random) -> None:
        """An event of a kind that the bot does not read, or that is no such event."""
        content = mutated({"body": "x", "msgtype": "m.text", "m.relates_to": {}}, random, times=2)
        content = content if isinstance(content, dict) else {"body": content}
        await self._send(place, random.choice(ODD_TYPES), content)

    async def garbage(self, place: Place, random: Random) -> None:
        """What nobody can decrypt."""
        content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "device_id": "D"}
        ids = {"session_id": f"s{random.random()}", "sender_key": "k" * 43}
        await self._send(place, "m.room.encrypted", content | ids)

    async def reaction(self, place: Place, random: Random) -> None:
        """A reaction to something, with something."""
        key = random.choice(
            ("✅", "❌", "👍🏿", "🛑", "🛑" * 40, "x" * 20_000, "", anything(random))
        )
        about = random.choice((*place.known[-20:], "$nothing"))
        relation = {"rel_type": "m.annotation", "event_id": about, "key": key}
        await self._send(place, "m.reaction", {"m.relates_to": relation})

    async def edit(self, place: Place, random: Random) -> None:
        """An edit of something, perhaps of the bot's."""
        new: Any = {"msgtype": "m.text", "body": random.choice((*TEXTS, "!help", "edited"))}
        new = mutated(new, random) if random.random() < 0.5 else new
        relation = {"rel_type": "m.replace", "event_id": random.choice((*place.known, "$nothing"))}
        body = {"msgtype": "m.text", "body": "* x", "m.new_content": new, "m.relates_to": relation}
        await self._send(place, "m.room.message", body)

    async def redaction(self, place: Place, random: Random) -> None:
        """Something is taken back."""
        about = random.choice((*place.known, "$nothing"))
        path = f"/rooms/{quote(place.room_id)}/redact/{quote(about)}/r{random.random()}"
        await self.person.request("PUT", path, {"reason": anything(random)})

    async def state(self, place: Place, random: Random) -> None:
        """A piece of the room's state is set to anything."""
        kind = random.choice(STATE_TYPES)
        usual: Json = {"name": "x", "topic": "y", "algorithm": "m.megolm.v1.aes-sha2", "via": ["z"]}
        usual |= {"replacement_room": random.choice(self.places).room_id, "membership": "join"}
        users = {self.bot: random.choice((0, 0, -1, 100)), self.person.user_id: 100}
        usual |= {"users": users} if kind == "m.room.power_levels" else {}
        key = random.choice(("", "", self.person.user_id, "@x:y", "\x00", "x" * 300))
        await self._set(place, kind, key, mutated(usual, random, times=random.choice((0, 1, 2))))

    async def profile(self, place: Place, random: Random) -> None:
        """Another name, in all rooms or in one."""
        name = random.choice((*ARGUMENTS, *TEXTS))[:250]
        path = f"/profile/{quote(self.person.user_id)}/displayname"
        if random.random() < 0.3:
            await self.person.request("PUT", path, {"displayname": name})
            return
        content = {"membership": "join", "displayname": name, "avatar_url": anything(random)}
        await self._set(place, "m.room.member", self.person.user_id, content)

    async def storm(self, place: Place, random: Random) -> None:
        """Leave and come again, some times."""
        for _ in range(random.choice((1, 3))):
            await self.person.leave(place.room_id)
            with suppress(KitError):
                await self.person.join(place.room_id)

    async def bots_membership(self, place: Place, random: Random) -> None:
        """The bot is thrown out, or called in again."""
        deed = random.choice(("kick", "ban", "unban", "invite", "invite"))
        body = {"user_id": self.bot, "reason": anything(random)}
        try:
            await self.person.request("POST", f"/rooms/{quote(place.room_id)}/{deed}", body)
        finally:
            with suppress(KitError):
                await self.person.request("POST", f"/rooms/{quote(place.room_id)}/unban", body)
            with suppress(KitError):
                await self.person.invite(place.room_id, self.bot)

    async def room(self, place: Place, random: Random) -> None:
        """The bot is invited to a room that is strange from its beginning."""
        del place
        version = random.choice(ROOM_VERSIONS)
        other = random.choice(self.places).room_id
        predecessor = {"room_id": other, "event_id": "$x"}
        creation = mutated({"type": "m.space", "predecessor": predecessor}, random)
        names = {"name": random.choice(ARGUMENTS)[:250], "topic": random.choice(ARGUMENTS)[:250]}
        alias = f"odd_{random.randrange(10**9)}" + random.choice(("", "é", "\u202e", "."))
        kinds = random.sample(STATE_TYPES[:12], 2)
        state = [
            {"type": k, "state_key": "", "content": mutated({"name": 1}, random)} for k in kinds
        ]
        body = {
            "room_version": version,
            "preset": "trusted_private_chat",
            "is_direct": True,
        } | names
        body |= {"creation_content": creation} if random.random() < 0.5 else {}
        body |= {"initial_state": state} if random.random() < 0.3 else {}
        body |= {"room_alias_name": alias} if random.random() < 0.3 else {}
        await self.new_room(**body)

    async def new_room(self, **body: Any) -> RoomId:
        """A room that anybody may enter, with the bot invited; one of those made before is left."""
        body = {"preset": "public_chat", "room_version": OLDEST, "invite": [self.bot]} | body
        made = await self.person.request("POST", "/createRoom", body)
        room_id = RoomId(made["room_id"])
        lasting, passing = self.places[:LASTING], self.places[LASTING:]
        self.places = [*lasting, *passing[-MOST_PASSING:], Place(room_id)]
        return room_id

    async def to_device(self, place: Place, random: Random) -> None:
        """A message to the bot's device."""
        raw = self.placed(random.choice((*TO_DEVICE, *ODD_TO_DEVICE)), place, random)
        content = mutated(raw["content"], random, times=random.choice((0, 1, 2)))
        device = random.choice((self.bot_device, "*"))
        path = f"/sendToDevice/{quote(raw['type'])}/d{random.random()}"
        await self.person.request("PUT", path, {"messages": {self.bot: {device: content}}})

    async def keys(self, place: Place, random: Random) -> None:
        """Device keys that are none, for somebody who is in rooms with the bot."""
        del place
        key = random.choice(
            ("A" * 42 + "==", "A" * 43, "A" * 44, "A" * 42 + "B", "", "é", "A" * 20_000)
        )
        await self.publish(self.person.credentials.device_id, key, random)

    async def publish(self, device: str, key: str, random: Random | None = None) -> None:
        """Publish this as the device's keys; something else in it may be anything."""
        user, signer = self.person.user_id, f"ed25519:{device}"
        signatures = {user: {signer: "A" * 86}}
        device_keys: Json = {
            "user_id": user,
            "device_id": device,
            "algorithms": ["m.megolm.v1.aes-sha2", "m.olm.v1.curve25519-aes-sha2"],
            "keys": {f"curve25519:{device}": key, signer: key},
            "signatures": signatures,
        }
        one_time_key = {"signed_curve25519:AAAA": {"key": key, "signatures": signatures}}
        body: Json = {"device_keys": device_keys, "one_time_keys": one_time_key}
        if random is not None and random.random() < 0.5:
            part = random.choice(("keys", "signatures"))
            device_keys[part] = mutated(device_keys[part], random)
        await self.person.request("POST", "/keys/upload", body)

    def placed(self, value: Any, place: Place, random: Random) -> Any:
        """The value with the names of this homeserver in it."""
        names = {
            "$q": random.choice((*place.known[-20:], "$q")),
            "$1": random.choice((*place.known, "$1")),
            ALICE: self.person.user_id,
            BOT: self.bot,
            ROOM: place.room_id,
            "!new": random.choice(self.places).room_id,
        }
        return _renamed(value, names)

    async def look(self) -> None:
        """See what was said last, by the bot too, to have something to be hostile about."""
        for place in self.places:
            with suppress(KitError, aiohttp.ClientError):
                path = f"/rooms/{quote(place.room_id)}/messages?dir=b&limit=30"
                page = await self.person.request("GET", path)
                place.known = [EventId(e["event_id"]) for e in page["chunk"]][::-1]

    async def _send(self, place: Place, kind: str, content: Any) -> None:
        event_id = await self.person.send(place.room_id, kind, content)
        place.known = [*place.known[-50:], event_id]

    async def _set(self, place: Place, kind: str, key: str, content: Any) -> None:
        await self.person.set_state(place.room_id, kind, content, key)


Act = Callable[[Hostile, Place, Random], Awaitable[None]]

LASTING = 3
"""The first of somebody's rooms are never left."""

MOST_PASSING = 3
"""So many of the others, and the last one made, are kept busy."""

MOST_FORBIDDEN = 8

OLDEST = "5"
"""The version of most rooms: a homeserver lets more through there."""

ODD_TO_DEVICE: tuple[Json, ...] = (
    {"type": "m.room_key", "content": {"algorithm": "x", "room_id": ROOM, "session_id": "s"}},
    {"type": "m.room_key.withheld", "content": {"room_id": ROOM, "session_id": "s", "code": "x"}},
    {"type": "m.forwarded_room_key", "content": {"room_id": ROOM, "sender_key": "k"}},
    {"type": "m.secret.request", "content": {"action": "request", "name": "x"}},
    {"type": "org.x", "content": {"body": "x"}},
    {"type": "m.room.message", "content": said({"body": "x"})["content"]},
)

_WEIGHTS: dict[Act, int] = {
    Hostile.mutation: 30,
    Hostile.command: 12,
    Hostile.text: 8,
    Hostile.odd: 6,
    Hostile.garbage: 4,
    Hostile.reaction: 5,
    Hostile.edit: 6,
    Hostile.redaction: 3,
    Hostile.state: 6,
    Hostile.profile: 3,
    Hostile.storm: 1,
    Hostile.bots_membership: 1,
    Hostile.room: 2,
    Hostile.to_device: 8,
    Hostile.keys: 3,
}


def _acts(place: Place) -> tuple[list[Act], list[int]]:
    weights = {**_WEIGHTS, Hostile.sealed: 200} if place.is_sealed else _WEIGHTS
    return list(weights), list(weights.values())


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(k, k): _renamed(inner, names) for k, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def _status(error: Exception) -> str:
    """The HTTP status in what the kit says of a refusal."""
    words = str(error).partition(": ")[2].split(" ")
    return words[0] if isinstance(error, KitError) else type(error).__name__
