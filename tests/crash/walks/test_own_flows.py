"""Each of Strandline's own flows lives through a kill at the end of every path."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable.flows.chats.flow import Chats
from durable.flows.language import Language
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from ephemeral.flows.confirmation import Confirmation
from ephemeral.flows.held_messages import Held
from ephemeral.flows.load_selection import LoadSelection
from ephemeral.flows.staged_files import Staging
from strandline.flows.service import Service
from strandline.testing import Synapse, kill_everywhere
from tests.crash.walks.own_flows import ONE_AGENT, WITH_A_SPACE, settings

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def synapse() -> Iterator[Synapse]:
    """A homeserver that refuses some rooms, so that what waits for a room can be looked at."""
    module = {"module": "tests.crash.walks.refusals.RefusesOnce", "config": {}}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        with Synapse(overrides={"modules": [module]}) as homeserver:
            yield homeserver


test_confirmation_survives = kill_everywhere(Confirmation, **settings(Confirmation))
test_load_selection_survives = kill_everywhere(LoadSelection, **settings(LoadSelection))
test_staging_survives = kill_everywhere(Staging, **settings(Staging))
test_held_survives = kill_everywhere(Held, **settings(Held))
test_language_survives = kill_everywhere(Language, **settings(Language))
test_user_routing_survives = kill_everywhere(UserRouting, **settings(UserRouting))
test_user_routing_to_one_agent_survives = kill_everywhere(UserRouting, **ONE_AGENT)
test_chats_survive = kill_everywhere(Chats, **settings(Chats))
test_chats_in_a_space_survive = kill_everywhere(Chats, **WITH_A_SPACE)
test_room_routing_survives = kill_everywhere(RoomRouting, **settings(RoomRouting))
test_service_survives = kill_everywhere(Service, **settings(Service))
