"""What each protocol gives away: ``python simulations/run_privacy.py``."""

import sys

from fedseed.cli import run_main, study

if __name__ == "__main__":
    sys.exit(run_main(study("privacy")))
