"""The exceptions that fedseed raises.

::

    FedseedError
    ├── InputError         what the user gave cannot be used (exit status 2)
    │   ├── ConfigError    an option or a combination of options
    │   ├── DataError      a data set, a column, a label, a partition
    │   ├── RecipeError    a recipe
    │   ├── SeedError      a seed or a .fseed file
    │   └── OutputError    the output folder, the cache, a run to resume
    ├── WireError          a message that cannot be decoded or believed
    └── RunError           a run that could not go on (exit status 1)

Everything below ``InputError`` carries one line that says what to do. Any other
exception is a programming error and keeps its traceback.
"""


def first_line(error: Exception, longest: int = 160) -> str:
    """The first line of another library's error, cut to ``longest`` characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:longest]


def one_line(name: str, longest: int = 160) -> str:
    """A name out of a file, for a message: printable and at most ``longest`` characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:longest])


class FedseedError(Exception):
    """Base class of all exceptions raised on purpose by fedseed."""


class InputError(FedseedError):
    """Something that the user gave cannot be used; the message says what to do."""

    def __str__(self) -> str:
        """The message in one line, whatever stands in what the user gave."""
        return " ".join(super().__str__().splitlines())


class ConfigError(InputError):
    """An option, or a combination of options, is not valid."""


class DataError(InputError):
    """A data set cannot be read, split or partitioned as asked."""


class RecipeError(InputError):
    """A recipe has a missing, unknown or impossible value."""


class SeedError(InputError):
    """A seed is malformed, altered, or does not fit the architecture."""


class OutputError(InputError):
    """A folder or file cannot be written, or a run cannot be resumed."""


class WireError(FedseedError):
    """A message from the other side cannot be decoded or believed."""


class RunError(FedseedError):
    """A run could not go on, for example because too few clients replied."""
