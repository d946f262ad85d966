"""An Agent2Agent server, built with the SDK's own server side, as a process or in a test.

    python -m tests.support.a2a_server PORT [WORD_SECONDS]

It remembers what was said in each context, and does what the text asks for: see ``Harbourmaster``.
"""

import asyncio
import sys
from collections import Counter, defaultdict

import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Message, Part, Role
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

WORD_SECONDS = 0.1


class Harbourmaster(AgentExecutor):
    """Says word by word how much it has heard in a context, and what last.

    ``which ship`` asks back, ``sound`` does so after an artifact, ``let me in`` wants credentials,
    ``fail`` and ``reject`` do so, ``chart`` answers with a file of its own and one by its address,
    ``briefly`` with a message and no task, ``slowly`` takes its time.
    """

    def __init__(self, url: str, *, word_seconds: float = WORD_SECONDS) -> None:
        self.url = url
        self.word_seconds = word_seconds
        self.heard: defaultdict[str, list[str]] = defaultdict(list)
        self.worked: Counter[str] = Counter()
        self.cancelled: list[str] = []
        self.files: list[tuple[str, str, int]] = []

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message = context.message
        assert message is not None
        assert context.context_id
        text = context.get_user_input()
        said = self.heard[context.context_id]
        said.append(text)
        self.worked[message.message_id] += 1
        self.files += [(p.filename, p.media_type, len(p.raw)) for p in message.parts if p.raw]
        if text == "briefly":
            await event_queue.enqueue_event(
                Message(
                    message_id="m1",
                    context_id=context.context_id,
                    role=Role.ROLE_AGENT,
                    parts=[Part(text="Aye.")],
                )
            )
            return
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        await self._work(updater, text, said)

    async def _work(self, updater: TaskUpdater, text: str, said: list[str]) -> None:
        def words(*texts: str) -> Message:
            return updater.new_agent_message([Part(text=each) for each in texts])

        match text.partition(" ")[0]:
            case "which":
                await updater.requires_input(words("Which ship do you mean?"))
            case "sound":
                await updater.add_artifact([Part(text="Four fathoms.")])
                await updater.requires_input(words("For which ship?"))
            case "let":
                await updater.requires_auth(words("Sign in at https://example.org/auth first."))
            case "fail":
                await updater.failed(words("The tide gauge is broken."))
            case "reject":
                await updater.reject(words("I do harbours only."))
            case "chart":
                raw = Part(raw=b"depths", filename="chart.txt", media_type="text/plain")
                linked = Part(url=f"{self.url}/file", filename="tides.csv", media_type="text/csv")
                await updater.add_artifact([Part(text="Here it is."), raw])
                await updater.add_artifact([linked])
                await updater.complete()
            case "lost":
                await updater.add_artifact([Part(url=f"{self.url}/nothing", filename="lost.csv")])
                await updater.complete()
            case _:
                pause = 1.0 if text.startswith("slowly") else self.word_seconds
                answer = f"I have heard {len(said)} things in {updater.context_id}, at last: {text}"
                for number, word in enumerate(answer.split(" ")):
                    piece = [Part(text=word if number == 0 else f" {word}")]
                    await updater.add_artifact(piece, artifact_id="a", append=number > 0)
                    await asyncio.sleep(pause)
                await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id
        assert context.context_id
        self.cancelled.append(context.context_id)
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card(url: str, *, streaming: bool = True) -> AgentCard:
    """The card of an agent at ``url``."""
    return AgentCard(
        name="Harbourmaster",
        description="Knows the ships",
        version="1",
        supported_interfaces=[
            AgentInterface(url=f"{url}/rpc", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(streaming=streaming),
        skills=[AgentSkill(id="ships", name="Ships", description="Knows them", tags=["ships"])],
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
    )


def app(executor: Harbourmaster, *, streaming: bool = True) -> Starlette:
    """The server as a web application."""
    its_card = card(executor.url, streaming=streaming)
    handler = DefaultRequestHandler(executor, InMemoryTaskStore(), its_card)

    async def report(_request: Request) -> Response:
        worked, cancelled = dict(executor.worked), executor.cancelled
        return JSONResponse({"worked": worked, "cancelled": cancelled, "files": executor.files})

    async def file(_request: Request) -> Response:
        return PlainTextResponse("high,low\n")

    return Starlette(
        routes=[
            *create_agent_card_routes(its_card),
            *create_jsonrpc_routes(handler, "/rpc"),
            Route("/report", report),
            Route("/file", file),
        ]
    )


if __name__ == "__main__":
    port = int(sys.argv[1])
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else WORD_SECONDS
    uvicorn.run(
        app(Harbourmaster(f"http://127.0.0.1:{port}", word_seconds=pause)),
        host="127.0.0.1",
        port=port,
        log_level="warning",
    )
