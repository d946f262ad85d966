import asyncio
from collections.abc import AsyncGenerator
from typing import ClassVar

import pytest
from attrs import frozen

from ephemeral.agents.api import AgentKind
from strandline.agents import AgentEntry, AgentQuestion
from strandline.testing import AgentConformance


@frozen
class NoOptions:
    """Nothing to set."""


class Bad:
    """One with each fault that a test asks for by its class below."""

    Options: ClassVar[type] = NoOptions

    def __init__(self, entry: AgentEntry) -> None:
        self.entry = entry

    async def open(self) -> None: ...

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        yield question.text

    async def probe(self) -> None: ...

    async def close(self) -> None: ...


class Mute(Bad):
    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        yield question.text[:0]


class Raising(Bad):
    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        yield question.text[0]


class Leaky(Bad):
    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        self.task = asyncio.create_task(asyncio.sleep(60), name="forgotten")
        yield question.text


class Unshaped(Bad):
    Options = dict


def suite(agent: type[Bad]) -> AgentConformance:
    class Suite(AgentConformance):
        kind: ClassVar[AgentKind] = agent

    return Suite()


def test_an_answer_without_text_is_told() -> None:
    with pytest.raises(pytest.fail.Exception, match="yield some, or raise AgentFailed"):
        suite(Mute).test_a_question_is_answered({})


def test_another_exception_is_told() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"IndexError.*raise AgentFailed from it"):
        suite(Raising).test_odd_text_is_survived({}, "")


def test_a_task_that_lives_on_is_told() -> None:
    with pytest.raises(pytest.fail.Exception, match="forgotten"):
        suite(Leaky).test_an_answer_may_be_left_before_its_end({})


def test_options_that_are_no_attrs_class_are_told() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"attrs\.frozen"):
        suite(Unshaped).test_options_are_an_attrs_class_that_the_config_fills({})
