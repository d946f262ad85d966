"""How a person causes what Strandline's own flows declare, and what nobody can cause."""

import os
from typing import Any

from durable.flows.chats.flow import Chats
from durable.flows.language import Language
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from ephemeral.flows.confirmation import Confirmation
from ephemeral.flows.held_messages import Held
from ephemeral.flows.load_selection import LoadSelection
from ephemeral.flows.staged_files import Staging
from fsm import Event, Flow, State
from strandline.flows.service import Service
from strandline.testing import Walker
from strandline.testing.walking import Cause, Without
from tests.crash.walks.refusals import REFUSED

TWO_AGENTS = {
    "agents": [
        {"id": "agent-1", "name": "First agent", "kind": "echo"},
        {"id": "agent-2", "name": "Second agent", "kind": "echo"},
    ]
}


async def answers_the_oldest(walker: Walker) -> None:
    await walker.reacts("❌", which=0)


async def reacts_to_the_list(walker: Walker) -> None:
    await walker.reacts("✅")


async def sends_too_large_a_file(walker: Walker) -> None:
    await walker.sends_file("large.bin", b"\0" * 2_000)


async def invites_to_another_room(walker: Walker) -> None:
    await walker.person.create_room(invite=[walker.bot])


async def is_a_guest(walker: Walker) -> None:
    """In somebody else's room: the bot has not met the walker."""
    host = await walker.has_friend()
    walker.room = await host.create_room(invite=[walker.bot, walker.person.user_id])
    await walker.joined_by_bot()
    await walker.person.join(walker.room)


async def asks_for_a_refused_room(walker: Walker) -> None:
    """What is refused stays in the plan: the flow does not leave its state by itself."""
    refused = sum(move.by == "not_made" for move in walker.moves)
    name = f"{REFUSED} {walker.person.localpart} {len(walker.happened)}"
    await walker.says(f"!new {name}")
    await walker.transitions.until(
        lambda: sum(move.by == "not_made" for move in walker.moves) > refused, 10
    )


async def may_rename(walker: Walker) -> None:
    await _renames(walker, level=50)


async def may_not_rename(walker: Walker) -> None:
    await _renames(walker, level=0)


async def _renames(walker: Walker, *, level: int) -> None:
    """With a bot that has these rights in the room."""
    room = await walker.at_home()
    levels = await walker.person.state(room, "m.room.power_levels")
    users = levels["users"] | {walker.bot: level}
    await walker.person.set_state(room, "m.room.power_levels", levels | {"users": users})
    await walker.says("!rename Another name")


async def hears_somebody_else(walker: Walker) -> None:
    friend = await walker.has_company()
    assert walker.room is not None
    walker.happened.append(await friend.say(walker.room, "Lovely weather."))


async def hears_a_strangers_command(walker: Walker) -> None:
    friend = await walker.has_company()
    assert walker.room is not None
    walker.happened.append(await friend.say(walker.room, "!archive"))


async def retries_what_was_never_asked(walker: Walker) -> None:
    if walker.here.state != "bound":
        await walker.says("!retry")
        return
    friend = await walker.has_company()
    assert walker.room is not None
    walker.happened.append(await friend.say(walker.room, "!retry"))


async def sends_what_nobody_can_read(walker: Walker) -> None:
    content = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "ciphertext": "AwgAEnACgAkLmt6qF84IK",
        "session_id": "unknown",
        "sender_key": "unknown",
        "device_id": "UNKNOWN",
    }
    room = await walker.at_home()
    walker.happened.append(await walker.person.send(room, "m.room.encrypted", content))


async def is_onboarded(walker: Walker) -> None:
    """Invited for the first time: a Space is asked for, and refused."""
    await walker.invites()
    await has_moved(walker, "not_made")


async def has_a_space(walker: Walker) -> None:
    """The Space that was refused is asked for again, and made, with a first chat in it."""
    await is_onboarded(walker)
    await walker.says("!repair")
    await has_moved(walker, "last_chat_made")


async def has_moved(walker: Walker, by: str) -> None:
    """Wait until the flow has taken a step by this event."""
    await walker.transitions.until(lambda: any(move.by == by for move in walker.moves), 30)


def settings(flow: type[Flow]) -> dict[str, Any]:
    """What ``kill_everywhere`` is told of one of the flows."""
    walks_all = os.environ.get("STRANDLINE_WALKS") == "all"
    return {**SETTINGS[flow], "length": LENGTHS[flow] if walks_all else 1}


