"""``python -m strandline.testing.forkserver FD``: forks bots with the modules already imported.

The server forks a process for each request on the socket ``FD``. A request is a JSON object with
the keys ``module``, ``arguments``, ``directory``, ``environment`` and ``output``, which is a path.
The request carries the file descriptor of a socket for the response. The response is one line with
the process id, and a second line with the exit code, as in ``subprocess``, when the process has
ended. When the client closes the socket ``FD``, the server kills its children and exits.
"""

import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from typing import Any

import strandline.cli.run  # noqa: F401  # what a bot would import: that is what this is for
from strandline.testing.child import die_with_parent
from strandline.testing.forks import REQUEST_BYTES


class ForkServer:
    """Forks a child for each request, and reports each child that ends to its client.

    Args:
        requests: The socket on which requests arrive.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._children: dict[int, socket.socket] = {}
        self._wakeup, wake = socket.socketpair()
        self._wakeup.setblocking(False)
        wake.setblocking(False)
        self._wake = wake
        # Ctrl-C is meant for the tests and their bots, not for this server
        self._at_ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Fork a child for each request until the request socket is closed, then exit.

        The method returns only in the children. The caller then runs the requested module, which is
        ``sys.argv[0]``.
        """
        while True:
            readable, _, _ = select.select([self._requests, self._wakeup], [], [])
            if self._wakeup in readable:
                self._wakeup.recv(4096)
                self._reap()
            if self._requests not in readable:
                continue
            message, descriptors, _, _ = socket.recv_fds(self._requests, REQUEST_BYTES, 1)
            if not message:
                self._end()
            answers = socket.socket(fileno=descriptors[0])
            if (pid := os.fork()) == 0:
                answers.close()
                self._become(json.loads(message))
                return
            self._children[pid] = answers
            _tell(answers, pid)

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                answers = self._children.pop(pid)
                _tell(answers, os.waitstatus_to_exitcode(status))
                answers.close()

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        sys.exit()

    def _become(self, request: dict[str, Any]) -> None:
        """Set up a forked child for its request: do everything except running the module."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self._at_ctrl_c)
        die_with_parent()
        for own in (self._requests, self._wakeup, self._wake, *self._children.values()):
            own.close()
        output = os.open(request["output"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        importlib.invalidate_caches()
        if not sys.flags.safe_path:
            sys.path[0] = request["directory"]
        sys.argv[:] = [request["module"], *request["arguments"]]


def _tell(answers: socket.socket, number: int) -> None:
    try:
        answers.sendall(f"{number}\n".encode())
    except BrokenPipeError:
        """The client has closed the response socket: nobody waits for the number."""


def main() -> None:
    """Run the fork server; in each forked child, run the requested module."""
    ForkServer(socket.socket(fileno=int(sys.argv[1]))).run()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
