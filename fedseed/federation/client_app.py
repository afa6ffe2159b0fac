"""The ClientApp: the same for the in-process engine, ray and a deployment.

Light to import, as :mod:`fedseed.federation.member` is.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedseed.config import RunConfig
from fedseed.errors import FedseedError
from fedseed.federation.member import Member
from fedseed.federation.messages import PARTITION, content

if TYPE_CHECKING:
    from fedseed.data.federated_dataset import FederatedDataset
    from fedseed.federation.client import Client
    from fedseed.training import Trainer


def client_app(
    config: RunConfig | None = None,
    trainer: "Trainer | None" = None,
    federated: "FederatedDataset | None" = None,
) -> ClientApp:
    """Make the ClientApp.

    Args:
        config: the run's configuration; None to read it from Flower's ``run_config``.
        trainer: trains the clients' models; None to make one by the configuration.
        federated: the clients' shards; None to split the data by the configuration.
    """
    app = ClientApp()

    def worked(message: Message, context: Context, work: "Callable[[Client], bytes]") -> Message:
        """Answer with texts and a model."""
        from fedseed.federation.client import Client, Given

        client = Client(Given(config, trainer, federated), message, context)
        return Message(content(client.answered(work)), reply_to=message)

    @app.query("agree")
    def agree(message: Message, context: Context) -> Message:
        from fedseed.federation.client import Given
        from fedseed.federation.joining import agree as answer

        given = Given(config, trainer, federated)
        return Message(content(_said(lambda: answer(given, message, context))), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return worked(message, context, lambda client: client.contribution())

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return worked(message, context, lambda client: client.tested())

    _add_introduction(app)
    for stage in (app.train, app.evaluate):
        _add_sums(stage, config)
    return app


def _add_introduction(app: ClientApp) -> None:
    """What a node says before anything is agreed."""

    @app.query()
    def introduce(message: Message, context: Context) -> Message:
        pid = int(context.node_config["partition-id"])
        return Message(RecordDict({PARTITION: MetricRecord({PARTITION: pid})}), reply_to=message)

    @app.query("labels")
    def labels(message: Message, context: Context) -> Message:
        from fedseed.federation.joining import told_labels

        return Message(content(_said(lambda: told_labels(context))), reply_to=message)


def _add_sums(stage: Callable[..., Callable[..., object]], config: RunConfig | None) -> None:
    """Three of the four questions of a sum; the fourth is that of a round or test itself."""

    def told(message: Message, context: Context, work: Callable[[Member], bytes]) -> Message:
        answer = Member(config, message, context).answered(work)
        return Message(content(answer), reply_to=message)

    @stage("advertise")
    def advertise(message: Message, context: Context) -> Message:
        return told(message, context, lambda one: one.sum_client().advertise(one.group))

    @stage("share")
    def share(message: Message, context: Context) -> Message:
        return told(message, context, lambda one: one.sum_client().share(one.group, one.payload))

    @stage("reveal")
    def reveal(message: Message, context: Context) -> Message:
        return told(message, context, lambda one: one.sum_client().reveal(one.group, one.payload))


def _said(answer: Callable[[], dict[str, object]]) -> bytes:
    """An answer as JSON, or why there is none."""
    try:
        return json.dumps(answer()).encode()
    except FedseedError as error:
        return json.dumps({"refused": str(error).splitlines()[0][:500]}).encode()