def pairs(state: State, *events: Event, why: str) -> Without:
    return {(state, event): why for event in events}


def _except(flow: type[Flow], state: State, *walked: Event, why: str) -> Without:
    """All events from a state but these."""
    others = (e for e in flow.events.values() if state in e.sources and e not in walked)
    return pairs(state, *others, why=why)


FORGOTTEN = "!forget-me deletes the record, in a turn of the flow Chats"

NO_SPACE = "rooms.onboarding is none here, so no Space is made"

ONE_AGENT: dict[str, Any] = {
    "config": {"rooms": {"respond_to": "everyone"}},
    "first": [is_a_guest],
    "length": 1,
    "inputs": {
        UserRouting.met_with_one_agent: invites_to_another_room,
        UserRouting.met_again: invites_to_another_room,
        UserRouting.choice: "1",
    },
    "without": {
        UserRouting.undecided: "there is one agent here, and nothing to decide",
        UserRouting.met: "there is one agent here",
        UserRouting.forget: FORGOTTEN,
    },
}
"""How ``UserRouting`` is walked where there is one agent."""

WITH_A_SPACE: dict[str, Any] = {
    "config": {"rooms": {"onboarding": "space"}},
    "length": 1,
    "inputs": {
        (Chats.idle, Chats.onboard): is_onboarded,
        (Chats.making_space, Chats.onboard): invites_to_another_room,
        (Chats.idle, Chats.make_space): is_onboarded,
        (Chats.making_space, Chats.make_space): "!new",
        (Chats.idle, Chats.welcome): (has_a_space, invites_to_another_room),
        Chats.space_made: "!repair",
    },
    "without": {
        **{
            event: "walked where no Space is made"
            for event in Chats.events.values()
            if event
            not in (
                Chats.onboard,
                Chats.welcome,
                Chats.make_space,
                Chats.space_made,
            )
        },
        (Chats.idle, Chats.make_chat): "its Space is made first",
        Chats.making_chat: "walked where no Space is made",
        (Chats.making_space, Chats.welcome): "who has no Space yet is not welcomed back",
    },
}
"""How ``Chats`` is walked where each user gets a Space."""

LENGTHS: dict[type[Flow], int] = {
    Confirmation: 3,
    LoadSelection: 3,
    Staging: 2,
    Held: 3,
    Language: 3,
    UserRouting: 2,
    Chats: 2,
    RoomRouting: 3,
    Service: 2,
}
"""How many steps a path has where all are walked; less in a test run that shall not take long."""


FORGET: tuple[Cause, ...] = ("!forget-me", "!yes")

