"""Learning rates from a seed: ``python simulations/run_rates.py``."""

import sys

from fedseed.cli.exit_status import run_main
from fedseed.cli.study import study

if __name__ == "__main__":
    sys.exit(run_main(study("rates")))
