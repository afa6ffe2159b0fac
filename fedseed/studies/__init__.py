"""Studies: measurements that make one table and end in a record. One folder each.

A folder describes itself by ``STUDY`` in its ``__init__.py``; nothing else names the studies.
"""

import functools
import pkgutil
from collections.abc import Mapping

from fedseed.discovery import load
from fedseed.studies.description import StudyDescription


@functools.cache
def find_studies() -> Mapping[str, StudyDescription]:
    """All studies by the kind of their records, in the order of their names."""
    folders = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    studies = [load(f"{__name__}.{folder}:STUDY") for folder in folders]
    return {study.kind: study for study in studies}
