"""What one run is to do."""

from attrs import frozen


@frozen(kw_only=True)
class Settings:
    """One run.

    Args:
        seed: Draws who says what, when and where, and the instants of the kills.
        kills: So many SIGKILLs of the bot; None for as many as the minutes hold.
        minutes: How long, if not until all kills are done.
        people: How many talk.
        rooms: How many rooms there are at the start.
        most_rooms: No new room beyond so many.
        rate: Messages a second, of all people together.
        life_seconds: A bot that got through its start lives at most so long after it.
        synapse_every: One SIGKILL of Synapse for about so many of the bot; 0 for none.
        burst_every: One burst of more than a hundred messages into one room, most of it with the
            bot down, for so many kills of the bot; 0 for none. Only where the talk is mixed.
        limited: Leave Synapse's rate limits at their defaults.
        mixed: Commands, confirmations, streaming agents and encrypted rooms too; edits, redactions,
            rooms that the bot made, and people who leave. Without it: texts in plain rooms, which
            any bot can answer.
        work_seconds: How long the agent behind a plain text takes before it answers.
        onboarding: What the bot makes for who invites it: ``space`` or ``none``.
        bot: ``strandline`` or ``nio``.
        settle_seconds: How long answers may take after the last kill.
    """

    seed: int = 1
    kills: int | None = None
    minutes: float | None = None
    people: int = 6
    rooms: int = 10
    most_rooms: int = 60
    rate: float = 3.0
    life_seconds: float = 2.0
    synapse_every: int = 40
    burst_every: int = 30
    limited: bool = False
    mixed: bool = True
    work_seconds: float = 0.0
    onboarding: str = "space"
    bot: str = "strandline"
    settle_seconds: float = 180.0
