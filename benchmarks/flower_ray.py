"""Reference: federated averaging with Flower's own strategy on ray, Hugging Face's module inside.

As in Flower's tutorials: the Message API, FedAvg, one CPU for each client. Arguments: clients,
rounds, steps, and ``each`` to test the average after every round (all tests come at the end).
"""

import logging
import sys
from typing import Any

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks.workload import Workload, emit, hugging_face_model, open_shards, tested, train


def client_app(work: Workload) -> ClientApp:
    """What every client does."""
    app = ClientApp()

    @app.train()
    def fit(message: Message, context: Context) -> Message:
        federated = open_shards(work)
        client = int(str(context.node_config["partition-id"]))
        model = hugging_face_model()
        arrays, config = message.content["arrays"], message.content["config"]
        assert isinstance(arrays, ArrayRecord)
        model.load_state_dict(arrays.to_torch_state_dict())
        number = int(str(config["server-round"]))
        loss = train(model, federated, client, number, work.steps)
        examples = len(federated.shard(client).whole())
        content = RecordDict()
        content["arrays"] = ArrayRecord(model.state_dict())
        content["metrics"] = MetricRecord({"loss": loss, "num-examples": examples})
        return Message(content=content, reply_to=message)

    return app


def server_app(work: Workload, kept: dict[int, Any]) -> ServerApp:
    """FedAvg over all clients, no evaluation on the clients."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, _: Context) -> None:
        def after_round(number: int, arrays: ArrayRecord) -> None:
            if number:
                emit("round", round=number)
                kept[number] = arrays.to_torch_state_dict()

        strategy = FedAvg(
            fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=work.clients,
            min_available_nodes=work.clients,
        )  # fmt: skip
        strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(hugging_face_model().state_dict()),
            num_rounds=work.rounds,
            evaluate_fn=after_round,
        )

    return app


def main() -> None:
    """Run the workload, and print an event after every round."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    work = Workload(*(int(word) for word in sys.argv[1:4]))
    kept: dict[int, Any] = {}
    run_simulation(
        server_app=server_app(work, kept),
        client_app=client_app(work),
        num_supernodes=work.clients,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    federated = open_shards(work)
    rounds = sorted(kept) if "each" in sys.argv else [work.rounds]
    for number in rounds:
        emit("tested", round=number, **tested(kept[number], federated))


if __name__ == "__main__":
    main()
