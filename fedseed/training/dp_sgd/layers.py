"""The lean BERT in torch's own layers, for opacus, whatever its parametrisation.

The lean BERT calls functions on bare weights, and low-rank factors make a weight of several
parameters. Here every layer holds either the parameter itself or a weight made for one pass;
gradients by example of such a weight are pulled back to the parameters that it was made of. Of the
word embedding only the rows in use are made.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from fedseed.errors import ConfigError
from fedseed.models.bert import BertClassifier


@dataclass(frozen=True)
class Sample:
    """Gradients of one parameter, example by example."""

    gradients: Tensor
    """Shape ``(examples, *parameter.shape)``."""
    rows: Tensor | None = None
    """Distinct rows of the parameter that the gradients are of, all others being zero."""

    def fits(self, parameter: Tensor, examples: int) -> bool:
        """Whether there is one gradient of the parameter for each example."""
        count = parameter.shape[:1] if self.rows is None else self.rows.shape
        return self.gradients.shape == (examples, *count, *parameter.shape[1:])


class _Made:
    """A weight of a layer that is made anew for every pass."""

    def __init__(self, layer: nn.Module, owner: Any, leaf: str) -> None:
        """Stand in for a weight.

        Args:
            layer: gets the weight, under the same name.
            owner: whose weight it is.
            leaf: the weight's name there.
        """
        self._layer, self._leaf = layer, leaf
        self._inner: nn.Module | None = None
        self._parts: dict[str, nn.Parameter] = {leaf: getattr(owner, leaf)}
        if is_parametrized(owner, leaf):
            self._inner = owner.parametrizations[leaf]
            self._parts = dict(self._inner.named_parameters())
        self._rows: Tensor | None = None
        self._all = len(getattr(owner, leaf))

    def refresh(self, rows: Tensor | None = None) -> None:
        """Make the weight of what its parameters are now.

        Args:
            rows: of the weight, distinct; None for all.

        Raises:
            ConfigError: the weight's rows are not made row by row.
        """
        first = rows is not None and self._rows is None
        self._rows = rows
        with torch.no_grad():
            value = self._value({name: self._cut(part) for name, part in self._parts.items()})
            if first and self._inner is not None and not torch.allclose(value, self._inner()[rows]):
                raise ConfigError("this parametrised word embedding has no gradients by example")
        trained = any(part.requires_grad for part in self._parts.values())
        setattr(self._layer, self._leaf, nn.Parameter(value.clone(), requires_grad=trained))

    def _cut(self, part: Tensor) -> Tensor:
        """The rows in use of a parameter that has as many as the weight."""
        return part[self._rows] if self._rows is not None and len(part) == self._all else part

    def _value(self, values: dict[str, Tensor]) -> Tensor:
        """The weight made of some values of its parameters."""
        if self._inner is None:
            return values[self._leaf]
        weight: Tensor = torch.func.functional_call(self._inner, values, ())
        return weight

    def pull_back(self, samples: dict[nn.Parameter, Sample]) -> None:
        """Replace the weight's gradients by those of its parameters."""
        sample = samples.pop(getattr(self._layer, self._leaf), None)
        if sample is None:
            return
        values = {name: self._cut(part.detach()) for name, part in self._parts.items()}
        trained = {name: values[name] for name, p in self._parts.items() if p.requires_grad}
        back: Any
        _, back = torch.func.vjp(lambda parts: self._value(values | parts), trained)  # type: ignore[misc]
        (gradients,) = torch.func.vmap(back)(sample.gradients)
        for name, part in gradients.items():
            rows = self._rows if len(self._parts[name]) == self._all else None
            samples[self._parts[name]] = Sample(part, rows)


