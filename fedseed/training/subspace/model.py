"""A frozen model with a few trained numbers, in the interface of the model."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

from fedseed.training.subspace.low_rank import Change


class SubspaceModel(nn.Module):
    """A model of which some matrices have changes, some parameters are trained whole, others not.

    It is no BertClassifier: the lean trainer takes its numbers from it
    (:mod:`fedseed.training.subspace.trainer`), and all others train it through automatic
    differentiation.

    Attributes:
        model: the frozen model, with the changes as parametrisations.
        changes: by the name of the matrix.
        whole: parameters that are trained as they are, by name.
    """

    def __init__(
        self, model: nn.Module, changes: Mapping[str, Change], whole: Iterable[str]
    ) -> None:
        """Freeze a model but for these.

        Args:
            model: of the BERT family or any other; becomes part of this one.
            changes: by the names of matrices.
            whole: names of parameters.
        """
        super().__init__()
        model.requires_grad_(False)
        parameters = dict(model.named_parameters())
        self.model = model
        self.changes = dict(changes)
        self.whole = {name: parameters[name] for name in whole}
        for parameter in self.whole.values():
            parameter.requires_grad_(True)
        for name, change in changes.items():
            owner, _, leaf = name.rpartition(".")
            module = model.get_submodule(owner)
            parametrize.register_parametrization(module, leaf, change, unsafe=True)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.model(input_ids, lengths)
        return logits

    def originals(self) -> dict[str, Tensor]:
        """The model's parameters without the changes, by their names without them."""
        named = self.model.named_parameters()
        inserted, added = ".parametrizations", ".original"
        return {
            name.replace(inserted, "").removesuffix(added): parameter.detach()
            for name, parameter in named
            if inserted not in name or name.endswith(added)
        }
