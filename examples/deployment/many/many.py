"""fedseed's wire with many nodes: each is sent a small payload and answers with one as long."""

import time

from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fedseed.federation.wire import Wire
from fedseed.transcript import Exchange, Transcript

client_app = ClientApp()  # the nodes are played by the example
server_app = ServerApp()


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """Print, for every round, seconds until all was sent, until all was back, and who answered."""
    options = context.run_config
    while len(nodes := sorted(grid.get_node_ids())) < int(options["nodes"]):
        time.sleep(1.0)
    wire = Wire(_Timed(grid), dict(enumerate(nodes)), Transcript(None), 600.0)
    for number in range(1, int(options["rounds"]) + 1):
        began, done = time.monotonic(), list[Exchange]()
        payload = bytes([number]) * int(options["payload-bytes"])
        wire.ask("train", {(str(number), pid): payload for pid in wire.nodes}, done.append)
        answered = sum(one.status == "ok" for one in done)
        sent = wire.grid.last - began
        print(f"round: {sent:.1f} {time.monotonic() - began:.1f} {answered}", flush=True)


class _Timed:
    """A grid that notes when it last sent something."""

    def __init__(self, grid: Grid) -> None:
        self._grid, self.last = grid, 0.0

    def push_messages(self, messages):
        """See Grid."""
        found = list(self._grid.push_messages(messages))
        self.last = time.monotonic()
        return found

    def pull_messages(self, message_ids):
        """See Grid."""
        return self._grid.pull_messages(message_ids)
