"""The testing kit: a real homeserver, people on it, and a bot process that can be killed."""

from strandline.testing.bot import BotProcess
from strandline.testing.homeserver import Credentials, Synapse
from strandline.testing.person import Person, TimelineEvent

__all__ = ["BotProcess", "Credentials", "Person", "Synapse", "TimelineEvent"]
