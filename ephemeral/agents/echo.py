"""The built-in agent: says what it heard, and which agent and chat it heard it as."""

import asyncio
from collections.abc import AsyncGenerator

from attrs import frozen

from ephemeral.agents.api import AgentFile, AgentQuestion
from fsm import AgentEntry, Translator


@frozen(kw_only=True)
class EchoOptions:
    """How the echo answers.

    Args:
        chunks: In how many pieces; with 0, in one.
        chunk_seconds: How long it waits before each further piece.
        delay_seconds: How long it waits before the first.
    """

    chunks: int = 1
    chunk_seconds: float = 0.0
    delay_seconds: float = 0.0


class EchoAgent:
    """Answers with its own id, the ``platform_chat_id``, the text and what came with it."""

    Options = EchoOptions

    def __init__(self, entry: AgentEntry) -> None:
        self._id = entry.id
        self._options = entry.options if isinstance(entry.options, EchoOptions) else EchoOptions()

    async def open(self) -> None:
        """Nothing to connect to."""

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        """The same text back, in as many pieces as the options say."""
        await asyncio.sleep(self._options.delay_seconds)
        answer = f"[{self._id} · chat {question.platform_chat_id}] {question.text}"
        if question.files:
            answer += f"\n\n{_listed(question.files)}"
        size = -(-len(answer) // max(1, self._options.chunks))
        for start in range(0, len(answer), size):
            if start:
                await asyncio.sleep(self._options.chunk_seconds)
            yield answer[start : start + size]

    async def probe(self) -> None:
        """It is always there."""

    async def close(self) -> None:
        """Nothing to disconnect from."""


def _listed(files: tuple[AgentFile, ...]) -> str:
    """``(2 files: a.png image/png 12 kB; b.pdf application/pdf 1.2 MB)``: as an agent says it."""
    count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    each = (f"{file.name} {file.mimetype} {Translator().size(file.size_bytes)}" for file in files)
    return f"({count}: {'; '.join(each)})"
