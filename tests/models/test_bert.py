"""The lean BERT is the Hugging Face one: same names, logits and gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fedseed.models.architecture import architecture
from fedseed.models.registry import GenericModel, build, find_model, to_state
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed

transformers = pytest.importorskip("transformers")


def theirs(state: dict[str, Any]) -> torch.nn.Module:
    shape = architecture("bert-tiny")
    config = transformers.BertConfig(
        hidden_size=shape.hidden, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=shape.intermediate, num_labels=2,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    module = transformers.BertForSequenceClassification(config)
    module.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    return module


LEAN = grow(encode(random_seed("bert-tiny", 2, 3, "bert")))
with torch.no_grad():  # away from zero biases, where a missing term would not show
    for _parameter in LEAN.parameters():
        _parameter.add_(0.05 * torch.sin(torch.arange(_parameter.numel())).view_as(_parameter))
THEIRS = theirs(to_state(LEAN))


def test_parameters() -> None:
    assert architecture("bert-tiny").parameters() == 4_386_178
    assert sum(part.numel() for part in LEAN.parameters()) == 4_386_178
    assert [name for name, _ in LEAN.named_parameters()] == list(architecture("bert-tiny").shapes())
    assert architecture("minilm").with_labels(2).parameters() == 22_713_986


@settings(max_examples=12, deadline=None)
@given(lengths=st.lists(st.integers(2, 24), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_logits_and_gradients(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = torch.tensor(lengths)
    ids = torch.from_numpy(rng.integers(1, 30_000, (len(lengths), max(lengths))))
    mask = torch.arange(max(lengths)) < sizes[:, None]
    ids = ids * mask
    labels = torch.from_numpy(rng.integers(0, 2, len(lengths)))
    ours = LEAN(ids, sizes)
    other = THEIRS(input_ids=ids, attention_mask=mask.long()).logits
    assert torch.allclose(ours, other, atol=1e-5)
    for module, logits in ((LEAN, ours), (THEIRS, other)):
        module.zero_grad()
        functional.cross_entropy(logits, labels).backward()
    wanted = dict(THEIRS.named_parameters())
    for name, part in LEAN.named_parameters():
        expected = wanted[name].grad
        assert part.grad is not None, name
        assert expected is not None, name
        if name.endswith("token_type_embeddings.weight"):
            expected = expected * torch.tensor([[1.0], [0.0]])
        assert torch.allclose(part.grad, expected, atol=1e-5), name


def test_weights_go_out_and_in_with_save_pretrained(tmp_path: Path) -> None:
    THEIRS.save_pretrained(tmp_path)  # type: ignore[operator]
    model = find_model(str(tmp_path), 2)
    assert not isinstance(model, GenericModel)
    from fedseed.seeds.codec import assemble
    from fedseed.seeds.kinds.pretrained import pretrained_seed

    state = assemble(pretrained_seed(str(tmp_path), 2, 1), model.shapes())
    again = build(model, state)
    ids, sizes = torch.tensor([[101, 2023, 102]]), torch.tensor([3])
    assert torch.equal(again(ids, sizes), LEAN(ids, sizes))


def test_dropout_changes_training_only() -> None:
    from fedseed.training import set_dropout

    module = grow(encode(random_seed("bert-tiny", 2, 3, "bert")))
    set_dropout(module, 0.5)
    ids, sizes = torch.tensor([[101, 2023, 102]]), torch.tensor([3])
    module.train()
    assert not torch.equal(module(ids, sizes), module(ids, sizes))
    module.eval()
    assert torch.equal(module(ids, sizes), module(ids, sizes))
