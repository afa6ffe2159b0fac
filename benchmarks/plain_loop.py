"""Reference: federated averaging as a plain loop over the Hugging Face module.

One process, torch's own number of threads, no framework. Arguments: clients, rounds, steps.
"""

import sys

import torch

from benchmarks.workload import Workload, emit, hugging_face_model, open_shards, tested, train


def main() -> None:
    """Run the workload, and print an event after every round."""
    work = Workload(*(int(word) for word in sys.argv[1:4]))
    federated = open_shards(work)
    state = hugging_face_model().state_dict()
    emit("training")
    for number in range(1, work.rounds + 1):
        total: dict[str, torch.Tensor] = {}
        for client in range(work.clients):
            model = hugging_face_model()
            model.load_state_dict(state)
            train(model, federated, client, number, work.steps)
            for name, part in model.state_dict().items():
                total[name] = total.get(name, 0) + part.detach() / work.clients
        state = total
        emit("round", round=number)
    emit("tested", round=work.rounds, **tested(state, federated))


if __name__ == "__main__":
    main()
