"""The echo agent: answers with the text of the question, the agent's id and the chat's number."""

import asyncio
from collections.abc import AsyncGenerator

from attrs import frozen

from ephemeral.agents.api import AgentFile, AgentQuestion
from fsm import AgentEntry, Translator


@frozen(kw_only=True)
class EchoOptions:
    """The options of the echo agent.

    Args:
        chunks: The number of pieces into which an answer is split; 0 means 1.
        chunk_seconds: The pause before each piece except the first.
        delay_seconds: The pause before the first piece.
    """

    chunks: int = 1
    chunk_seconds: float = 0.0
    delay_seconds: float = 0.0


class EchoAgent:
    """Answers with its own id, the ``platform_chat_id``, the text and the names of the files."""

    Options = EchoOptions

    def __init__(self, entry: AgentEntry) -> None:
        self._id = entry.id
        self._options = entry.options if isinstance(entry.options, EchoOptions) else EchoOptions()

    async def open(self) -> None:
        """Do nothing: there is no connection."""

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        """Yield the answer, in as many pieces as the options say."""
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
        """Do nothing: the echo agent is always reachable."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def _listed(files: tuple[AgentFile, ...]) -> str:
    """The list of files in an answer: ``(2 files: a.png image/png 12 kB; b.pdf …)``."""
    count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    each = (f"{file.name} {file.mimetype} {Translator().size(file.size_bytes)}" for file in files)
    return f"({count}: {'; '.join(each)})"
