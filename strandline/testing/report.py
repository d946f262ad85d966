"""Texts for the report of a failed test: a room's messages, the transitions and the bot's log."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from fsm.values.text import printable
from strandline.testing.log import OUTPUT, TEST, Line
from strandline.testing.person import fold

MOST_LINES = 200
"""The maximum number of log lines in a report. Only the newest are shown."""

COMINGS = {"join": "came in", "invite": "was invited", "leave": "left", "ban": "was banned"}


@frozen
class Names:
    """Replaces Matrix ids by short names, for reports.

    Args:
        of: The short name of each id.
    """

    of: Mapping[str, str]

    def short(self, text: str) -> str:
        """Return the text with each known id replaced by its short name."""
        for long in sorted(self.of, key=len, reverse=True):
            text = text.replace(long, self.of[long])
        return text


def transcript(raw: Iterable[dict[str, Any]], names: Names) -> str:
    """Return the messages, reactions, joins and leaves of a room as people would see them.

    Args:
        raw: The room's events, oldest first.
        names: The short names of users and rooms.
    """
    events = list(raw)
    messages = {message.event_id: message for message in fold(events)}
    reactions = _reactions(events, names)
    lines: list[str] = []
    for event in events:
        event_id, content = event["event_id"], event.get("content", {})
        message = messages.get(event_id)
        if message is not None:
            shown = _body(message.content, message.body, message.edits)
        elif event["type"] == "m.room.message" and not content:
            shown = "(taken back)"
        elif event["type"] == "m.room.member":
            shown = _came_or_went(event, names)
        else:
            continue
        lines += _lines(event, names, shown)
        lines += [f"{'':22}[{key} {who}]" for key, who in reactions.get(event_id, ())]
    return printable("\n".join(lines), lines=True)


def state_table(log: Iterable[Line], names: Names) -> str:
    """Return a table of all conversations' transitions, as text.

    The test's starts, stops, kills and clock changes are shown between the transitions.

    Args:
        log: The bot's log and the test's notes, oldest first.
        names: The short names of users and rooms.
    """
    rows = [("time", "flow", "whose", "event", "from → to")]
    for line in log:
        if line["event"] == "moved":
            whose = names.short(line["key"]).replace("|", ", ")
            arrow = f"{line['source']} → {line['target']}"
            rows.append((_time(line), line["flow"], whose, line["by"], arrow))
        elif line["level"] == TEST:
            rows.append((_time(line), _note_text(line), "", "", ""))
    columns = zip(*(row for row in rows if row[-1]), strict=True)
    widths = [max(map(len, column)) for column in columns]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def log_text(log: Iterable[Line]) -> str:
    """Return the last ``MOST_LINES`` lines of the log, as text for people.

    Each entry gives one line, and a traceback gives further lines. Entries that exist only for
    tests, such as transitions, are left out.
    """
    lines = [
        text for line in log if line["event"] not in _TEST_ONLY_EVENTS for text in _log_lines(line)
    ]
    left_out = len(lines) - MOST_LINES
    head = [f"({left_out} lines before)"] if left_out > 0 else []
    return printable("\n".join(head + lines[-MOST_LINES:]), lines=True)


_TEST_ONLY_EVENTS = {"moved", "turn done", "passed over", "time was set forward"}
"""The ``event`` values of log entries that the bot writes only for tests."""

_SHOWN = {"event", "level", "timestamp", "exception"}


def _log_lines(line: Line) -> list[str]:
    if line["level"] == OUTPUT:
        return [line["event"]]
    if line["level"] == TEST:
        return [f"{_time(line)} {_note_text(line)}"]
    values = " ".join(f"{key}={value}" for key, value in line.items() if _says(key, value))
    first = f"{_time(line)} {line['level']:<7} {line['event']}  {values}".rstrip()
    return [first, *line.get("exception", "").splitlines()]


def _says(key: str, value: object) -> bool:
    return key not in _SHOWN and value is not None and value != []


def _note_text(line: Line) -> str:
    """Return the line of a report for a note of what the test did."""
    return f"──── {line['event']} {line.get('by', '')}".rstrip() + " ────"


def _time(line: Line) -> str:
    return str(line["timestamp"])[11:23]


def clock_time(at_ms: float) -> str:
    """Return the time of day of a Unix time in milliseconds, in UTC: ``12:34:56.789``."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def _lines(event: dict[str, Any], names: Names, shown: str) -> list[str]:
    at, who = clock_time(event.get("origin_server_ts", 0)), names.short(event["sender"])
    first, *rest = names.short(shown).split("\n")
    return [f"{at} {who:>8}  {first}".rstrip(), *(f"{'':23}{line}".rstrip() for line in rest)]


def _body(content: Mapping[str, Any], body: str, edits: int) -> str:
    kind = content.get("msgtype")
    if kind in ("m.file", "m.image", "m.video", "m.audio"):
        name = content.get("filename", body)
        body = f"(file {name})" + ("" if name == body else f" {body}")
    return body + ("" if not edits else "  (edited)" if edits == 1 else f"  (edited {edits} times)")


def _came_or_went(event: dict[str, Any], names: Names) -> str:
    what = COMINGS.get(event["content"].get("membership", ""), "changed")
    whom = event["state_key"]
    return f"({what})" if whom == event["sender"] else f"({names.short(whom)} {what})"


def _reactions(events: Iterable[dict[str, Any]], names: Names) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for event in events:
        relation = event.get("content", {}).get("m.relates_to", {})
        if event["type"] == "m.reaction" and "key" in relation:
            who = names.short(event["sender"])
            found.setdefault(relation["event_id"], []).append((relation["key"], who))
    return found
