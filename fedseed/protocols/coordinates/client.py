"""The client side of ``coordinates``: moves along the space's directions, and says how far."""

import torch
from torch import nn

from fedseed.coding.vectors import Vector
from fedseed.errors import SeedError, WireError
from fedseed.protocols.base import ClientTask
from fedseed.protocols.coordinates.messages import decode_state, seed_of_download
from fedseed.protocols.shared_model import Download
from fedseed.protocols.vector_client import Learnt, VectorClient
from fedseed.seeds.assemble import grow, shapes_of
from fedseed.seeds.base import key_of
from fedseed.seeds.kinds.coordinates.space import Space
from fedseed.training import FitJob
from fedseed.training.subspace import Core, SubspaceModel


class MovedModel(SubspaceModel):
    """A seed's model of which the numbers of a space are trained."""

    def __init__(self, seed: bytes, space: Space, vector: Vector) -> None:
        """Grow a seed's model and put cores on it.

        Args:
            seed: the encoded start seed.
            space: which numbers.
            vector: where they start.
        """
        key, changes = key_of(seed), {}
        for name, core in space.cores(vector).items():
            left, right = (torch.from_numpy(factor) for factor in space.factors(key, name))
            changes[name] = Core(left, torch.from_numpy(core.copy()), right, space.scale)
        super().__init__(grow(seed), changes, space.head)
        self._space = space
        self._heads = {name: part.detach().clone() for name, part in self.whole.items()}
        with torch.no_grad():
            for name, change in space.heads(vector).items():
                self.whole[name].add_(torch.from_numpy(change.copy()))

    def vector(self) -> Vector:
        """Where the numbers are now."""
        cores = {
            name: change.core.detach().numpy()
            for name, change in self.changes.items()
            if isinstance(change, Core)
        }
        heads = {
            name: (part.detach() - self._heads[name]).numpy() for name, part in self.whole.items()
        }
        return self._space.join(cores, heads)


class CoordinatesClient(VectorClient):
    """Trains the numbers from the server's."""

    def learn(self, download: Download, task: ClientTask) -> Learnt:
        """See :class:`VectorClient`."""
        coded = decode_state(download.body)
        space = self._space(download.seed, coded.rank)
        vector = coded.vector(space) if coded.numbers else space.start()
        model, shard = MovedModel(download.seed, space, vector), task.shard
        result = self.trainer.fit(
            FitJob(model, shard.table, shard.whole(), download.recipe, task.rng)
        )
        return Learnt(result, vector, model.vector(), coded.codec, space.parts)

    def _space(self, seed: bytes, rank: int) -> Space:
        try:
            return Space.of(shapes_of(seed), rank)
        except SeedError as error:
            raise WireError(str(error)) from error

    def build(self, download: Download) -> nn.Module:
        """See :class:`SharedModelClient`."""
        try:
            return grow(seed_of_download(download.seed, download.body))
        except SeedError as error:
            raise WireError(str(error)) from error
