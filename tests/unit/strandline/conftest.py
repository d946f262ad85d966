import threading

import pytest

import matrix.outbound.markdown


@pytest.fixture
def rendering_threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The thread of each text that is made HTML from now on."""
    threads: list[threading.Thread] = []
    to_html = matrix.outbound.markdown.to_html

    def noted(text: str) -> str:
        threads.append(threading.current_thread())
        return to_html(text)

    monkeypatch.setattr(matrix.outbound.markdown, "to_html", noted)
    return threads
