"""A lean BERT sequence classifier with Hugging Face's parameter names.

The same function as ``transformers.BertForSequenceClassification`` (Devlin et al. 2019),
less the work whose result is not used: the last layer is computed for the [CLS] position
only, the three attention projections are one matrix product, and no mask is built when all
texts of a batch have one length. tests/models compares logits and gradients with the
original.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fedseed.models.architecture import Architecture


class _Weights(nn.Module):
    """A weight without values yet.

    torch's own layers draw random values, and on the meta device import its compiler for that.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))


class _Linear(_Weights):
    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__(outputs, inputs)
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.linear(inputs, self.weight, self.bias)


class _Norm(_Weights):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__(size)
        self.bias = nn.Parameter(torch.empty(size))
        self._eps = eps

    def forward(self, inputs: Tensor) -> Tensor:
        size = list(self.weight.shape)
        return functional.layer_norm(inputs, size, self.weight, self.bias, self._eps)


class _Embeddings(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.word_embeddings = _Weights(shape.vocabulary, shape.hidden)
        self.position_embeddings = _Weights(shape.positions, shape.hidden)
        self.token_type_embeddings = _Weights(shape.segments, shape.hidden)
        self.LayerNorm = _Norm(shape.hidden, shape.layer_norm_eps)

    def forward(self, input_ids: Tensor) -> Tensor:
        words = functional.embedding(input_ids, self.word_embeddings.weight)
        places = self.position_embeddings.weight[: input_ids.shape[1]]
        out: Tensor = self.LayerNorm(words + (places + self.token_type_embeddings.weight[0]))
        return out


class _SelfAttention(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.query = _Linear(shape.hidden, shape.hidden)
        self.key = _Linear(shape.hidden, shape.hidden)
        self.value = _Linear(shape.hidden, shape.hidden)


class _AddAndNorm(nn.Module):
    """A projection back to the hidden size, the residual connection and its layer norm."""

    def __init__(self, size: int, shape: Architecture) -> None:
        super().__init__()
        self.dense = _Linear(shape.hidden, size)
        self.LayerNorm = _Norm(shape.hidden, shape.layer_norm_eps)

    def forward(self, wide: Tensor, residual: Tensor, dropout: float) -> Tensor:
        narrow = functional.dropout(self.dense(wide), dropout, training=dropout > 0)
        out: Tensor = self.LayerNorm(narrow + residual)
        return out


class _Attention(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.self = _SelfAttention(shape)
        self.output = _AddAndNorm(shape.hidden, shape)
        self.heads = shape.heads

    def _heads(self, states: Tensor) -> Tensor:
        batch, length, hidden = states.shape
        return states.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)

    def forward(
        self, states: Tensor, mask: Tensor | None, first_only: bool, dropout: float
    ) -> Tensor:
        part = self.self
        asking = states[:, :1] if first_only else states
        if first_only:
            query = part.query(asking)
            weight = torch.cat((part.key.weight, part.value.weight))
            bias = torch.cat((part.key.bias, part.value.bias))
            key, value = functional.linear(states, weight, bias).chunk(2, dim=-1)
        else:
            weight = torch.cat((part.query.weight, part.key.weight, part.value.weight))
            bias = torch.cat((part.query.bias, part.key.bias, part.value.bias))
            query, key, value = functional.linear(states, weight, bias).chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(
            self._heads(query), self._heads(key), self._heads(value), mask, dropout_p=dropout
        )
        out: Tensor = self.output(mixed.transpose(1, 2).flatten(2), asking, dropout)
        return out


class _Intermediate(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.dense = _Linear(shape.intermediate, shape.hidden)


class _Layer(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        self.intermediate = _Intermediate(shape)
        self.output = _AddAndNorm(shape.intermediate, shape)

    def forward(
        self, states: Tensor, mask: Tensor | None, first_only: bool, dropout: float
    ) -> Tensor:
        attended = self.attention(states, mask, first_only, dropout)
        wide = functional.gelu(self.intermediate.dense(attended))
        out: Tensor = self.output(wide, attended, dropout)
        return out


class _Encoder(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))


class _Pooler(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.dense = _Linear(shape.hidden, shape.hidden)


class _Bert(nn.Module):
    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.embeddings = _Embeddings(shape)
        self.encoder = _Encoder(shape)
        self.pooler = _Pooler(shape)


class BertClassifier(nn.Module):
    """BERT with a classification head on the pooled [CLS] state.

    Attributes:
        dropout: probability used while ``training`` is true; 0 by default.
        shape: sizes of the network.
    """

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.bert = _Bert(shape)
        self.classifier = _Linear(shape.labels, shape.hidden)
        self.dropout = 0.0
        self.shape = shape

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits.

        Args:
            input_ids: token ids, shape ``(batch, tokens)``, padded on the right.
            lengths: tokens of each text before padding, shape ``(batch,)``.

        Returns:
            Shape ``(batch, labels)``.
        """
        dropout = self.dropout if self.training else 0.0
        mask = _padding_mask(lengths, input_ids.shape[1])
        states = self.bert.embeddings(input_ids)
        states = functional.dropout(states, dropout, training=dropout > 0)
        layers = self.bert.encoder.layer
        for number, layer in enumerate(layers):
            states = layer(states, mask, number == len(layers) - 1, dropout)
        pooled = torch.tanh(self.bert.pooler.dense(states[:, 0]))
        pooled = functional.dropout(pooled, dropout, training=dropout > 0)
        logits: Tensor = self.classifier(pooled)
        return logits


def _padding_mask(lengths: Tensor, width: int) -> Tensor | None:
    """Attention mask of shape ``(batch, 1, 1, width)``; None when nothing is padded."""
    if int(lengths.min()) == width:
        return None
    places = torch.arange(width, device=lengths.device)
    return (places < lengths[:, None])[:, None, None, :]
