"""``python -m strandline``, and the command ``strandline``."""

import sys

try:
    from strandline.cli.main import main
except (ImportError, AttributeError):
    from strandline.cli.package_names import clashes_told

    if not (_told := clashes_told()):
        raise
    sys.stderr.write(f"strandline: {_told}\n")
    sys.exit(2)

if __name__ == "__main__":
    main()
