"""A protocol and a seed kind of another package work everywhere, without touching fedseed."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.federation.running import lasting
from tests.outside.conftest import ROOT, Script

RUN, COMPARISON, PRIVACY = (
    f"simulations/{name}.py" for name in ("run_fed", "run_comparison", "run_privacy")
)


@pytest.fixture
def flags(small: dict[str, Any], tmp_path: Path) -> list[str]:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'optimiser = "adamw"\nlearning_rate = 1e-3\nbatch_size = 8\nmax_length = 16\n'
    )
    options = small | {"recipe": recipe, "protocol": "signs"}
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


def passed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def record_of(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "record.json").read_text())
    assert record["status"] == "completed"
    return record


def test_its_options_are_flags(script: Script, flags: list[str]) -> None:
    assert "signs" in passed(script("-m", "fedseed", "protocols"))
    assert "--step" in passed(script("-m", "fedseed", "protocols", "signs"))
    assert "How far a weight moves" in passed(script(RUN, "--protocol", "signs", "--help"))
    refused = script(RUN, *flags, "--step", "0")
    assert (refused.returncode, "step = 0" in refused.stderr) == (2, True)
    refused = script(RUN, *flags, "--keep", "0.5")
    assert (refused.returncode, "is an option of protocol weights" in refused.stderr) == (2, True)
    refused = script(RUN, *flags, "--privacy", "client", "--epsilon", "8")
    assert (refused.returncode, "nothing noises what protocol signs" in refused.stderr) == (2, True)


def test_a_run_its_table_and_its_figure(script: Script, flags: list[str], tmp_path: Path) -> None:
    plan = passed(script(RUN, *flags, "--dry-run"))
    assert "a client gets" in plan
    out = tmp_path / "out"
    table = passed(script(RUN, *flags, "--step=0.002", "--test-every=1", f"--out={out}"))
    assert "retention of the shared model" in table
    record = record_of(out)
    assert record["config"]["step"] == 0.002
    assert record["protocol"]["travelled"] == "signs of changes travelled"
    assert all("test" in result for result in record["rounds"])
    assert (out / "figure.png").stat().st_size > 10_000
    assert (out / "model" / "model.safetensors").is_file()
    # The record has what its table is made of: the package may be gone.
    alone = [sys.executable, "-m", "fedseed", "show", str(out / "record.json")]
    shown = subprocess.run(alone, cwd=ROOT, capture_output=True, text=True)
    assert "retention of the shared model" in passed(shown)


def test_a_killed_run_is_resumed(
    script: Script, environment: dict[str, str], flags: list[str], tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    passed(script(RUN, *flags, "--rounds=3", f"--out={whole}"))
    words = [sys.executable, RUN, *flags, "--rounds=3", f"--out={killed}"]
    transcript = killed / "transcript.jsonl"
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=-3, stderr=-3) as run:
        while run.poll() is None:
            if transcript.exists() and transcript.read_bytes().count(b"\n") >= 4:
                run.kill()
            time.sleep(0.01)
    passed(script(RUN, "--resume", str(killed)))
    assert lasting(record_of(killed)) == lasting(record_of(whole))


def test_a_row_of_the_comparison(script: Script, reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = passed(
        script(
            COMPARISON, "--protocols=signs", f"--data={reviews}", "--quick", "--max-length=16",
            "--partitions=iid", "--conditions=none", f"--out={out}",
        )
    )  # fmt: skip
    assert "signs" in table
    results = record_of(out)["results"]
    assert [cell["row"] for cell in results["cells"]] == ["signs"]
    assert results["cells"][0]["protocol"] == "signs"
    assert (out / "figure.png").stat().st_size > 10_000


def test_the_servers_attacks(script: Script, reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    passed(
        script(
            PRIVACY, "--protocol=signs", "--scenario=server", f"--data={reviews}", "--quick",
            "--shard=20", "--population=40", "--max-length=16", f"--out={out}",
        )
    )  # fmt: skip
    attacks = {cell["attack"] for cell in record_of(out)["results"]["cells"]}
    assert len(attacks) >= 4


def test_its_seed_kind(script: Script, flags: list[str], tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    from fedseed.models.architecture import architecture
    from fedseed.seeds.codec import assemble
    from fedseed.seeds.kinds.random import random_seed

    weights = assemble(random_seed("bert-tiny", 2, 3, "bert"), architecture("bert-tiny").shapes())
    source, seed = tmp_path / "model.safetensors", tmp_path / "a.fseed"
    save_file(weights, source)
    words = ["-m", "fedseed", "extract", str(source), "--model=bert-tiny", f"--out={seed}"]
    for wrong, says in (
        (["--k=3", "--kind=deviations"], "--k: for --kind pca only"),
        (["--kind=deviations", "--scale=0"], "scale"),
    ):
        refused = script(*words, *wrong)
        assert (refused.returncode, says in refused.stderr) == (2, True)
    extracted = passed(script(*words, "--kind=deviations", "--scale=0.5"))
    assert "kind: deviations" in extracted
    inspected = passed(script("-m", "fedseed", "inspect", str(seed), "--weights", str(source)))
    assert "kind: deviations" in inspected
    assert "reconstruction error over all tensors" in inspected
    out = tmp_path / "out"
    passed(script(RUN, *flags, "--workers=2", f"--seed-file={seed}", f"--out={out}"))
    assert record_of(out)["provenance"]["seed"]["seed_kind"] == "deviations"
