"""The testing kit: a real homeserver, test users, and a bot process that can be killed.

Each public name is imported from its module at its first use. Where Strandline is installed, every
pytest run loads the kit's plugin, and most runs need none of these names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strandline.testing.bot import BotProcess
    from strandline.testing.conformance import AgentConformance
    from strandline.testing.errors import KitError, NotSeen, SynapseMissing
    from strandline.testing.homeserver import Credentials, Synapse
    from strandline.testing.person import Person, TimelineEvent
    from strandline.testing.rehearsal import ALICE, BOB, CAROL, ROOM, Rehearsal
    from strandline.testing.setup import BotSetup
    from strandline.testing.store import BotStore
    from strandline.testing.user import User
    from strandline.testing.walking import Walker, kill_everywhere

_HOMES = {
    "bot": ("BotProcess",),
    "setup": ("BotSetup",),
    "conformance": ("AgentConformance",),
    "errors": ("KitError", "NotSeen", "SynapseMissing"),
    "homeserver": ("Credentials", "Synapse"),
    "person": ("Person", "TimelineEvent"),
    "rehearsal": ("ALICE", "BOB", "CAROL", "ROOM", "Rehearsal"),
    "store": ("BotStore",),
    "user": ("User",),
    "walking": ("Walker", "kill_everywhere"),
}
"""For each module of this package, the public names that it defines."""

__all__ = [
    "ALICE",
    "BOB",
    "CAROL",
    "ROOM",
    "AgentConformance",
    "BotProcess",
    "BotSetup",
    "BotStore",
    "Credentials",
    "KitError",
    "NotSeen",
    "Person",
    "Rehearsal",
    "Synapse",
    "SynapseMissing",
    "TimelineEvent",
    "User",
    "Walker",
    "kill_everywhere",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
