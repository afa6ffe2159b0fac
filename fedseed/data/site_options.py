"""Options of runs whose clients have a table each, or are tested on texts of their own."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from fedseed.data.options import ShardOptions
from fedseed.options import refuse_no_path

SITES = "sites"
"""``--data`` where every node opens its own table; ``sites:FOLDER`` in a simulation."""


def is_of_sites(data: str) -> bool:
    """Whether every client has a table of its own."""
    return data == SITES or data.startswith(f"{SITES}:")


def with_all_sites(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options as they were given; of sites all take part unless others are asked for."""
    data = str(values.get("data", ""))
    if not is_of_sites(data):
        return values
    newcomers = values.get("newcomers", 0)
    known: dict[str, Any] = {"newcomers": newcomers}
    files = count_site_files(data.partition(":")[2])
    if files and isinstance(newcomers, int):
        known["clients"] = max(1, files - newcomers)
    return {**known, **values}


def count_site_files(folder: str) -> int:
    """How many sites a simulation's folder has; 0 where there is none."""
    return len(list(Path(os.path.expanduser(folder)).glob("*.toml"))) if folder else 0


def class_names(classes: str) -> list[str]:
    """Names of classes that are joined by commas."""
    return [name.strip() for name in classes.split(",")]


class SiteOptions(ShardOptions):
    """How clients are tested, and what is said of data that nobody has together."""

    subject: ClassVar[str] = "Sites with their own tables"

    evaluate: Literal["auto", "common", "federated"] = Field(
        "auto", description="Where models are tested: common (one test split for all), federated "
        "(each client on texts of its own that are held out), or auto: federated for --data sites."
    )  # fmt: skip
    held_out: float = Field(
        0.2, gt=0, lt=1, description="Under --evaluate federated, share of a client's examples "
        "that it is tested on; sites say it themselves."
    )  # fmt: skip
    classes: str | None = Field(
        None, description="With --data sites: the run's classes, joined by commas; without it "
        "those of the sites that tell them."
    )  # fmt: skip
    smallest_site: int | None = Field(
        None, ge=1, description="With --data sites: fewest training texts of a site, which DP-SGD "
        "is accounted for; a site of fewer refuses."
    )  # fmt: skip
    server_test: str | None = Field(
        None, description="With --data sites: a .toml file like a site's, of a labelled table that "
        "the server has; what the run ends with is tested on all of its texts too."
    )  # fmt: skip

    @field_validator("server_test")
    @classmethod
    def _names_a_file(cls, path: str | None) -> str | None:
        return refuse_no_path(path)

    @field_validator("classes")
    @classmethod
    def _are_several(cls, classes: str | None) -> str | None:
        if classes is None:
            return None
        names = class_names(classes)
        if len(names) < 2 or len(set(names)) < len(names) or not all(names):
            raise ValueError("give two names at least, none of them twice, joined by commas")
        return ",".join(names)

    @property
    def of_sites(self) -> bool:
        """Whether every client has a table of its own."""
        return is_of_sites(self.data)

    @property
    def tested_by_clients(self) -> bool:
        """Whether each client tests on texts of its own."""
        return self.evaluate == "federated" or (self.evaluate == "auto" and self.of_sites)

    @property
    def said_by_sites(self) -> frozenset[str]:
        """Options that ``--quick`` has no say in, since the sites are what they are."""
        return frozenset({"clients", "newcomers"}) if self.of_sites else frozenset()

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the run's classes, where they were given."""
        return () if self.classes is None else class_names(self.classes)

    def refuse_impossible_sites(self, counts_sizes: bool) -> None:
        """Refuse options that say of sites what sites say themselves, or the other way round.

        Args:
            counts_sizes: whether privacy is accounted for by the size of the smallest client.

        Raises:
            ValueError: with one line that says what to do.
        """
        if not self.of_sites:
            for name in ("classes", "smallest_site", "server_test"):
                if getattr(self, name) is not None:
                    flag = "--" + name.replace("_", "-")
                    raise ValueError(f"{flag} works with --data sites only: leave it out")
            return
        if self.evaluate == "common":
            raise ValueError("--data sites: nobody has a common test split: --evaluate federated")
        theirs = ("text_column", "label_column", "encoding", "separator", "by")
        given = [name for name in theirs if getattr(self, name) is not None]
        given += ["drop_rare"] if self.drop_rare else []
        if given or self.partition != "iid" or self.header != "auto":
            raise ValueError(
                "--data sites: columns, separators and partitions are the sites' own: leave them "
                "out"
            )
        if counts_sizes and self.smallest_site is None:
            raise ValueError(
                "--data sites: DP-SGD is accounted for the smallest site: give --smallest-site"
            )
