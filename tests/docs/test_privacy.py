"""Figures of the pages on privacy are those of the study's record."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.studies.privacy.budget_table import defence_grid
from fedseed.studies.privacy.table import crafted_line, main_grid
from tests.docs.pages import flat, official, read_page


def audits_line(cells: Sequence[Mapping[str, Any]]) -> str:
    """What audits say of every guarantee of a text."""

    def bounds(row: str, attack: str, setting: str = "epsilon 8") -> Mapping[str, Any]:
        key = row, attack, setting
        (found,) = [c for c in cells if (c["row"], c["attack"], c["setting"]) == key]
        bound: Mapping[str, Any] = found["epsilon_lower_bound"]
        return bound

    asked = [c for c in cells if c["attack"].endswith(" audit") and c["epsilon_claimed"]]
    right = [c for c in asked if "caught" not in c]
    assert all(c["epsilon_lower_bound"]["largest"] <= c["epsilon_audited"] for c in right)
    assert {c["setting"] for c in right} == {f"epsilon {e}" for e in ("0.5", "1", "4", "8")}
    wrong = [c for c in asked if "caught" in c]
    assert wrong
    assert all(c["caught"] for c in wrong)
    head, weights = bounds("head", "repeated audit"), bounds("weights", "repeated audit")
    planted = bounds("weights", "one-run audit")
    plain = bounds("weights", "one-run audit", "no differential privacy")
    return (
        f"A head is shown to spend {head['value']:.2f} of 8 at least (the largest of five runs: "
        f"{head['largest']:.2f}), weights {weights['value']:.2f} ({weights['largest']:.2f}) where "
        f"they are asked for many times and {planted['value']:.2f} ({planted['largest']:.2f}; "
        f"without a defence {plain['value']:.2f}) in one run"
    )


def counts_line(cells: Sequence[Mapping[str, Any]]) -> str:
    """What audits say of counts."""
    counts = [c for c in cells if (c["row"], c["attack"]) == ("lexicon-counts", "repeated audit")]
    right = [c for c in counts if "caught" not in c]
    most = max(c["epsilon_lower_bound"]["largest"] for c in right)
    alone, summed, mistaken, mistaken_sum = (
        f"{found['epsilon_lower_bound']['value']:.2f}"
        for wrong in (False, True) for secure in (False, True) for found in counts
        if ("caught" in found, found["secure_aggregation"]) == (wrong, secure)
        and (wrong or found["setting"] == "epsilon 8")
    )  # fmt: skip
    return (
        f"(the largest: {most:.2f} of 8). At epsilon 8 the mean of five is {alone} where each "
        f"client noises alone and {summed} of a sum; with half of the noise by mistake, epsilon 4 "
        f"is refuted ({mistaken} and {mistaken_sum})."
    )


def test_what_pages_say_of_privacy_is_in_its_record() -> None:
    results = official("privacy")["results"]
    cells = results["cells"]
    pages = {
        "server": "server", "eavesdropper": "eavesdropper", "client": "another-client",
        "newcomer": "newcomer",
    }  # fmt: skip
    for observer, page in pages.items():
        here = [c for c in cells if c["observer"] == observer and c["setting"] is None]
        assert main_grid(here) in read_page(f"docs/privacy/{page}.md")
    assert crafted_line(cells) in read_page("docs/privacy/malicious-server.md")
    overview = read_page("docs/privacy/README.md")
    assert defence_grid(cells) in overview
    overview = flat(overview)
    assert audits_line(cells) in overview
    assert counts_line(cells) in flat(read_page("docs/results/private-words.md"))
    mixes = {c["row"]: c for c in cells
             if c["observer"] == "server" and c["attack"] == "label-distribution"}  # fmt: skip
    for row, cell in mixes.items():  # what is said to be read is read, and only that
        read = cell["label_error"]["ci95"][1] < cell["label_error_of_guessing"]["ci95"][0]
        assert read == (row not in ("recipe", "lexicon"))
    once = {(c["observer"], c["row"]): c["exposure_bits"]["value"] for c in cells
            if c["attack"] == "canary trained on 1 time(s)"}  # fmt: skip
    bits = {observer: [f"{once[observer, row]:.1f}" for row in ("weights", "adapters", "mask")]
            for observer in ("server", "newcomer")}  # fmt: skip
    server, final = bits["server"], bits["newcomer"]
    assert server[1] == server[2]
    words = f"(the server: {server[0]} bits under weights, {server[1]} under adapters and masks; "
    assert f"{words}the final model: {', '.join(final)})" in overview
    for cell in cells:
        if cell["setting"] == "texts never seen":
            assert abs(cell["auc"]["value"] - 0.5) <= 0.03
