"""What a worker process needs: imported once, before the workers are forked."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import fedseed.data.site
import fedseed.federation.client_app  # noqa: F401
