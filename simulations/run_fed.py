"""A federated run: ``python simulations/run_fed.py --clients 10``."""

import sys

from fedseed.cli import federated, run_main

if __name__ == "__main__":
    sys.exit(run_main(federated))