SETTINGS: dict[type[Flow], dict[str, Any]] = {
    Confirmation: {
        "first": ["hello"],
        "inputs": {
            Confirmation.ask: "!archive",
            (Confirmation.idle, Confirmation.answer_late): ("!archive", "!no", answers_the_oldest),
            (Confirmation.awaiting, Confirmation.answer_late): ("!archive", answers_the_oldest),
            Confirmation.cancel: "!cancel",
            Confirmation.cancel_nothing: "!cancel",
        },
    },
    LoadSelection: {
        "first": ["hello", "!archive", "!yes"],
        "inputs": {
            LoadSelection.offer: "!load",
            LoadSelection.choice: ["1", reacts_to_the_list],
            LoadSelection.miss: "99",
            (LoadSelection.idle, LoadSelection.answer_late): ("!load", "!no", answers_the_oldest),
            (LoadSelection.choosing, LoadSelection.answer_late): ("!load", answers_the_oldest),
            LoadSelection.cancel: "!cancel",
            LoadSelection.cancel_nothing: "!cancel",
        },
    },
    Staging: {
        "config": {"files": {"most_bytes_each": 1_000, "most_bytes": 5_000}},
        "inputs": {
            Staging.refuse: sends_too_large_a_file,
            Staging.clear: "clear",
            Staging.drop: (Walker.sends_file, "!files drop 1"),
            Staging.misuse: "drop everything",
            Staging.take_back: (Walker.sends_file, Walker.takes_back),
            Staging.cancel: "!cancel",
            Staging.cancel_nothing: "!cancel",
        },
    },
    Held: {
        "config": TWO_AGENTS,
        "inputs": {
            Held.hold: "Is this on?",
            Held.release: "!agent 1",
            Held.release_nothing: "!agent 1",
            Held.take_back: ("And this?", Walker.takes_back),
            Held.cancel: "!cancel",
            Held.cancel_nothing: "!cancel",
        },
    },
    Language: {
        "inputs": {
            Language.choice: ["ru", "English"],
            Language.misname: "Klingon",
            Language.forget: FORGET,
        },
    },
    UserRouting: {
        "config": {**TWO_AGENTS, "rooms": {"respond_to": "everyone"}},
        "first": [is_a_guest],
        "inputs": {
            UserRouting.met: invites_to_another_room,
            UserRouting.met_again: invites_to_another_room,
            UserRouting.choice: "2",
        },
        "without": {
            UserRouting.met_with_one_agent: "there are two agents here",
            UserRouting.forget: FORGOTTEN,
        },
    },
    Chats: {
        "first": ["hello"],
        "inputs": {
            Chats.make_chat: asks_for_a_refused_room,
            Chats.not_made: asks_for_a_refused_room,
            Chats.last_chat_made: "!repair",
            Chats.made: "!new",
            Chats.load: ("!archive", "!yes", "!load 1"),
            Chats.forget: FORGET,
        },
        "without": {
            Chats.making_space: NO_SPACE,
            Chats.make_space: NO_SPACE,
            Chats.onboard: NO_SPACE,
            Chats.welcome: NO_SPACE,
            Chats.not_invited: "whom the bot may not invite is in the room, or nobody lets it",
            (Chats.idle, Chats.made): "every room that is made here was asked for",
        },
    },
    RoomRouting: {
        "config": TWO_AGENTS,
        "inputs": {
            RoomRouting.move: Walker.replaces_room,
            RoomRouting.overhear: hears_somebody_else,
            RoomRouting.bind: ("!agent 1", "hello"),
            RoomRouting.agent_chosen: "!agent 2",
            RoomRouting.rename: "Another name",
            RoomRouting.renamed: may_rename,
            RoomRouting.not_renamed: may_not_rename,
            RoomRouting.ask_rebind: "2",
            RoomRouting.rebind: ("!rebind 2", "!yes"),
            RoomRouting.archive: ("!archive", "!yes"),
            RoomRouting.refuse: hears_a_strangers_command,
            RoomRouting.explain: "!archive",
            RoomRouting.retry_nothing: retries_what_was_never_asked,
        },
        "without": {
            **_except(
                RoomRouting,
                RoomRouting.idle,
                RoomRouting.invited,
                why="the bot is not in the room",
            ),
            **_except(
                RoomRouting,
                RoomRouting.gone,
                RoomRouting.revived,
                why="the bot is not in the room",
            ),
            RoomRouting.declined: "the bot is in the room already",
            RoomRouting.invited_again: "the bot is in the room already",
            RoomRouting.joined: "it comes with the invite, in a turn of its own",
            RoomRouting.forget: FORGOTTEN,
            RoomRouting.settle_space: NO_SPACE,
            RoomRouting.settle_bound: "rooms that the bot makes are not the walkers'",
            RoomRouting.settle: "rooms that the bot makes are not the walkers'",
            RoomRouting.archive_too_late: "its question dies with what it asks about",
            RoomRouting.rebind_too_late: "its question dies with what it asks about",
            RoomRouting.space: NO_SPACE,
            (RoomRouting.bound, RoomRouting.left): "what is bound is lost, not left",
            (RoomRouting.archived, RoomRouting.left): "what is bound is lost, not left",
            (RoomRouting.bound, RoomRouting.explain): "a bound room has a chat",
            **pairs(
                RoomRouting.unbound,
                RoomRouting.lost,
                RoomRouting.rename,
                RoomRouting.renamed,
                RoomRouting.not_renamed,
                RoomRouting.ask_archive,
                RoomRouting.archive,
                RoomRouting.ask_rebind,
                RoomRouting.rebind,
                RoomRouting.refuse,
                why="a room of an invite has no chat before it is bound",
            ),
        },
    },
    Service: {
        "inputs": {
            Service.cancelled: ("!forget-me", "!cancel"),
            Service.cancelled_nothing: "!cancel",
            Service.fail_to_read: sends_what_nobody_can_read,
        },
    },
}
