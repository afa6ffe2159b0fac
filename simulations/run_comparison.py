"""What to send: ``python simulations/run_comparison.py``."""

import sys

from fedseed.cli.app import run_main
from fedseed.cli.study import study
from fedseed.studies.comparison.study import Comparison

if __name__ == "__main__":
    sys.exit(run_main(study(Comparison)))
