"""A poll in a room: everybody votes with emoji, and takes a vote back by taking back the emoji.

    !poll Where do we eat? Pizza, soup, salad
    !close      see the result now, and not only after an hour

A restart forgets the poll and its votes: so little is soon asked again. Who votes on a forgotten
poll is told that it is over.
"""

from collections.abc import Mapping

from attrs import evolve, field, frozen

from strandline import (
    STAY,
    Event,
    EventId,
    EventKind,
    Flow,
    Scope,
    State,
    TransactionId,
    Turn,
    as_typed,
    ephemeral,
    hours,
    on,
)

EMOJI = ("1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣")


@frozen
class Ballot:
    """What people vote on, and their votes: each an emoji, by the event that put it there."""

    id: EventId
    """Of the message that began the poll: the question on which people vote carries it, too."""
    question: str
    choices: list[str]
    sent_as: TransactionId | None = None
    votes: Mapping[EventId, str] = field(factory=dict)

    def __str__(self) -> str:
        cast = list(self.votes.values())
        counts = zip(EMOJI, self.choices, strict=False)
        lines = [f"{emoji} {as_typed(choice)}: {cast.count(emoji)}" for emoji, choice in counts]
        return "  \n".join([as_typed(self.question), *lines])


def ballot_in(turn: Turn) -> Ballot:
    """What a command asks: a question up to its question mark, then choices between commas."""
    question, mark, rest = turn.argument.partition("?")
    choices = [choice.strip() for choice in rest.split(",") if choice.strip()]
    return Ballot(turn.inbound.event_id, question + mark, choices)


class Poll(Flow):
    """The one poll that a room has at a time."""

    scope = Scope.ROOM

    idle = State(initial=True)
    voting = State(ephemeral, memory=Ballot, expires=hours(1), lost="who votes is told it is over")

    def is_a_ballot(self, turn: Turn) -> bool:
        """There is something to choose from, and an emoji for each choice."""
        return 1 < len(ballot_in(turn).choices) <= len(EMOJI)

    def is_for_this(self, turn: Turn) -> bool:
        """The emoji is on this poll, not on one of last week, and stands for one of its choices."""
        ballot: Ballot = turn.data
        is_this = turn.mark is not None and turn.mark.id == ballot.id
        return is_this and int(turn.emoji[0]) <= len(ballot.choices)

    def is_a_vote(self, turn: Turn) -> bool:
        """What somebody takes back is a vote, not a message."""
        return turn.inbound.about in turn.data.votes

    ask = Event(idle, voting, command="poll", guard=is_a_ballot, help="have the room vote")
    misuse = Event(idle, STAY, command="poll")
    ask_another = Event(voting, STAY, command="poll")
    vote = Event(voting, STAY, reaction=EMOJI, guard=is_for_this)
    take_back = Event(voting, STAY, on=EventKind.REDACTED, guard=is_a_vote)
    close = Event(voting, idle, command="close", on_expiry=True)
    vote_late = Event((idle, voting), STAY, reaction=EMOJI)

    @on(ask)
    def open(self, turn: Turn, _nothing: None) -> Ballot:
        """Put the question to everybody in the room."""
        ballot = ballot_in(turn)
        return evolve(ballot, sent_as=turn.ask_back(str(ballot), flow=self.name, anyone=True))

    @on(misuse)
    def show_how(self, turn: Turn, _nothing: None) -> None:
        """There is nothing to vote on."""
        turn.reply(f"Ask like this: `{turn.prefix}poll Where do we eat? Pizza, soup, salad`")

    @on(ask_another)
    def decline(self, turn: Turn, ballot: Ballot) -> None:
        """One at a time."""
        turn.reply(f"First `{turn.prefix}close` this poll: {as_typed(ballot.question)}")

    @on(vote)
    def count(self, turn: Turn, ballot: Ballot) -> Ballot:
        """One more."""
        votes = {**ballot.votes, turn.inbound.event_id: EMOJI[int(turn.emoji[0]) - 1]}
        return self._recount(turn, evolve(ballot, votes=votes))

    @on(take_back)
    def discount(self, turn: Turn, ballot: Ballot) -> Ballot:
        """One less."""
        votes = {by: emoji for by, emoji in ballot.votes.items() if by != turn.inbound.about}
        return self._recount(turn, evolve(ballot, votes=votes))

    @on(close)
    def tell_result(self, turn: Turn, ballot: Ballot) -> None:
        """Somebody wants to know, or the hour is over."""
        turn.say(f"The poll is over. {ballot}")

    @on(vote_late)
    def explain(self, turn: Turn, _ballot: Ballot | None) -> None:
        """This poll was closed, or a restart has forgotten it."""
        turn.say("This poll is over: that vote does not count.")

    def _recount(self, turn: Turn, ballot: Ballot) -> Ballot:
        turn.edit(str(ballot), sent_as=ballot.sent_as)
        return ballot
