"""``kill_everywhere``: makes a pytest test of all paths of a flow from one line."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from fsm import Flow
from strandline.testing.homeserver import Synapse
from strandline.testing.log import WALKED
from strandline.testing.setup import FlowOrPath, merged
from strandline.testing.walking.causes import Inputs, Without
from strandline.testing.walking.run import KillEverywhereRun
from strandline.testing.walking.walker import Cause


def kill_everywhere(  # noqa: PLR0913  # what may be said of a flow
    flow: type[Flow],
    *,
    inputs: Inputs | None = None,
    without: Without | None = None,
    length: int | None = None,
    first: Sequence[Cause] = (),
    flows: Sequence[FlowOrPath] = (),
    config: Mapping[str, Any] | None = None,
) -> Callable[[Any, Synapse, Path], None]:
    """Make a test that walks every path of ``flow``, and kills the bot at the end of each path.

    ::

        test_rota_survives = kill_everywhere(Rota)

    Args:
        flow: The flow.
        inputs: For events whose declaration does not say how a person causes them, a sample that
            does. A key is an event, or ``(state, event)``. A sample is a text to send (for a
            command, the command's argument), an ``async`` function that is called with the
            ``Walker``, or a tuple of these, which are done in order. A list of samples gives paths
            with each of them.
        without: What is left out, with the reason as a text. A key is an event, an event in one
            state as ``(state, event)``, or a state with all its events.
        length: The maximum number of steps of a path. None for the largest number, up to four, that
            gives at most 40 paths. Longer paths are added for transitions that need them.
        first: What every walker does before the path begins: texts to send, or ``async`` functions
            that are called with the ``Walker``.
        flows: Further flows for the bot; those of ``strandline_flows`` always run.
        config: Config sections of the bot that differ from the default. They win over those of
            ``strandline_config``.

    Returns:
        A function that pytest collects under a name that begins with ``test``.
    """
    run_ = KillEverywhereRun(
        flow=flow,
        inputs=inputs or {},
        without=without or {},
        length=length,
        first=first,
        flows=flows,
        config=config or {},
    )

    def survives(request: Any, synapse: Synapse, tmp_path: Path) -> None:
        __tracebackhide__ = True
        usual = request.getfixturevalue("strandline_config")
        besides = request.getfixturevalue("strandline_flows")
        run = evolve(run_, flows=(*besides, *run_.flows), config=merged(usual, run_.config))
        report = asyncio.run(run.go(synapse, tmp_path / "bot", request.config.rootpath))
        request.node.user_properties.append((WALKED, str(report)))

    survives.__doc__ = f"{flow.__name__} lives through a kill at the end of every path."
    return survives
