"""Each of Strandline's own flows lives through a kill at the end of every path."""

from durable.chats import Chats
from durable.language import Language
from durable.room_routing import RoomRouting
from durable.user_routing import UserRouting
from ephemeral.confirmation import Confirmation
from ephemeral.held import Held
from ephemeral.load_selection import LoadSelection
from ephemeral.staging import Staging
from strandline.service import Service
from strandline.testing import kill_everywhere
from tests.walks.own_flows import settings

test_confirmation_survives = kill_everywhere(Confirmation, **settings(Confirmation))
test_load_selection_survives = kill_everywhere(LoadSelection, **settings(LoadSelection))
test_staging_survives = kill_everywhere(Staging, **settings(Staging))
test_held_survives = kill_everywhere(Held, **settings(Held))
test_language_survives = kill_everywhere(Language, **settings(Language))
test_user_routing_survives = kill_everywhere(UserRouting, **settings(UserRouting))
test_chats_survive = kill_everywhere(Chats, **settings(Chats))
test_room_routing_survives = kill_everywhere(RoomRouting, **settings(RoomRouting))
test_service_survives = kill_everywhere(Service, **settings(Service))
