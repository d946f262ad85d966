"""An approval: what somebody wants to do is approved by two others, within a day.

    !request Deploy release 2.0
    !withdraw   take the request back; only who made it can

A restart keeps the request, who has approved it and until when: also a request that was due while
the bot was down is closed, just once. There is nothing to forget.
"""

from attrs import evolve, frozen

from strandline import STAY, Event, Flow, Scope, State, Turn, as_typed, durable, hours, on

APPROVALS = 2


@frozen
class Request:
    """What somebody wants to do, and who has approved it so far."""

    id: str
    """Of the message that began it: the question that people answer carries it, too."""
    asker: str
    what: str
    approved_by: tuple[str, ...] = ()


class Approval(Flow):
    """The one request that a room decides at a time."""

    scope = Scope.ROOM

    idle = State(initial=True)
    waiting = State(durable, record=Request, expires=hours(24))

    request = Event(
        idle,
        waiting,
        command="request",
        help="have two others approve something",
        arguments="WHAT",
    )
    misuse = Event(idle, STAY, command="request")
    request_another = Event(waiting, STAY, command="request")
    approve_last = Event(waiting, idle, reaction="✅")
    approve = Event(waiting, STAY, reaction="✅")
    reject = Event(waiting, idle, reaction="❌")
    withdraw = Event(waiting, idle, command="withdraw")
    lapse = Event(waiting, idle, on_expiry=True)

    @request.guard
    def says_what(self, turn: Turn) -> bool:
        """There is something to approve."""
        return bool(turn.argument)

    @reject.guard
    def may_decide(self, turn: Turn) -> bool:
        """It is about this request, not an older one, and somebody else's."""
        request: Request = turn.data
        is_this = turn.question_ref is not None and turn.question_ref.id == request.id
        return is_this and turn.sender != request.asker

    @approve.guard
    def may_approve(self, turn: Turn) -> bool:
        """They have not approved it yet."""
        return self.may_decide(turn) and turn.sender not in turn.data.approved_by

    @approve_last.guard
    def is_the_last(self, turn: Turn) -> bool:
        """Nobody else's approval is missing."""
        return self.may_approve(turn) and len(turn.data.approved_by) + 1 == APPROVALS

    @withdraw.guard
    def is_the_asker(self, turn: Turn) -> bool:
        """Only they withdraw it."""
        request: Request = turn.data
        return turn.sender == request.asker

    @on(request)
    def ask(self, turn: Turn) -> Request:
        """Put it to everybody in the room."""
        turn.ask_back(
            f"{turn.sender} asks for approval: **{as_typed(turn.argument)}**\n\n"
            f"{APPROVALS} others put ✅ on this message within a day, or one puts ❌.",
            anyone=True,
        )
        return Request(turn.inbound.event_id, turn.sender, turn.argument)

    @on(misuse)
    def show_how(self, turn: Turn) -> None:
        """Nothing is asked for."""
        turn.reply(f"Say what: `{turn.prefix}request Deploy release 2.0`")

    @on(request_another)
    def decline(self, turn: Turn, request: Request) -> None:
        """One at a time."""
        turn.reply(f"{request.asker} still waits for approval of this: {as_typed(request.what)}")

    @on(approve)
    def go_on(self, turn: Turn, request: Request) -> Request:
        """The first of two."""
        turn.say(f"{turn.sender} approves. Who else?")
        return evolve(request, approved_by=(*request.approved_by, turn.sender))

    @on(approve_last)
    def grant(self, turn: Turn, request: Request) -> None:
        """Two others want it, too."""
        people = " and ".join((*request.approved_by, turn.sender))
        turn.say(f"**Approved** by {people}: {as_typed(request.what)}")

    @on(reject)
    def refuse(self, turn: Turn, request: Request) -> None:
        """One does not."""
        turn.say(f"**Rejected** by {turn.sender}: {as_typed(request.what)}")

    @on(withdraw, lapse)
    def close(self, turn: Turn, request: Request) -> None:
        """The asker has thought better of it, or the day is over."""
        turn.say(f"Closed without approval: {as_typed(request.what)}")
