"""What to send: ``python simulations/run_comparison.py``."""

import sys

from fedseed.cli import run_main, study
from fedseed.studies.comparison.study import Comparison

if __name__ == "__main__":
    sys.exit(run_main(study(Comparison)))
