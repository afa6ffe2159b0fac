"""Attacks describe themselves: found by folder, light, and applied to what protocols reveal."""

import subprocess
import sys

import pytest

from fedseed.attacks import attacks
from fedseed.attacks.observer import OBSERVERS
from fedseed.discovery import load
from fedseed.protocols import find_protocol

MODELS = {"weights", "adapters", "mask", "scalars", "labels", "lexicon"}
EVERYBODY = {"server", "eavesdropper", "client", "newcomer"}
APPLIES = {
    "membership": (EVERYBODY, MODELS | {"recipe"}),
    "tokens": ({"server", "eavesdropper"}, MODELS - {"labels"}),
    "label-distribution": ({"server", "eavesdropper"}, MODELS | {"recipe"}),
    "canaries": ({"server", "newcomer"}, MODELS),
    "audit": ({"server"}, {"weights"}),
    "many-shadows": ({"server"}, MODELS),
    "crafted": ({"malicious-server"}, {"recipe"}),
}


def test_attacks_are_found_by_folder() -> None:
    assert list(attacks()) == sorted(APPLIES)
    for name, attack in attacks().items():
        assert attack.name == name
        assert set(attack.needs) <= set(OBSERVERS)
        assert attack.reports
        assert callable(load(attack.judge))


@pytest.mark.parametrize("name", APPLIES)
def test_an_attack_is_made_where_a_protocol_reveals_what_it_needs(name: str) -> None:
    observers, protocols = APPLIES[name]
    for protocol in MODELS | {"recipe"}:
        for observer in OBSERVERS:
            expected = observer in observers and protocol in protocols
            if (name, observer, protocol) == ("canaries", "newcomer", "recipe"):
                expected = True  # the newcomer trains a model of the result
            assert attacks()[name].applies(observer, find_protocol(protocol)) == expected


def test_descriptions_are_light() -> None:
    heavy = "('torch', 'flwr', 'scipy', 'sklearn')"
    code = (
        "import sys; from fedseed.attacks import attacks; attacks(); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
