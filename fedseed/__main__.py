"""``python -m fedseed``: look at records, seeds and protocols, extract seeds."""

import sys

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app

if __name__ == "__main__":
    sys.exit(run_app(app))
