"""``python -m strandline.testing.child MODULE …``: runs a module, and ends with its parent.

On Linux, the kernel kills the process when its parent ends. Elsewhere, the process lives on.
"""

import ctypes
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends.

    Does nothing on systems other than Linux.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Run the module that the first command-line argument names, with the other arguments."""
    die_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
