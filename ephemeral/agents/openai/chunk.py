"""One chunk of a streamed chat completion, read from what an untrusted server sent."""

from typing import Any, Self

from attrs import frozen


class NoChunk(Exception):
    """It is JSON, but no chunk of a chat completion."""


@frozen
class Chunk:
    """What a chunk adds to the answer.

    Args:
        text: More of it. What a model thinks before it answers is no part of it.
        finish: Why it ends here, if it does.
        error: What went wrong, if something did.
    """

    text: str = ""
    finish: str | None = None
    error: object = None

    @classmethod
    def of(cls, data: Any) -> Self:
        """The chunk that this is.

        Raises:
            NoChunk: It is none.
        """
        fields = _object(data)
        if fields.get("error") is not None:
            return cls(error=fields["error"])
        choices = fields.get("choices") or []  # some send a chunk of nothing but figures
        if not isinstance(choices, list):
            raise NoChunk("choices that are no list")
        if not choices:
            return cls()
        choice = _object(choices[0])
        delta = _object(choice.get("delta") or {})
        text = delta.get("content") or delta.get("refusal") or ""
        finish = choice.get("finish_reason")
        if not isinstance(text, str) or not isinstance(finish, str | None):
            raise NoChunk("a text that is none")
        return cls(text=text, finish=finish or None)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoChunk("no object where one belongs")
    return value
