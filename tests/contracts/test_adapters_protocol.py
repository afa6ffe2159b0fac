"""The adapters protocol: the contract for both kinds, factors, merging, learning."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedseed.coding.codecs import make_codec
from fedseed.config import RunConfig
from fedseed.errors import ConfigError, WireError
from fedseed.protocols.adapters.low_rank import AdaptedModel, merged
from fedseed.protocols.adapters.messages import Layout, read_download
from fedseed.protocols.adapters.server import AdaptersServer
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.shared_model import HEAD_BYTES, flat_weights
from fedseed.runs.plan import make_plan
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.pretrained import pretrained_seed
from fedseed.seeds.kinds.random import random_seed
from tests.contracts.protocol_contract import ProtocolContract, World
from tests.models.test_published import folder

FP32 = make_codec("fp32", 1.0)
SHAPES = {
    "bert.embeddings.word_embeddings.weight": (50, 6),
    "bert.embeddings.position_embeddings.weight": (9, 6),
    "bert.embeddings.LayerNorm.weight": (6,),
    "bert.encoder.layer.0.output.dense.weight": (6, 24),
    "bert.encoder.layer.0.output.dense.bias": (6,),
    "classifier.weight": (2, 6),
    "classifier.bias": (2,),
}


class TestFrozenFactor(ProtocolContract):
    protocol = "adapters"
    options: ClassVar[Mapping[str, Any]] = {"adapter": "ffa", "rank": 2}

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        assert isinstance(server, AdaptersServer)
        layout = server._layout
        assert len(contribution) == HEAD_BYTES + 4 * layout.parts.size
        vector = server.decode(contribution[HEAD_BYTES:])
        assert server._vector is not None
        assert np.array_equal(server._vector, vector)
        seed = world.plan.encoded_seed
        assert np.array_equal(
            flat_weights(server.model()), flat_weights(merged(seed, layout, vector))
        )
        assert not np.array_equal(flat_weights(server.model()), flat_weights(grow(seed)))

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        def changed(place: int, value: float) -> bytes:
            values = np.frombuffer(contribution[HEAD_BYTES:], "<f4").copy()
            values[place] = value
            return contribution[:HEAD_BYTES] + values.tobytes()

        return {
            "nan": changed(5, np.nan),
            "infinity": changed(-1, -np.inf),
            "huge": changed(0, 1e30),
            "long": contribution + bytes(4),
            "no values": contribution[:HEAD_BYTES],
        }

    def test_what_no_client_can_read_is_refused(self, world: World) -> None:
        server = world.plan.server()
        server.aggregate(1, world.round(server, 1, [0]))
        assert isinstance(server, AdaptersServer)
        seed, state = world.plan.encoded_seed, server.state()
        bad = (
            b"", state[:2], state[:-4], struct.pack("<HBB", 0, 0, 0),
            struct.pack("<HBB", 257, 0, 0), struct.pack("<HBB", 2, 9, 0),
            struct.pack("<HBB", 2, 0, 3), struct.pack("<HBB", 2, 0, 9),
            struct.pack("<HBB", 3, 0, 0) + state[4:],
        )  # fmt: skip
        for body in bad:
            with pytest.raises(WireError):
                read_download(seed, body)


class TestBothFactors(TestFrozenFactor):
    options: ClassVar[Mapping[str, Any]] = {"adapter": "lora", "rank": 2}


class TestHead(TestFrozenFactor):
    options: ClassVar[Mapping[str, Any]] = {"target": "head"}


class TestAttention(TestFrozenFactor):
    options: ClassVar[Mapping[str, Any]] = {"adapter": "ffa", "rank": 2, "target": "attention"}


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("bert.embeddings.word_embeddings.weight", "a"),
        ("bert.encoder.layer.0.attention.self.query.weight", "aet"),
        ("bert.encoder.layer.0.attention.output.dense.weight", "aet"),
        ("bert.encoder.layer.0.output.dense.weight", "ae"),
        ("distilbert.transformer.layer.0.attention.q_lin.weight", "aet"),
        ("distilbert.transformer.layer.0.ffn.lin1.weight", "ae"),
        ("model.layers.0.self_attn.q_proj.weight", "aet"),
        ("model.embed_tokens.weight", "a"),
        ("transformer.h.0.attn.c_attn.weight", "aet"),
        ("transformer.wte.weight", "a"),
    ],
)
def test_targets(name: str, targets: str) -> None:
    letters = {"all": "a", "encoder": "e", "attention": "t"}
    for target, letter in letters.items():
        if letter in targets:
            layout = Layout.of({name: (4, 6)}, 2, "ffa", target)
            assert list(layout.matrices) == [name]
        else:
            with pytest.raises(ConfigError, match=f"--target {target}"):
                Layout.of({name: (4, 6)}, 2, "ffa", target)


@pytest.fixture(scope="module")
def seed() -> bytes:
    return encode(random_seed("bert-tiny", 2, 7, "scaled"))


@pytest.mark.parametrize("kind", ["ffa", "lora"])
def test_the_start_is_the_seed_s_model_and_merging_changes_nothing(seed: bytes, kind: str) -> None:
    shapes = {name: tuple(part.shape) for name, part in grow(seed).named_parameters()}
    layout = Layout.of(shapes, 3, kind)
    start = layout.start(seed)
    assert np.array_equal(flat_weights(merged(seed, layout, start)), flat_weights(grow(seed)))
    rng = np.random.default_rng(1)
    vector = (start + rng.normal(0, 0.02, layout.parts.size)).astype(np.float32)
    adapted, plain = AdaptedModel(seed, layout, vector, 10.0), merged(seed, layout, vector)
    assert np.allclose(adapted.vector(), vector, rtol=1e-6, atol=0)
    ids, lengths = torch.arange(24).view(3, 8), torch.tensor([8, 5, 2])
    with torch.no_grad():
        assert torch.allclose(adapted(ids, lengths), plain(ids, lengths), atol=1e-5)
    frozen = {name for name, part in adapted.named_parameters() if not part.requires_grad}
    assert any(name.endswith("columns") for name in frozen) == (kind == "ffa")
    assert not any(name.endswith("rows") or "classifier" in name for name in frozen)


def test_the_mean_of_frozen_factors_is_exact_and_of_two_is_not(seed: bytes) -> None:
    shapes = {name: tuple(part.shape) for name, part in grow(seed).named_parameters()}
    for kind in ("ffa", "lora"):
        layout = Layout.of(shapes, 2, kind)
        rng = np.random.default_rng(2)
        pair = [
            (layout.start(seed) + rng.normal(0, 0.1, layout.parts.size)).astype(np.float32)
            for _ in range(2)
        ]
        of_mean = flat_weights(merged(seed, layout, (pair[0] + pair[1]) / 2))
        both = [flat_weights(merged(seed, layout, vector)) for vector in pair]
        assert np.allclose(of_mean, (both[0] + both[1]) / 2, atol=1e-6) == (kind != "lora")


def test_any_hugging_face_model(tmp_path: Path) -> None:
    encoded = encode(pretrained_seed(str(folder(tmp_path)), 3, 1))
    layout, _, start = read_download(encoded, struct.pack("<HBB", 2, 0, 0))
    assert {name.partition(".")[0] for name in layout.whole} == {"pre_classifier", "classifier"}
    assert len(layout.matrices) == 1 + 6  # the words; four of attention, two of the wide layer
    model = AdaptedModel(encoded, layout, start, 10.0)
    ids, lengths = torch.tensor([[101, 2023, 102], [101, 102, 0]]), torch.tensor([3, 2])
    model.eval()(ids, lengths).square().sum().backward()
    trained = [part for part in model.parameters() if part.requires_grad]
    assert len(trained) == 7 + 4
    assert all(part.grad is not None for part in trained)
    vector = (model.vector() + 0.01).astype(np.float32)
    again = AdaptedModel(encoded, layout, vector, 10.0).eval()
    plain = merged(encoded, layout, vector).eval()
    with torch.no_grad():
        assert torch.allclose(again(ids, lengths), plain(ids, lengths), atol=1e-5)


@given(rank=st.integers(1, 9), kind=st.sampled_from(["ffa", "lora"]), key=st.integers(0, 2**32))
def test_vectors_survive_their_parts_and_the_wire(rank: int, kind: str, key: int) -> None:
    layout = Layout.of(SHAPES, rank, kind)
    factors = (50 + 6) * rank + (kind == "lora") * (6 + 24) * rank
    assert layout.parts.size == factors + 2 * 6 + 2
    vector = np.random.default_rng(key).normal(size=layout.parts.size).astype(np.float32)
    found = layout.parts.join(layout.parts.split(FP32.decode(vector.tobytes(), layout.parts.sizes)))
    assert np.array_equal(found, vector)
    assert list(layout.parts.split(vector)) == list(layout.parts.shapes)


@given(data=st.binary(max_size=600))
def test_hostile_values_are_refused_or_believable(data: bytes) -> None:
    layout = Layout.of(SHAPES, 2, "ffa")
    try:
        found = FP32.decode(data, layout.parts.sizes)
    except WireError:
        return
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("kind", "codec", "most"),
    [("ffa", "fp32", 4.01), ("lora", "fp32", 4.01), ("ffa", "int8", 1.0), ("ffa", "int4", 0.5)],
)
def test_it_learns(
    small: dict[str, Any], tmp_path: Path, kind: str, codec: str, most: float
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'optimiser = "adamw"\nlearning_rate = 3e-3\nembedding_multiplier = 10.0\n'
        "steps = 40\nbatch_size = 16\nmax_length = 16\n"
    )
    options = {"protocol": "adapters", "adapter": kind, "codec": codec}
    options |= {"steps": 40, "recipe": str(recipe)}
    plan = make_plan(RunConfig.parse(small | options))
    world, server = World(plan), plan.server()
    for number in (1, 2):
        found = world.round(server, number, [0, 1, 2])
        assert isinstance(server, AdaptersServer)
        assert max(map(len, found.values())) <= most * server.size + 1000
        server.aggregate(number, found)
    rows, table = plan.federated.test_rows(), plan.federated.dataset.table
    right = server.setup.trainer.predict(server.model(), table, rows, 16)
    assert (right.argmax(axis=1) == table.labels[rows]).mean() > 0.85
