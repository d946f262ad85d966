"""A poll in a room: everybody votes with emoji, and takes a vote back by taking back the emoji.

    !poll Where do we eat? Pizza, soup, salad
    !close      see the result now, and not only after an hour

A restart forgets the poll and its votes: so little is soon asked again. Who votes on a forgotten
poll is told that it is over.
"""

from collections.abc import Mapping
from datetime import timedelta

from attrs import evolve, field, frozen

import strandline
from strandline import STAY, Event, EventKind, Flow, Scope, State, Turn, as_typed, ephemeral, on

EMOJI = ("1️⃣", "2️⃣", "3️⃣", "4️⃣", "5️⃣")


@frozen
class Ballot:
    """What people vote on, and their votes: each an emoji, by the event that put it there."""

    id: str
    """Of the message that began the poll: the question on which people vote carries it, too."""
    question: str
    choices: list[str]
    sent_as: strandline.TransactionId | None = None
    votes: Mapping[str, str] = field(factory=dict)

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
    voting = State(ephemeral, memory=Ballot, expires=timedelta(hours=1), lost="a late vote is told")

    ask = Event(idle, voting, command="poll", help="have the room vote")
    misuse = Event(idle, STAY, command="poll")
    ask_another = Event(voting, STAY, command="poll")
    vote = Event(voting, STAY, reaction=EMOJI)
    take_back = Event(voting, STAY, on=EventKind.REDACTED)
    close = Event(voting, idle, command="close", on_expiry=True)
    vote_late = Event((idle, voting), STAY, reaction=EMOJI)

    @ask.guard
    def is_a_ballot(self, turn: Turn) -> bool:
        """There is something to choose from, and an emoji for each choice."""
        return 1 < len(ballot_in(turn).choices) <= len(EMOJI)

    @vote.guard
    def is_for_this(self, turn: Turn) -> bool:
        """The emoji is on this poll, not on one of last week, and stands for one of its choices."""
        ballot: Ballot = turn.data
        is_this = turn.question_ref is not None and turn.question_ref.id == ballot.id
        return is_this and int(turn.emoji[0]) <= len(ballot.choices)

    @take_back.guard
    def is_a_vote(self, turn: Turn) -> bool:
        """What somebody takes back is a vote, not a message."""
        return turn.inbound.about in turn.data.votes

    @on(ask)
    def open(self, turn: Turn) -> Ballot:
        """Put the question to everybody in the room."""
        ballot = ballot_in(turn)
        return evolve(ballot, sent_as=turn.ask_back(str(ballot), anyone=True))

    @on(misuse)
    def show_how(self, turn: Turn) -> None:
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
    def explain(self, turn: Turn) -> None:
        """This poll was closed, or a restart has forgotten it."""
        turn.say("This poll is over: that vote does not count.")

    def _recount(self, turn: Turn, ballot: Ballot) -> Ballot:
        turn.edit(str(ballot), sent_as=ballot.sent_as)
        return ballot
