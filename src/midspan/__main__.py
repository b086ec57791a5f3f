"""`python -m midspan` is the command `midspan`."""

import sys

from midspan.cli import main

if __name__ == "__main__":
    sys.exit(main())
