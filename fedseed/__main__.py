"""``python -m fedseed``: the command ``fedseed``."""

import sys

from fedseed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
