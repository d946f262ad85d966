"""Takes all walks of one flow, and reports the result."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from attrs import field, frozen

from fsm import Flow, State
from fsm.paths import By, Edge, Walk, left_out, transitions, walks
from strandline.flows.builtin import FLOWS
from strandline.testing.bot import BotProcess, config_for
from strandline.testing.errors import KitError
from strandline.testing.homeserver import Synapse
from strandline.testing.log import TEST, Line
from strandline.testing.report import Names, log_text, state_table, transcript
from strandline.testing.setup import AGENT, FlowOrPath, import_path, imports, merged
from strandline.testing.walking.causes import Causes, Inputs, Without
from strandline.testing.walking.group import WalkerGroup, groups
from strandline.testing.walking.shared_bot import SharedBot
from strandline.testing.walking.transition_log import TransitionLog
from strandline.testing.walking.walker import Cause, Walker

MAX_REPORTED = 3
"""The maximum number of failures that are reported in full."""

MOST_LOG_LINES = 60


class WalkFailed(AssertionError):
    """A flow can't be walked, a walk failed, or a transition never happened.

    The message has the details.
    """


@frozen(kw_only=True)
class Report:
    """The result of taking all walks of a flow.

    Args:
        flow: The name of the flow's class.
        paths: The number of walks that were taken to the end, where the bot was killed.
        covered: The number of the flow's transitions that were taken.
        total: The number of the flow's transitions that walks can take. An event counts once for
            each source and target state, and expiries and restarts count too.
        left_out: The number of declared events that no walk takes, counted once for each source
            state.
        kills: How often the bot was killed.
        seconds: How long all walks took.
    """

    flow: str
    paths: int
    covered: int
    total: int
    left_out: int
    kills: int
    seconds: float

    def __str__(self) -> str:
        beside = f" ({self.left_out} left out)" if self.left_out else ""
        return (
            f"{self.flow}: {self.paths} paths, {self.covered}/{self.total} transitions{beside}, "
            f"{self.kills} kills, {self.seconds:.1f} s"
        )


@frozen(kw_only=True)
class KillEverywhereRun:
    """Takes all walks of a flow, with the settings that ``kill_everywhere`` was given.

    Args:
        flow: The flow.
        inputs: Samples for events whose declaration does not say how a person causes them.
        without: The events that are left out, with the reasons.
        length: The maximum number of steps of a walk; None for a length that gives at most 40
            walks.
        first: What every walker does before the walk begins.
        flows: Further flows for the bot.
        config: Config sections of the bot that differ from the default.
    """

    flow: type[Flow]
    inputs: Inputs = field(factory=dict)
    without: Without = field(factory=dict)
    length: int | None = None
    first: Sequence[Cause] = ()
    flows: Sequence[FlowOrPath] = ()
    config: Mapping[str, Any] = field(factory=dict)

    @property
    def causes(self) -> Causes:
        """Finds the actions that cause the flow's events."""
        prefix = self.config.get("commands", {}).get("prefix", "!")
        return Causes(self.flow, self.inputs, self.without, prefix)

    def walks(self) -> list[Walk]:
        """Return the walks to take.

        Walks that end in a restart are left out, because the bot is killed at the end of each walk.
        """
        found = walks(self.flow, length=self.length, plan=self.causes.plan)
        return [walk for walk in found if not walk.ends_in_restart]

    async def go(self, synapse: Synapse, directory: Path, rootdir: Path) -> Report:
        """Take all walks, and report the result.

        Args:
            synapse: The homeserver.
            directory: The directory of the bot's config, data and log.
            rootdir: A further folder in which the bot finds the modules of the flows.

        Raises:
            WalkFailed: An event has no sample, a check on a walker failed, or a transition never
                happened.
            KitError: The bot can't be started.
        """
        problems = list(self.causes.problems())
        if problems:
            listed = "\n".join(f"  - {problem}" for problem in problems)
            what = f"{self.flow.__name__} can't be walked yet:\n{listed}"
            raise WalkFailed(what)
        began = time.monotonic()
        shared_bot = self._ground(synapse, directory, rootdir)
        await shared_bot.bot.start()
        try:
            for shared, of_these in groups(self.walks()):
                group = WalkerGroup(shared_bot, shared, of_these, self.first)
                await group.go()
            for walker, difference in shared_bot.comparison.differences():
                if not walker.failure:
                    shared_bot.failures.append((walker, difference))
            report = self._report(shared_bot, time.monotonic() - began)
            missing = self._missing(shared_bot)
            if shared_bot.failures or missing:
                raise WalkFailed(await self._account(shared_bot, report, missing))
        finally:
            await shared_bot.bot.stop()
        return report

    def _ground(self, synapse: Synapse, directory: Path, rootdir: Path) -> SharedBot:
        config = config_for(
            synapse.url,
            synapse.newcomer("bot"),
            agents=[AGENT],
            rooms={"onboarding": "none"},
            log={"format": "json", "level": "debug"},
        )
        wanted = [*([] if self.flow in FLOWS else [self.flow]), *self.flows]
        config["flows"] = list(dict.fromkeys(import_path(flow) for flow in wanted))
        bot = BotProcess(directory, merged(config, self.config), forked=True)
        bot.environment["PYTHONPATH"] = os.pathsep.join(imports(rootdir))
        known = [*FLOWS, self.flow, *(flow for flow in self.flows if isinstance(flow, type))]
        return SharedBot(
            flow=self.flow,
            synapse=synapse,
            bot=bot,
            transitions=TransitionLog(bot.log_path),
            causes=self.causes,
            flows={flow.name: flow for flow in known},
        )

    def _report(self, shared_bot: SharedBot, seconds: float) -> Report:
        all_ = {edge.transition for edge in self._wanted()}
        covered = {edge.transition for edge in shared_bot.taken} & all_
        return Report(
            flow=self.flow.__name__,
            paths=shared_bot.walked,
            covered=len(covered),
            total=len(all_),
            left_out=len(left_out(self.flow, self.causes.plan)),
            kills=shared_bot.kills,
            seconds=seconds,
        )

    def _wanted(self) -> dict[Edge, Walk]:
        """The steps that must happen, each with the shortest walk that ends with it.

        Steps from states that the author leaves out are not among them.
        """
        left_out = {state.name for state in self.without if isinstance(state, State)}
        found = transitions(self.flow, self.causes.plan)
        return {edge: walk for edge, walk in found.items() if edge.source not in left_out}

    def _missing(self, shared_bot: SharedBot) -> list[str]:
        """Describe each step that must happen and never did, with what happened instead."""
        problems = []
        for edge, walk in self._wanted().items():
            if edge.transition in shared_bot.taken:
                continue
            if edge.by is By.RESTART:
                problems.append(f"no walker was in {edge.source!r} when the bot was killed")
                continue
            name = f"{self.flow.__name__}.{edge.event}" if edge.event else "the end of its time"
            tried = [w for w in shared_bot.dead_ends if w.edges[-1] == edge]
            happened = shared_bot.dead_ends[tried[0]] if tried else "nothing led to its source"
            problems.append(
                f"{name} never led from {edge.source!r} to {edge.target!r}\n"
                f"    path: {tried[0] if tried else walk}\n    instead: {happened}\n"
                f"    {self._remedy(edge)}"
            )
        return problems

    def _remedy(self, edge: Edge) -> str:
        name = f"{self.flow.__name__}.{edge.event}"
        if edge.by is By.EXPIRY:
            return "is its guard in the way?"
        return (
            f'give a sample that causes it: inputs={{{name}: "…"}}, longer walks: length=…, or say '
            f'why nobody can: without={{({self.flow.__name__}.{edge.source}, {name}): "…"}}'
        )

    async def _account(self, shared_bot: SharedBot, report: Report, missing: Sequence[str]) -> str:
        lines = [f"{report}"]
        if missing:
            lines += ["", f"{len(missing)} transitions could not be caused:"]
            lines += [f"  - {problem}" for problem in missing]
        if shared_bot.failures:
            kinds = Counter(what.partition("\n")[0] for _, what in shared_bot.failures)
            lines += ["", f"{len(shared_bot.failures)} walkers failed:"]
            lines += [f"  - {count} times: {what}" for what, count in kinds.most_common()]
        for walker, what in _shortest(shared_bot.failures)[:MAX_REPORTED]:
            lines += ["", "─" * 80, await _told(walker, what, shared_bot)]
        return "\n".join(lines)


