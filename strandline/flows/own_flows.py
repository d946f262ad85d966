"""Creates the built-in flows from the config."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from durable.flows.chats.flow import Chats
from durable.flows.language import Language
from durable.flows.room.actions import is_addressed
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from ephemeral.flows.confirmation import CancelConfirmation, Confirmation
from ephemeral.flows.held_messages import CancelHeld, Held
from ephemeral.flows.load_selection import CancelSelection, LoadSelection
from ephemeral.flows.staged_files import CancelStaged, StageLimits, Staging
from fsm import Flow, Registry
from strandline.authoring.naming import refuse_unanswered_signals
from strandline.config.model import Config, FilesSection
from strandline.flows.languages import LANGUAGES, translator_for
from strandline.flows.service import Service


def make_flows(
    config: Config, registry: Registry, started_at: datetime, *, further: Sequence[Flow] = ()
) -> list[Flow]:
    """Create all built-in flows, in the order of ``FLOWS``.

    Args:
        config: The operator's config.
        registry: The agents.
        started_at: When this process run started.
        further: The flows of installed distributions and the config. They are checked, and
            ``!help`` lists their commands. They are not in the result.

    Raises:
        UnansweredSignal: One of the further flows triggers a signal that no flow answers.
    """
    confirmation, respond_to = config.limits.confirmation, config.rooms.respond_to
    with_space = config.rooms.onboarding == "space"
    flows: list[Flow] = [
        Confirmation(lifetime=confirmation, started_at=started_at),
        LoadSelection(lifetime=confirmation, started_at=started_at),
        Staging(
            _stage_limits(config.files),
            started_at=started_at,
            is_addressed=lambda turn: is_addressed(turn, respond_to),
        ),
        Held(lifetime=config.limits.held),
        Language(LANGUAGES, translator=translator_for),
        UserRouting(registry),
        Chats(registry, with_space=with_space),
        RoomRouting(
            registry,
            is_allowed=config.is_allowed,
            respond_to=respond_to,
            onboarding=with_space,
        ),
    ]
    commands = [name for flow in (*further, *flows) for name in flow.commands()]
    service = Service(
        registry,
        commands=commands,
        further=[type(flow) for flow in further],
        cancellable=(CancelConfirmation(), CancelSelection(), CancelStaged(), CancelHeld()),
        started_at=started_at,
        is_addressed=lambda turn: is_addressed(turn, respond_to),
    )
    named = [type(flow) for flow in further]
    refuse_unanswered_signals(named, [*named, *(type(flow) for flow in (*flows, service))])
    return [*flows, service]


def _stage_limits(section: FilesSection) -> StageLimits:
    return StageLimits(
        most_files=section.most,
        most_bytes_each=section.most_bytes_each,
        most_bytes_in_all=section.most_bytes,
        lifetime=timedelta(seconds=section.wait_seconds),
    )
