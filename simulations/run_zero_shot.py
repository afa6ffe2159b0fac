"""The zero-shot study: ``python simulations/run_zero_shot.py``."""

import sys

from fedseed.cli import run_main, study

if __name__ == "__main__":
    sys.exit(run_main(study("zero_shot")))
