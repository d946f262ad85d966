import json
from pathlib import Path

import pytest

from strandline.testing.log import OUTPUT, BotLog


def entry(event: str) -> str:
    return json.dumps({"event": event, "level": "info", "timestamp": ""}) + "\n"


def names(lines: list[dict[str, object]]) -> list[object]:
    return [line["event"] for line in lines]


@pytest.fixture
def log(tmp_path: Path) -> BotLog:
    return BotLog(tmp_path / "bot.log")


def write(log: BotLog, text: str) -> None:
    with log.path.open("a") as file:
        file.write(text)


def test_entries_and_notes_are_in_the_order_in_which_they_were_written(log: BotLog) -> None:
    log.begin_life()
    write(log, entry("one"))
    log.note("advanced")
    write(log, entry("two") + "a traceback\n")

    assert names(log.lines()) == ["started", "one", "advanced", "two", "a traceback"]
    assert log.lines()[-1]["level"] == OUTPUT
    assert names(log.of_this_life()) == ["one", "two"]


def test_a_line_that_is_only_half_written_is_read_again_when_it_is_whole(log: BotLog) -> None:
    log.begin_life()
    whole = entry("one")
    write(log, whole[:9])
    half = log.lines()[-1]
    write(log, whole[9:])

    assert (half["event"], half["level"]) == (whole[:9].rstrip(), OUTPUT)
    assert names(log.lines()) == ["started", "one"]


def test_a_line_that_a_kill_cut_off_costs_the_next_process_no_line(log: BotLog) -> None:
    log.begin_life()
    write(log, entry("one") + entry("two")[:9])
    log.note("killed")
    log.begin_life()
    write(log, entry("three"))

    assert names(log.of_this_life()) == ["three"]
    assert names(log.lines())[-3:] == ["killed", "started", "three"]
