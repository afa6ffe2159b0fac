"""A federated run: ``python simulations/run_fed.py --clients 10``."""

import sys

from fedseed.federation.workers import asks_for_workers, start_early

if __name__ == "__main__" and asks_for_workers(sys.argv[1:]):
    start_early()  # before the rest is imported

from fedseed.cli.federated import run_federated

if __name__ == "__main__":
    sys.exit(run_federated())
