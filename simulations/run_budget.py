"""The smallest budget: ``python simulations/run_budget.py``."""

import sys

from fedseed.cli import run_main, study

if __name__ == "__main__":
    sys.exit(run_main(study("budget")))
