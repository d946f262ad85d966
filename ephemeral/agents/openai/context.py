"""Builds the messages of a request to a model without memory: earlier messages, then the question.

Lost at a restart: nothing. For each question, the earlier messages are read from the room, newest
first, until a budget is used up.

The number of tokens is estimated: one for four bytes of UTF-8, and four more for each message. The
estimate is about right for English, and too high rather than too low for most other languages. Each
model counts differently.
"""

import base64
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from attrs import define, frozen

from ephemeral.agents.api import AgentFailed, AgentFile, AgentQuestion

T = TypeVar("T")

Part = dict[str, Any]
"""A part of a message's content, in the form of the chat-completions API."""

Message = dict[str, Any]

BYTES_A_TOKEN = 4
TOKENS_A_MESSAGE = 4
TOKENS_AN_IMAGE = 1_000

IMAGES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
_TEXTS = frozenset(
    f"application/{kind}"
    for kind in ("json", "javascript", "sql", "toml", "x-sh", "x-yaml", "xml", "yaml")
)


def estimated_tokens(text: str) -> int:
    """Estimate the number of tokens of a message with this text."""
    return -(-len(text.encode()) // BYTES_A_TOKEN) + TOKENS_A_MESSAGE


@define(kw_only=True)
class Budget:
    """The remaining budget of one request, which is reduced while the request is built.

    Args:
        messages: How many more earlier messages may be added.
        tokens: How many more tokens may be added, estimated; below 0 if the question alone exceeds
            the budget.
        image_bytes: How many more bytes of images may be added; 0 for models without image input.
        text_bytes: How many more bytes of text files may be added.
    """

    messages: int
    tokens: int
    image_bytes: int = 0
    text_bytes: int = 0

    def takes(self, text: str) -> bool:
        """Reserve budget for an earlier message with this text.

        Returns:
            Whether the message fits. If it does not, nothing is reserved.
        """
        cost = estimated_tokens(text)
        if self.messages < 1 or self.tokens < cost:
            return False
        self.messages -= 1
        self.tokens -= cost
        return True


@frozen
class ChatMessage:
    """One message of the conversation, in the API's form.

    Args:
        role: The role of its author: ``system``, ``user`` or ``assistant``.
        parts: Its content.
    """

    role: str
    parts: tuple[Part, ...]


async def context(question: AgentQuestion, budget: Budget, *, system: str = "") -> list[Message]:
    """Return the messages of a request: the system message, earlier messages, and the question.

    The question is always included, however long it is. Earlier messages are added from the newest
    back, until one does not fit. An answer is included only if its question is included too.

    Args:
        question: The question.
        budget: The budget of the request. It is reduced by what is included.
        system: The system message; empty for none.

    Raises:
        AgentFailed: The room, or a file of the question, can't be read.
    """
    budget.tokens -= estimated_tokens(system) if system else 0
    budget.tokens -= estimated_tokens(question.text)
    asked = ChatMessage("user", await _parts(question.text, question.files, budget))
    newest_first = [asked]
    if budget.messages > 0 and budget.tokens > 0:
        newest_first += await _earlier(question, budget)
    while newest_first[-1].role == "assistant":
        newest_first.pop()
    said = list(reversed(newest_first))
    if system:
        said.insert(0, ChatMessage("system", (_text(system),)))
    return merged(said)


def merged(said: Iterable[ChatMessage]) -> list[Message]:
    """Return the messages in the API's form, with adjacent ones of the same role merged.

    Many models require that the roles alternate.
    """
    messages: list[tuple[str, list[Part]]] = []
    for each in said:
        if messages and messages[-1][0] == each.role:
            messages[-1][1].extend(each.parts)
        else:
            messages.append((each.role, list(each.parts)))
    return [{"role": role, "content": _content(parts)} for role, parts in messages]


async def _earlier(question: AgentQuestion, budget: Budget) -> list[ChatMessage]:
    found: list[ChatMessage] = []
    async with _closing(question.earlier()) as pages:
        async for each in pages:
            if not budget.takes(each.text):
                break
            role = "assistant" if each.is_agents else "user"
            parts = await _parts(each.text, each.files, budget, is_earlier=True, role=role)
            if parts:
                found.append(ChatMessage(role, parts))
            if budget.messages < 1:
                break  # before one more page is loaded
    return found


async def _parts(
    text: str,
    files: Sequence[AgentFile],
    budget: Budget,
    *,
    is_earlier: bool = False,
    role: str = "user",
) -> tuple[Part, ...]:
    parts = [_text(text)] if text.strip() else []
    for file in files:
        shown = None
        if role == "user":  # the API allows no files in a model's messages
            try:
                shown = await _shown(file, budget, budget.tokens if is_earlier else math.inf)
            except AgentFailed:
                if not is_earlier:
                    raise  # a missing earlier file is only left out
        parts.append(shown or _named(file, budget))
    return tuple(parts)


async def _shown(file: AgentFile, budget: Budget, most_tokens: float) -> Part | None:
    """Download the file and return its content as a part; reduce the budget by the content.

    Args:
        file: The file.
        budget: The budget, for the number of bytes.
        most_tokens: The maximum estimated number of tokens of the part.

    Returns:
        The part; None if the model can't read the file's type, or if the content is too long.

    Raises:
        AgentFailed: The file can't be downloaded.
    """
    kind = file.mimetype.partition(";")[0].strip().lower()
    if kind in IMAGES and most_tokens >= TOKENS_AN_IMAGE:
        image = await _content_of(file, budget.image_bytes)
        if image is None:
            return None
        budget.image_bytes -= len(image)
        budget.tokens -= TOKENS_AN_IMAGE
        url = f"data:{kind};base64,{base64.b64encode(image).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}
    if kind.startswith("text/") or kind in _TEXTS:
        written = await _content_of(file, budget.text_bytes)
        try:
            text = f"{_title(file)}:\n\n{written.decode()}" if written is not None else ""
        except UnicodeDecodeError:
            return None
        if written is None or estimated_tokens(text) > most_tokens:
            return None
        budget.text_bytes -= len(written)
        budget.tokens -= estimated_tokens(text)
        return _text(text)
    return None


async def _content_of(file: AgentFile, most_bytes: int) -> bytes | None:
    """Download the file's content; return None if it has more than ``most_bytes`` bytes.

    Nothing is downloaded if the size that the sender gave is over the limit. The bytes are counted
    too, because that size may be too small.
    """
    if most_bytes < 1 or file.size_bytes > most_bytes:
        return None
    content = bytearray()
    async with _closing(file.chunks()) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > most_bytes:
                return None
    return bytes(content)


def _named(file: AgentFile, budget: Budget) -> Part:
    named = f"[{_title(file)}; its content is not shown]"
    budget.tokens -= estimated_tokens(named)
    return _text(named)


def _title(file: AgentFile) -> str:
    return f"Attached file {file.name!r} ({file.mimetype})"


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _content(parts: Sequence[Part]) -> str | list[Part]:
    """Return the parts in the API's form: one string if all are texts, as some servers require."""
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return list(parts)


@asynccontextmanager
async def _closing(source: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """Close the source when the ``with`` block ends.

    Otherwise a generator that was not read to its end would keep its connection open.
    """
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()
