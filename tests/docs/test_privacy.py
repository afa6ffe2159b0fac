"""Figures of the pages on privacy are those of the study's record."""

from fedseed.studies.privacy.budget_table import defence_grid
from fedseed.studies.privacy.table import crafted_line, main_grid
from tests.docs.pages import flat, official, read_page


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
    audits = {
        c["setting"]: c["epsilon_lower_bound"] for c in cells if c["attack"] == "one-run audit"
    }
    value = audits.pop("no differential privacy")["value"]
    assert f"from below by {value:.2f} without a defence (one run)" in overview
    assert {claim.removeprefix("epsilon ") for claim in audits} == {"0.5", "1", "4", "8"}
    asked = [c for c in cells if c["attack"] == "repeated audit" and not c.get("caught")]
    largest = max(asked, key=lambda c: c["epsilon_lower_bound"]["largest"])
    assert round(largest["epsilon_claimed"], 2) == 8
    assert f"find up to {largest['epsilon_lower_bound']['largest']:.2f} of 8" in overview
    assert all(c["epsilon_lower_bound"]["largest"] <= c["epsilon_claimed"] for c in asked)
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
    assert {bound["largest"] for bound in audits.values()} == {0.0}
    for cell in cells:
        if cell["setting"] == "texts never seen":
            assert abs(cell["auc"]["value"] - 0.5) <= 0.03
