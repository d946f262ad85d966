"""The testing kit: a real homeserver, people on it, and a bot process that can be killed."""

from strandline.testing.bot import BotProcess
from strandline.testing.homeserver import Credentials, Synapse
from strandline.testing.person import Person, TimelineEvent
from strandline.testing.rehearsal import ALICE, BOB, CAROL, ROOM, Rehearsal

__all__ = [
    "ALICE",
    "BOB",
    "CAROL",
    "ROOM",
    "BotProcess",
    "Credentials",
    "Person",
    "Rehearsal",
    "Synapse",
    "TimelineEvent",
]
