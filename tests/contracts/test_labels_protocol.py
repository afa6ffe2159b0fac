"""The labels protocol: the contract for 1 and for 4 bits, coding of labels, public texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, DataError, WireError
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.labels.messages import decode_labels, encode_labels
from fedseed.protocols.labels.server import LabelsServer
from fedseed.protocols.shared_model import HEAD_BYTES
from fedseed.runs.plan import make_plan
from tests.contracts.protocol_contract import ProtocolContract, World


class TestOneBit(ProtocolContract):
    protocol = "labels"
    options: ClassVar[Mapping[str, Any]] = {"public": "reviews:80", "distil_steps": 3}

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        assert isinstance(server, LabelsServer)
        found = decode_labels(contribution[HEAD_BYTES:], 80, 2)
        assert server._labels is not None
        assert np.array_equal(server._labels, found)

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        return {
            "another number of texts": head + encode_labels(np.full((79, 2), 0.5, np.float32), 1),
            "a class too many": head + body[:7] + b"\x02" + body[8:],
            "three bits": head + b"\x03" + body[1:],
            "no frequency": head + body[:8] + bytes(2) + body[10:],
            "long": contribution + bytes(4),
        }


class TestFourBits(TestOneBit):
    options: ClassVar[Mapping[str, Any]] = {
        "public": "reviews:80", "distil_steps": 3, "label_bits": 4,
    }  # fmt: skip

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        return {"long": contribution + bytes(4)}


@given(
    texts=st.integers(1, 300), classes=st.integers(2, 7), bits=st.sampled_from([1, 2, 4, 8]),
    key=st.integers(0, 2**32),
)  # fmt: skip
def test_labels_survive_within_half_a_level(texts: int, classes: int, bits: int, key: int) -> None:
    rng = np.random.default_rng(key)
    labels = rng.dirichlet(np.full(classes, 0.3), texts).astype(np.float32)
    found = decode_labels(encode_labels(labels, bits), texts, classes)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    if bits == 1:
        assert np.array_equal(found.argmax(axis=1), labels.argmax(axis=1))
    else:
        # Rounding moves each class by half a level; renormalising by as much again.
        assert np.abs(found - labels).max() <= 0.5 * classes / (2**bits - 1) + 1e-6


@given(data=st.binary(max_size=200))
def test_hostile_labels_are_refused_or_are_probabilities(data: bytes) -> None:
    try:
        found = decode_labels(data, 10, 2)
    except WireError:
        return
    assert found.shape == (10, 2)
    assert np.isfinite(found).all()


def test_a_bit_a_label() -> None:
    rng = np.random.default_rng(2)
    for share in (0.5, 0.1):
        labels = np.eye(2, dtype=np.float32)[(rng.random(8000) < share).astype(int)]
        known = labels.mean(axis=0)
        entropy = float(-(known * np.log2(known)).sum())
        assert len(encode_labels(labels, 1)) <= 1.02 * 8000 * entropy / 8 + 30


def test_it_learns_from_labels_alone(small: dict[str, Any], tmp_path: Path) -> None:
    """One round; the model has seen only public texts and what the clients said of them."""
    recipe = Path(__file__).parents[1] / "federation" / "recipe.toml"
    options = {"protocol": "labels", "public": "reviews:100", "steps": 40, "distil_steps": 60}
    plan = make_plan(RunConfig.parse(small | options | {"recipe": str(recipe)}))
    world, server = World(plan), plan.server()
    contributions = world.round(server, 1, [0, 1, 2])
    server.aggregate(1, contributions)
    assert max(map(len, contributions.values())) < 60
    rows, table = plan.federated.test_rows(), plan.federated.dataset.table
    model = server.model()
    assert model is not None
    found = world.plan.server().setup.trainer.predict(model, table, rows, plan.max_length)  # type: ignore[attr-defined]
    assert (found.argmax(axis=1) == table.labels[rows]).mean() > 0.85


def test_public_texts_are_nobody_s(small: dict[str, Any]) -> None:
    plan = make_plan(RunConfig.parse(small | {"protocol": "labels", "public": "reviews:60"}))
    public = plan.federated.public
    assert public is not None
    assert not public.table.labels.any()
    private = np.concatenate(plan.federated.parts)
    assert not set(public.rows) & set(private)
    assert not set(public.rows) & set(plan.federated.dataset.test)
    assert len(public.rows) + len(private) == len(plan.federated.dataset.train)


def test_bad_public_texts(small: dict[str, Any], reviews: Path, tmp_path: Path) -> None:
    import pandas

    texts = list(pandas.read_csv(reviews)["review"])
    overlapping, empty = tmp_path / "all.txt", tmp_path / "empty.txt"
    overlapping.write_text("\n".join(texts))
    empty.write_text("\n \n")
    for public, words in (
        ("sentences:0", "sentences:N with N from 1 to 8530"),
        ("sentences:9000", "from 1 to 8530"),
        ("sentences:two", "from 1 to 8530"),
        (str(overlapping), "60 of its texts are test texts"),
        (str(empty), "is empty"),
        ("nowhere.txt", "give sentences, reviews:N"),
        ("x" * 10_000, "give sentences, reviews:N"),
        ("reviews:many", "write reviews:N"),
        ("reviews:0", "write reviews:N"),
        ("reviews:200", "from 1 to 120"),
    ):
        with pytest.raises(DataError, match=words):
            make_plan(RunConfig.parse(small | {"protocol": "labels", "public": public}))
    for changes, words in (
        ({"public": "sentences"}, "--public is an option of protocol labels, not recipe"),
        ({"protocol": "labels", "label_bits": 3}, "give 1, 2, 4 or 8"),
        ({"protocol": "labels", "keep": 0.5}, "--keep is an option of protocol weights"),
        ({"protocol": "weights", "strategy": "best"}, "unknown strategy 'best'"),
    ):
        with pytest.raises(ConfigError, match=words):
            RunConfig.parse(small | changes)


def test_the_first_of_the_installed_sentences(small: dict[str, Any]) -> None:
    found = {}
    for public in ("sentences", "sentences:7"):
        plan = make_plan(RunConfig.parse(small | {"protocol": "labels", "public": public}))
        assert plan.federated.public is not None
        found[public] = plan.federated.public.rows.tolist()
    assert len(found["sentences"]) == 8530
    assert found["sentences:7"] == found["sentences"][:7]


def test_a_file_of_public_texts(small: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "public.txt"
    path.write_text("a wonderful film\na boring film\n\na wonderful film\n")
    plan = make_plan(RunConfig.parse(small | {"protocol": "labels", "public": str(path)}))
    assert plan.federated.public is not None
    assert len(plan.federated.public.rows) == 2
