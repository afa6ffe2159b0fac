"""The mask protocol: the contract, coding of masks and counts, draws, gradients, learning."""

import contextlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedseed.config import RunConfig
from fedseed.errors import WireError
from fedseed.protocols.base import ProtocolServer
from fedseed.protocols.mask.masked_model import (
    Mask,
    MaskedModel,
    amplitude,
    masked_matrices,
    prior,
)
from fedseed.protocols.mask.messages import decode_counts, decode_mask, encode_counts, encode_mask
from fedseed.protocols.mask.server import MaskServer
from fedseed.protocols.shared_model import HEAD_BYTES
from fedseed.runs.plan import make_plan
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.pretrained import pretrained_seed
from fedseed.seeds.kinds.random import random_seed
from tests.contracts.protocol_contract import ProtocolContract, World
from tests.models.test_published import folder

WORDS = "bert.embeddings.word_embeddings.weight"


class TestMask(ProtocolContract):
    protocol = "mask"

    def check_identity(self, world: World, server: ProtocolServer, contribution: bytes) -> None:
        assert isinstance(server, MaskServer)
        mask = decode_mask(contribution[HEAD_BYTES:], server._sizes)
        assert np.array_equal(server._counts, mask)
        assert server._masks == 1
        own = dict(server.model().named_parameters())
        start = 0
        for name, weights in masked_matrices(grow(world.plan.encoded_seed)).items():
            kept = torch.from_numpy(mask[start : start + weights.numel()]).view(weights.shape)
            wanted = weights * amplitude(name, weights) * kept
            assert torch.allclose(own[name], wanted, rtol=1e-6, atol=0)
            start += weights.numel()

    def poison(self, world: World, contribution: bytes) -> dict[str, bytes]:
        head, body = contribution[:HEAD_BYTES], contribution[HEAD_BYTES:]
        return {
            "long": contribution + struct.pack("<I", 77),
            "a word less": contribution[:-4],
            "no bits": contribution[:HEAD_BYTES],
            "no share": head + bytes(2) + body[2:],
            "other shares": head + b"\x01\x00" + body[2:],
        }

    def test_a_mask_costs_at_most_a_bit_a_weight(self, world: World) -> None:
        server = world.plan.server()
        contribution = world.round(server, 1, [0])[0]
        assert isinstance(server, MaskServer)
        assert len(contribution) <= sum(server._sizes) / 8 + 100


sizes = st.lists(st.integers(1, 400), min_size=1, max_size=5)


@given(sizes=sizes, share=st.floats(0, 1), key=st.integers(0, 2**32))
def test_masks_survive(sizes: list[int], share: float, key: int) -> None:
    mask = np.random.default_rng(key).random(sum(sizes)) < share
    data = encode_mask(mask, sizes)
    assert np.array_equal(decode_mask(data, sizes), mask)
    with pytest.raises(WireError):
        decode_mask(data + bytes([1, 0, 0, 0]), sizes)


@given(sizes=sizes, masks=st.integers(1, 40), share=st.floats(0, 1), key=st.integers(0, 2**32))
def test_counts_survive(sizes: list[int], masks: int, share: float, key: int) -> None:
    counts = np.random.default_rng(key).binomial(masks, share, sum(sizes)).astype(np.uint16)
    found, of = decode_counts(encode_counts(counts, masks, sizes), sizes)
    assert of == masks
    assert np.array_equal(found, counts)


@given(data=st.binary(max_size=200))
def test_hostile_bytes_are_refused_or_are_masks(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert decode_mask(data, [30, 5]).shape == (35,)
    with contextlib.suppress(WireError):
        found, masks = decode_counts(data, [30, 5])
        assert found.shape == (35,)
        assert found.max(initial=0) <= masks


def test_a_skewed_mask_costs_its_entropy() -> None:
    mask = np.random.default_rng(1).random(80_000) < 0.05
    share = mask.mean()
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert len(encode_mask(mask, [30_000, 50_000])) < 1.01 * 80_000 * entropy / 8 + 30


def test_draws_have_their_probability_and_gradients_pass_straight() -> None:
    kept = torch.full((300, 400), 0.3)
    mask = Mask(kept, 2.0, torch.Generator().manual_seed(5))
    weights = torch.full((300, 400), 3.0)
    found = mask(weights)
    assert set(found.unique().tolist()) == {0.0, 3.0}
    assert abs(float((found > 0).float().mean()) - 0.3) < 0.006
    assert not torch.equal(found, mask(weights))  # another draw
    found.sum().backward()
    assert mask.scores.grad is not None
    assert torch.allclose(mask.scores.grad, 2.0 * 3.0 * kept * (1 - kept))
    assert abs(mask.sample().mean() - 0.3) < 0.006


def test_only_the_batch_s_words_are_drawn() -> None:
    seed = encode(random_seed("bert-tiny", 2, 7, "scaled"))
    model = grow(seed)
    matrices = {name: part.numel() for name, part in masked_matrices(model).items()}
    assert WORDS in matrices
    assert not any("position" in name for name in matrices)  # zero in this scheme
    kept = np.repeat([np.float32(prior(name)) for name in matrices], list(matrices.values()))
    masked = MaskedModel(model, kept, 10.0, 3)
    ids, lengths = torch.tensor([[5, 9, 9], [5, 7, 0]]), torch.tensor([3, 2])
    masked(ids, lengths).sum().backward()
    grads = {name: part.grad for name, part in masked.named_parameters() if part.grad is not None}
    assert len(grads) == len(matrices)
    touched = masked._words[0].scores.grad
    assert touched is not None
    assert set(touched.abs().sum(1).nonzero().flatten().tolist()) <= {0, 5, 7, 9}


def test_any_hugging_face_model(tmp_path: Path) -> None:
    model = grow(encode(pretrained_seed(str(folder(tmp_path)), 3, 1)))
    count = sum(part.numel() for part in masked_matrices(model).values())
    masked = MaskedModel(model, np.full(count, 0.9, np.float32), 10.0, 3)
    ids, lengths = torch.tensor([[101, 2023, 102], [101, 102, 0]]), torch.tensor([3, 2])
    masked.eval()(ids, lengths).square().sum().backward()
    trained = [part for part in masked.parameters() if part.requires_grad]
    assert len(trained) == len(masked.masks)
    assert all(part.grad is not None for part in trained)


def test_it_learns(small: dict[str, Any], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'optimiser = "adamw"\nlearning_rate = 0.03\nembedding_multiplier = 10.0\n'
        "steps = 60\nbatch_size = 16\nmax_length = 16\n"
    )
    plan = make_plan(RunConfig.parse(
        small | {"protocol": "mask", "steps": 60, "recipe": str(recipe)}
    ))  # fmt: skip
    world, server = World(plan), plan.server()
    server.aggregate(1, world.round(server, 1, [0, 1, 2]))
    assert isinstance(server, MaskServer)
    rows, table = plan.federated.test_rows(), plan.federated.dataset.table
    found = server.setup.trainer.predict(server.model(), table, rows, 16)
    assert (found.argmax(axis=1) == table.labels[rows]).mean() > 0.85
