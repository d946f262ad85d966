"""Rooms that are being made for a user: what a crash must not forget."""

from collections.abc import Iterable

from attrs import evolve, frozen

from fsm.values.ids import ChatId, RoomId

SPACE_PURPOSE = "space"
"""What a user's Space is asked for as. There is one for each user."""

_CHAT_PURPOSE = "chat:"


@frozen(kw_only=True)
class Wish:
    """One room that is asked for, or will be once there is a Space for it.

    Args:
        purpose: ``space``, or ``chat:C1``: one room of each.
        name: What people are to call it.
        asked_in: Where they are told what became of it.
        refused: The homeserver would not make it; ``!repair`` asks again.
    """

    purpose: str
    name: str
    asked_in: RoomId
    refused: bool = False

    @property
    def chat_id(self) -> ChatId | None:
        """The chat for which the room is; None for the Space."""
        is_chat = self.purpose.startswith(_CHAT_PURPOSE)
        return ChatId(self.purpose.removeprefix(_CHAT_PURPOSE)) if is_chat else None


@frozen
class Plan:
    """The rooms that are being made for one user, in the order in which they were asked for."""

    wishes: tuple[Wish, ...] = ()

    def find(self, purpose: str) -> Wish | None:
        """The wish for this purpose, if it is open."""
        return next((wish for wish in self.wishes if wish.purpose == purpose), None)

    def having(self, wishes: Iterable[Wish]) -> "Plan":
        """The plan with these, each in the place of an older one for the same purpose."""
        merged = {wish.purpose: wish for wish in self.wishes}
        return Plan(tuple((merged | {wish.purpose: wish for wish in wishes}).values()))

    def without(self, purpose: str) -> "Plan":
        """What is left when this one is settled."""
        return Plan(tuple(wish for wish in self.wishes if wish.purpose != purpose))

    def refusing(self, purpose: str) -> "Plan":
        """The plan once the homeserver has refused this one."""
        return Plan(
            tuple(evolve(w, refused=True) if w.purpose == purpose else w for w in self.wishes)
        )

    @property
    def chats(self) -> tuple[Wish, ...]:
        """All but the Space."""
        return tuple(wish for wish in self.wishes if wish.chat_id is not None)


def chat_purpose(chat_id: ChatId) -> str:
    """What a chat's room is asked for as."""
    return f"{_CHAT_PURPOSE}{chat_id}"
