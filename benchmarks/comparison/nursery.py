"""Runs in the peers' environment: imports a framework once, then forks each life of a bot.

Importing takes seconds on a busy machine, and every kill would cost them. What a life knows besides
the framework's modules it has from its files alone, like a process that was started anew.

    python nursery.py MODULE PROGRAM      a line on stdin: a life begins; its process id is printed
"""

import importlib
import logging
import os
import runpy
import signal
import sys


def main() -> None:
    module, program = sys.argv[1:]
    for name in module.split(","):
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who was killed
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(2, 1)
            logging.basicConfig(level=logging.INFO)
            runpy.run_path(program, run_name="__main__")
            return
        print(pid, flush=True)  # noqa: T201  # to who asked


if __name__ == "__main__":
    main()
