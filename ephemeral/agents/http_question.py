"""A question as the body of a request: JSON, or a form of several parts when files go with it."""

from collections.abc import AsyncGenerator
from secrets import token_hex

import orjson
from attrs import frozen

from ephemeral.agents.api import AgentQuestion


@frozen
class Sent:
    """The body of one request. Files are read when they are sent, and never lie in memory whole.

    Args:
        question: What is asked.
        boundary: What parts the parts; empty without files.
    """

    question: AgentQuestion
    boundary: str

    @classmethod
    def of(cls, question: AgentQuestion) -> "Sent":
        """The question's body."""
        return cls(question, token_hex(16) if question.files else "")

    @property
    def headers(self) -> dict[str, str]:
        """What the request says of it."""
        form = f"multipart/form-data; boundary={self.boundary}"
        return {"Content-Type": form if self.boundary else "application/json"}

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The body, piece by piece (RFC 7578).

        Raises:
            AgentFailed: A file can't be had.
        """
        if not self.boundary:
            yield self._json()
            return
        yield self._opening('name="question"', "application/json").removeprefix(b"\r\n")
        yield self._json()
        for file in self.question.files:
            name = file.name.translate(_ESCAPES)
            yield self._opening(f'name="file"; filename="{name}"', _plain(file.mimetype))
            async for chunk in file.chunks():
                yield chunk
        yield f"\r\n--{self.boundary}--\r\n".encode()

    def _opening(self, disposition: str, mimetype: str) -> bytes:
        return (
            f"\r\n--{self.boundary}\r\nContent-Disposition: form-data; {disposition}\r\n"
            f"Content-Type: {mimetype}\r\n\r\n"
        ).encode()

    def _json(self) -> bytes:
        question = self.question
        files = [
            {"name": file.name, "mimetype": file.mimetype, "size_bytes": file.size_bytes}
            for file in question.files
        ]
        return orjson.dumps(
            {
                "request_id": question.request_id,
                "chat_id": question.platform_chat_id,
                "text": question.text,
                "attachments": files,
            }
        )


# As browsers do (WHATWG HTML, "Multipart form data").
_ESCAPES = str.maketrans({"\n": "%0A", "\r": "%0D", '"': "%22"})


def _plain(mimetype: str) -> str:
    """The type without what could begin another header."""
    is_plain = mimetype.isascii() and mimetype.isprintable()
    return mimetype if is_plain and mimetype else "application/octet-stream"
