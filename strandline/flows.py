"""The bot's own flows."""

from durable.flows.chats.flow import Chats
from durable.flows.language import Language
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from ephemeral.confirmation import Confirmation
from ephemeral.held import Held
from ephemeral.load_selection import LoadSelection
from ephemeral.staging import Staging
from fsm import Flow
from strandline.service import Service

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
