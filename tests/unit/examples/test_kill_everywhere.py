"""Every way through every example, the bot killed at the end of each.

`make test` walks short ways, `make walks` all of them.
"""

import os
from collections.abc import Awaitable, Callable

import pytest

from examples.approval import Approval
from examples.form import Form
from examples.on_call import OnCall
from examples.poll import Poll
from strandline.testing import Walker, kill_everywhere

IS_FULL = os.environ.get("STRANDLINE_WALKS") == "all"

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]


def colleague_reacts(key: str) -> Callable[[Walker], Awaitable[None]]:
    """Have somebody else come into the room and put an emoji on the newest question."""

    async def react(walker: Walker) -> None:
        colleague = await walker.has_company()
        sent = await colleague.react(await walker.at_home(), await walker.question(), key)
        walker.happened.append(sent)

    return react


async def votes(walker: Walker) -> None:
    await walker.reacts("1️⃣")


test_the_form_survives = kill_everywhere(
    Form,
    inputs={
        Form.give_name: "Ada",
        Form.give_address: "ada@example.org",
        Form.no_address: "nowhere",
        Form.give_meal: "fish",
        Form.no_meal: "nothing",
        Form.sign_off: ("!signoff", "!yes"),
    },
    length=None if IS_FULL else 1,
)

test_the_duty_survives = kill_everywhere(
    OnCall,
    inputs={OnCall.accept: colleague_reacts("✅"), OnCall.end: ("!offcall", "!yes")},
    without={OnCall.accept_late: "it is about an offer that was open before; see test_on_call"},
    length=3 if IS_FULL else 1,
)

test_the_poll_survives = kill_everywhere(
    Poll,
    inputs={
        Poll.ask: "Shall we? Yes, no",
        Poll.misuse: "whatever",
        Poll.vote: votes,
        Poll.take_back: (votes, Walker.takes_back),
    },
    without={Poll.vote_late: "it is about a poll that was open before; see test_poll"},
    length=3 if IS_FULL else 1,
)

test_the_request_survives = kill_everywhere(
    Approval,
    inputs={
        Approval.request: "Go home",
        Approval.misuse: "!request",
        Approval.approve: colleague_reacts("✅"),
        Approval.approve_last: (colleague_reacts("✅"), colleague_reacts("✅")),
        Approval.reject: colleague_reacts("❌"),
    },
    length=2 if IS_FULL else 1,
)
