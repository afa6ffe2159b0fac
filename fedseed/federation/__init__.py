"""The only room that imports Flower: apps, engines, and what travels between them."""

import os

# Flower and ray phone home unless told not to; must be set before they are imported. oneDNN keeps
# a compiled kernel for each of the last 1,024 shapes of bf16 matrices: fewer need less memory.
for _name, _value in (
    ("FLWR_TELEMETRY_ENABLED", "0"),
    ("FLWR_DISABLE_UPDATE_CHECK", "1"),
    ("RAY_USAGE_STATS_ENABLED", "0"),
    ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"),
    ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "200"),
):
    os.environ.setdefault(_name, _value)