def _shortest(failures: Sequence[tuple[Walker, str]]) -> list[tuple[Walker, str]]:
    """Return one failure of each kind, that of the shortest walk; short walks come first.

    Args:
        failures: Walkers, each with the problem. Its first line is the kind.
    """
    found: dict[str, tuple[Walker, str]] = {}
    for walker, what in sorted(failures, key=lambda failure: len(failure[0].walk)):
        found.setdefault(what.partition("\n")[0], (walker, what))
    return list(found.values())


async def _told(walker: Walker, what: str, shared_bot: SharedBot) -> str:
    """Return the full report on one failure, as text.

    Args:
        walker: The walker that failed.
        what: The problem.
        shared_bot: The bot of the walker.
    """
    user, room = walker.person.user_id, walker.room or "(no room)"
    names = Names({user: walker.person.localpart, room: "the room", walker.bot: "bot"})
    lines = _about(shared_bot.bot.log, user, room, *walker.happened)
    sections = (
        f"{what}",
        f"path: {walker.walk} --restart-->",
        f"states:\n{state_table(lines, names)}",
        f"the room, as the homeserver has it:\n{await _room(walker, names)}",
        f"the bot's log:\n{names.short(log_text(lines[-MOST_LOG_LINES:]))}",
    )
    return "\n\n".join(sections)


def _about(log: Sequence[Line], *words: str) -> list[Line]:
    """Return the log entries that contain one of the words, with the test's notes around them.

    The last note before the first of these entries is included, and all later notes are.
    """
    found = [
        line
        for line in log
        if line["level"] == TEST or any(word in json.dumps(line) for word in words)
    ]
    began = next((n for n, line in enumerate(found) if line["level"] != TEST), len(found))
    return found[max(began - 1, 0) :]


async def _room(walker: Walker, names: Names) -> str:
    if walker.room is None:
        return "  there is none"
    reader = walker.person_anew()
    try:
        return transcript(await reader.raw_timeline(walker.room), names)
    except (KitError, OSError, aiohttp.ClientError) as error:
        return f"  can't be read: {error}"
