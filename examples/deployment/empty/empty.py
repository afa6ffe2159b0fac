"""Flower alone: a server that asks all nodes for nothing, and what a round of that takes."""

import time

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

client_app = ClientApp()
server_app = ServerApp()


@client_app.train()
def train(message: Message, _: Context) -> Message:
    """Answer with nothing."""
    return Message(RecordDict(), reply_to=message)


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """Print the seconds of every round."""
    for number in range(1, int(context.run_config["rounds"]) + 1):
        began = time.monotonic()
        nodes = list(grid.get_node_ids())
        asked = [Message(RecordDict(), node, "train", group_id=str(number)) for node in nodes]
        waiting = set(grid.push_messages(asked))
        while waiting:
            waiting -= {one.metadata.reply_to_message_id for one in grid.pull_messages(waiting)}
            time.sleep(0.05)
        print(f"seconds: {time.monotonic() - began:.2f}, {len(nodes)} nodes", flush=True)
