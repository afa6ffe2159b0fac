"""What a worker process needs: imported once, before the workers are forked."""

import os
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent process's to handle
os.environ["OMP_NUM_THREADS"] = "1"

import fedseed.data.site  # noqa: E402
import fedseed.federation.client_app  # noqa: E402, F401
