"""A module for Synapse: Spaces, and rooms of a certain name, are refused the first time."""

from importlib import import_module
from typing import Any

REFUSED = "Refused at first"

SPACE = "'s space"
"""How the names of Spaces end."""


class RefusesOnce:
    """Loaded by Synapse, in its own process."""

    def __init__(self, _config: object, api: Any) -> None:
        self._synapse: Any = import_module("synapse.module_api")
        self._refused: set[str] = set()
        api.register_spam_checker_callbacks(user_may_create_room=self.may_create)

    async def may_create(self, _user_id: str, room_config: dict[str, Any]) -> Any:
        name = str(room_config.get("name", ""))
        is_refused = name.startswith(REFUSED) or name.endswith(SPACE)
        if is_refused and name not in self._refused:
            self._refused.add(name)
            return self._synapse.errors.Codes.FORBIDDEN
        return self._synapse.NOT_SPAM
