"""`python -m edgekd` and the console script."""

import sys

from edgekd.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
