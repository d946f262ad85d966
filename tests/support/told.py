"""Answers of a homeserver in which events happened, and one that gives them mutated."""

import json
from random import Random
from typing import Any

from attrs import define, field

from matrix.api.errors import Refused
from matrix.api.fields import decoded
from tests.support.fakes.homeserver import BOT
from tests.support.mutations import TO_DEVICE, mutated
from tests.support.sync_answers import ALICE, ROOM, Json, member


def sync_of(timeline: list[Json], random: Random) -> Json:
    """A sync response in which this and more happened."""
    timeline_part = {
        "events": timeline,
        "limited": random.random() < 0.5,
        "prev_batch": "p1",
    }
    room = {"timeline": timeline_part, "state": {"events": [member("join", "$j", before="invite")]}}
    invite = {
        "invite_state": {"events": [member("join", "$a", user=ALICE), member("invite", "$i")]}
    }
    left = {"timeline": {"events": [member("leave", "$l", before="join")]}, "state": {"events": []}}
    rooms = {"join": {ROOM: room}, "invite": {"!i": invite}, "leave": {"!l": left}}
    return {
        "next_batch": "s1",
        "rooms": rooms,
        "to_device": {"events": [random.choice(TO_DEVICE)]},
        "device_lists": {"changed": [ALICE, BOT], "left": ["@b:test"]},
        "device_one_time_keys_count": {"signed_curve25519": 50},
        "device_unused_fallback_key_types": ["signed_curve25519"],
    }


@define
class Told:
    """What stands in the place of HTTP: gives each request a mutated answer, through the wall."""

    random: Random = field(factory=lambda: Random(0))
    events: list[Json] = field(factory=list)
    sync: Json = field(factory=dict)
    url: str = "http://test"

    async def request(self, method: str, path: str, **_: Any) -> Json:
        """The answer to a request."""
        del method
        usual = self._usual(path)
        if self.random.random() < 0.02:
            raise Refused(404, "M_NOT_FOUND", "gone")
        times = self.random.choice((0, 1, 2))
        body = json.dumps(mutated(usual, self.random, times=times)).encode()
        return decoded(body) or {}

    def _usual(self, path: str) -> Json:
        devices = {"D": {"user_id": ALICE, "device_id": "D", "algorithms": [], "keys": {}}}
        answers: dict[str, Json] = {
            "/sync": self.sync,
            "/messages": {"chunk": self.events, "end": "t1"},
            "/event/": self.random.choice(self.events) if self.events else {},
            "/members": {"chunk": [member("join", "$1", user=ALICE)]},
            "/joined_members": {"joined": {ALICE: {}, BOT: {}}},
            "/keys/query": {"device_keys": {ALICE: devices}},
            "/keys/claim": {"one_time_keys": {ALICE: {"D": {"signed_curve25519:A": {"key": "k"}}}}},
            "/keys/upload": {"one_time_key_counts": {"signed_curve25519": 50}},
        }
        return next((answer for part, answer in answers.items() if part in path), {})
