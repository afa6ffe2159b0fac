"""How a protocol describes itself: all that the rest of fedseed knows of it by name.

Light to import: neither torch nor Flower, so that ``--help`` is quick.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from fedseed.discovery import load
from fedseed.privacy.protection import Protection
from fedseed.protocols.rows import BODY_ALONE, Row
from fedseed.recipe import Recipe

EndsWith = Literal["recipe", "seed", "model"]
"""What a run ends with: a recipe or a seed by which everybody makes a model, or one model."""
Revealed = Literal["model", "word_rows", "update", "scores"]
"""What a contribution shows whoever reads it; attacks name what they need of it.

``model``: alone it makes a model. ``word_rows``: it says something of each row of the word
embedding. ``update``: it is the change of the weights itself. ``scores``: it holds metrics that the
client measured, of a model made from the server's seed.
"""


class ProtocolOptions(BaseModel):
    """A protocol's own options; flags, TOML, ``--run-config`` and docs are made of the fields.

    A description is the command line's help text. Validators raise ValueError with one line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    small_of_bodies: ClassVar[Mapping[str, Any]] = {}
    """What ``--quick`` makes of options that were not given, where the model is a published one."""

    @property
    def public_texts(self) -> str | None:
        """Which texts server and clients share, for a protocol that needs some."""
        return None

    def for_classes(self, classes: int) -> dict[str, Any]:  # noqa: ARG002  # others look at it
        """Options whose defaults depend on the number of classes, as they are for so many."""
        return {}

    def check_steps(self, steps: int) -> None:
        """Raise ValueError, in one line, when a client's steps in one round do not suffice."""

    def without_effect(self) -> Mapping[str, str]:
        """Options that change nothing beside the others: what each works with, by its name."""
        return {}

    def warnings(self, clients: int) -> list[str]:  # noqa: ARG002  # others look at it
        """What the options cannot do with so many clients in one round, a line each."""
        return []


def _any(_: Any, __: int) -> None:
    """Nothing is refused."""


@dataclass(frozen=True)
class Sums:
    """Contributions of which the server needs the sum alone."""

    words: str
    """What is summed, in a few words."""
    refuse: Callable[[Any, int], None] = _any
    """Called with the protocol's options and the number of rounds; raises ValueError, in one line,
    for those under which contributions do not add up."""


@dataclass(frozen=True)
class Style:
    """How a protocol is drawn, and what tables and figures call what it brings."""

    colour: str
    """Any colour that matplotlib knows."""
    marker: str
    """One of matplotlib's markers."""
    travelled: str
    """What travelled, such as ``weights travelled``."""
    aggregated: str
    """What a run ends with, such as ``averaged weights``."""
    given: str = "trained alone"
    """What a client has without the protocol."""


@dataclass(frozen=True)
class Protocol:
    """One way to a model, as the rest of fedseed sees it.

    It stands as ``PROTOCOL`` in ``__init__.py`` of a folder of :mod:`fedseed.protocols`, or in a
    package that names it by an entry point of the group ``fedseed.protocols``.
    """

    name: str
    summary: str
    """What travels, in a few words."""
    options: type[ProtocolOptions]
    server: str
    """``module:attribute`` of a :class:`fedseed.protocols.base.ProtocolServer`, made of a Setup."""
    client: str
    """``module:attribute`` of a :class:`fedseed.protocols.base.ProtocolClient`."""
    ends_with: EndsWith
    style: Style
    typical_upload: float
    """About the bytes that one client sends in a run; tables and figures are in this order."""
    sums: Sums | None = None
    """How contributions add up, so that secure aggregation can hide each of them; None when the
    server must see each."""
    privacy: Mapping[str, Protection] = field(default_factory=dict)
    """By unit, ``example`` or ``client``: how differential privacy can protect it."""
    privacy_advice: Mapping[str, str] = field(default_factory=dict)
    """By unit that cannot be protected: why, and what to do instead, in one line."""
    reveals: frozenset[Revealed] = frozenset()
    numbers: str | None = None
    """``module:attribute`` of a function that reads payloads as numbers for attacks, where
    contributions make no model; see :class:`fedseed.attacks.replay.Numbers`."""
    words: str | None = None
    """``module:attribute`` of a function that reads the words that contributions name, where they
    name any; see :class:`fedseed.attacks.word_counts.Reading`."""
    rows: Mapping[str, Row] = field(default_factory=dict)
    """Rows of the comparison, by name; one with usual options when none are given."""

    def make_server(self, setup: Any) -> Any:
        """The server side of one run; imports it.

        Args:
            setup: a :class:`fedseed.protocols.base.Setup`.
        """
        return load(self.server)(setup)

    @property
    def client_class(self) -> Any:
        """The class of the client side; imports it."""
        return load(self.client)

    def make_client(self, options: ProtocolOptions | None = None, **parts: Any) -> Any:
        """The client side; imports it.

        Args:
            options: the protocol's own; by default when None.
            **parts: see :class:`fedseed.protocols.base.ProtocolClient`.
        """
        return self.client_class(self.options() if options is None else options, **parts)

    def usual_recipe(self, values: Mapping[str, Any], body: bool) -> Recipe:
        """How clients train where nobody says it: as in a row of the comparison.

        That is the row of the most options among those all of whose options the run has; or else
        the protocol's own, or its first main one. On a body rows are taken as they are there.

        Args:
            values: the run's options by name, ``start`` resolved.
            body: whether the model is a published one.
        """
        rows = {name: row.body if body else row for name, row in self.rows.items()}
        there = {name: row for name, row in rows.items() if row is not None}
        start = values.get("start", "random")
        alike = {n: r for n, r in there.items() if r.options.get("start", "random") == start}
        chosen = alike or there
        fitting = [row for row in chosen.values() if row.options.items() <= values.items()]
        main = [chosen[name] for name in chosen if self.rows[name].main]
        if fitting:
            return max(fitting, key=lambda row: len(row.options)).recipe
        for row in (chosen.get(self.name), *main, *chosen.values()):
            if row is not None:
                return row.recipe
        return BODY_ALONE if body else Recipe()

    def to_record(self) -> dict[str, Any]:
        """What tables and figures need of it, so that a record can be shown without it."""
        style = self.style
        return {
            "name": self.name, "summary": self.summary, "ends_with": self.ends_with,
            "colour": style.colour, "marker": style.marker, "travelled": style.travelled,
            "given": style.given, "aggregated": style.aggregated,
            "reveals": sorted(self.reveals),
        }  # fmt: skip
