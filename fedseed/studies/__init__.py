"""Studies: measurements that make one table and end in a record. One folder each.

A folder describes itself by ``STUDY`` in its ``__init__.py``; nothing else names the studies.
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from fedseed.studies.description import StudyDescription


@functools.cache
def find_studies() -> Mapping[str, StudyDescription]:
    """All studies by the kind of their records, in the order of their names."""
    folders = (found.name for found in pkgutil.iter_modules(__path__) if found.ispkg)
    modules = (importlib.import_module(f"{__name__}.{folder}") for folder in sorted(folders))
    return {module.STUDY.kind: module.STUDY for module in modules}