class LayeredBert(nn.Module):
    """The function of BertClassifier in torch's own layers, on the same parameters."""

    def __init__(self, model: BertClassifier) -> None:
        """Share a model's parameters; its ``dropout`` is looked up at each call."""
        super().__init__()
        make = _Maker()
        parts = model.bert.embeddings
        self._source = [model]  # in a list, so that its parameters do not count twice
        self.words = nn.Embedding(1, model.shape.hidden, device="meta")
        self.positions = make.embedding(parts.position_embeddings)
        self.segments = make.embedding(parts.token_type_embeddings)
        self.norm = make.norm(parts.LayerNorm, model.shape.layer_norm_eps)
        self.layers = nn.ModuleList(
            _LayeredLayer(layer, make, model) for layer in model.bert.encoder.layer
        )
        self.pooler = make.linear(model.bert.pooler.dense)
        self.classifier = make.linear(model.classifier)
        self._made = make.made
        self._made_words = _Made(self.words, parts.word_embeddings, "weight")
        self._in_use = torch.empty(0, dtype=torch.int64)

    def refresh(self, words: Tensor) -> None:
        """Make ready for a pass.

        Args:
            words: ids of the words in use, distinct and in order.

        Raises:
            ConfigError: the word embedding is parametrised otherwise than row by row.
        """
        self._in_use = words
        self._made_words.refresh(words)
        for made in self._made:
            made.refresh()

    def pull_back(self, samples: dict[nn.Parameter, Sample]) -> None:
        """Replace the gradients of weights that were made by those of the model's parameters."""
        for made in (self._made_words, *self._made):
            made.pull_back(samples)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """See BertClassifier."""
        dropout = self._source[0].dropout if self.training else 0.0
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        mask = (places < lengths[:, None])[:, None, None, :]
        # Every layer's inputs have the examples' dimension, in which opacus keeps them apart.
        states = self.words(torch.searchsorted(self._in_use, input_ids))
        states = states + self.positions(places.expand_as(input_ids))
        states = self.norm(states + self.segments(torch.zeros_like(input_ids)))
        states = functional.dropout(states, dropout)
        for number, layer in enumerate(self.layers):
            states = layer(states, mask, number == len(self.layers) - 1, dropout)
        pooled = functional.dropout(torch.tanh(self.pooler(states[:, 0])), dropout)
        logits: Tensor = self.classifier(pooled)
        return logits


class _LayeredLayer(nn.Module):
    """One layer of it."""

    def __init__(self, layer: Any, make: "_Maker", model: BertClassifier) -> None:
        super().__init__()
        attention, eps = layer.attention, model.shape.layer_norm_eps
        self.query = make.linear(attention.self.query)
        self.key = make.linear(attention.self.key)
        self.value = make.linear(attention.self.value)
        self.project = make.linear(attention.output.dense)
        self.attention_norm = make.norm(attention.output.LayerNorm, eps)
        self.widen = make.linear(layer.intermediate.dense)
        self.narrow = make.linear(layer.output.dense)
        self.output_norm = make.norm(layer.output.LayerNorm, eps)
        self.heads = model.shape.heads

    def _split(self, states: Tensor) -> Tensor:
        """From ``(batch, tokens, hidden)`` to ``(batch, heads, tokens, size)``."""
        return states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, states: Tensor, mask: Tensor, first_only: bool, dropout: float) -> Tensor:
        asking = states[:, :1] if first_only else states
        query, key, value = self.query(asking), self.key(states), self.value(states)
        mixed = functional.scaled_dot_product_attention(
            self._split(query), self._split(key), self._split(value), mask, dropout_p=dropout
        )
        narrow = functional.dropout(self.project(mixed.transpose(1, 2).flatten(2)), dropout)
        attended = self.attention_norm(narrow + asking)
        narrow = self.narrow(functional.gelu(self.widen(attended)))
        out: Tensor = self.output_norm(functional.dropout(narrow, dropout) + attended)
        return out


class _Maker:
    """Makes torch's layers of the parameters of others, without drawing a random number."""

    def __init__(self) -> None:
        self.made: list[_Made] = []

    def embedding(self, owner: Any) -> nn.Module:
        count, size = owner.weight.shape
        return self._filled(nn.Embedding(count, size, device="meta"), owner, "weight")

    def linear(self, owner: Any) -> nn.Module:
        return self._filled(nn.Linear(1, 1, device="meta"), owner, "weight", "bias")

    def norm(self, owner: Any, eps: float) -> nn.Module:
        layer = nn.LayerNorm(list(owner.weight.shape), eps, device="meta")
        return self._filled(layer, owner, "weight", "bias")

    def _filled(self, layer: nn.Module, owner: Any, *leaves: str) -> nn.Module:
        for leaf in leaves:
            if is_parametrized(owner, leaf):
                self.made.append(_Made(layer, owner, leaf))
            else:
                setattr(layer, leaf, getattr(owner, leaf))
        return layer
