"""The command ``strandline``, and ``python -m strandline``."""

import sys

try:
    from strandline.cli.main import main
except (ImportError, AttributeError):
    from strandline.cli.package_names import fatal_clashes

    if not (_problem := fatal_clashes()):
        raise
    sys.stderr.write(f"strandline: {_problem}\n")
    sys.exit(2)

if __name__ == "__main__":
    main()
