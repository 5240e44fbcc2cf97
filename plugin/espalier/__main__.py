"""``python -m espalier``: the command line."""

import sys

from espalier.cli import main

sys.exit(main())
