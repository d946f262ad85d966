"""The order of the built-in flows."""

from durable.flows.chats.flow import Chats
from durable.flows.language import Language
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from ephemeral.flows.confirmation import Confirmation
from ephemeral.flows.held_messages import Held
from ephemeral.flows.load_selection import LoadSelection
from ephemeral.flows.staged_files import Staging
from fsm import Flow
from strandline.flows.service import Service

FLOWS: tuple[type[Flow], ...] = (
    Confirmation,
    LoadSelection,
    Staging,
    Held,
    Language,
    UserRouting,
    Chats,
    RoomRouting,
    Service,
)
"""The bot's flows, in the order in which they are offered an event."""
