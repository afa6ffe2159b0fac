"""One client as one message finds it: its options, its limits, what it remembers, its part in sums.

Light to import: a deployed node starts a process for every message, and most messages of a sum need
neither texts nor a model. What needs them is :class:`fedseed.federation.client.Client`.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from flwr.app import Context, Message, RecordDict

from fedseed.config import FOLDER, RunConfig
from fedseed.data.site_options import SITES
from fedseed.data.sites.site import Site, site_values
from fedseed.errors import WireError
from fedseed.federation.kept_answers import Counters
from fedseed.federation.kept_states import AFTER_ALL, begins
from fedseed.federation.limits import Limits
from fedseed.federation.messages import (
    ContextMemory,
    context_from_bytes,
    context_to_bytes,
    payload_of,
)
from fedseed.federation.node_state import NodeState
from fedseed.federation.secure_aggregation.client import SumClient
from fedseed.federation.secure_aggregation.neighbours import NEIGHBOURS
from fedseed.federation.terms import TERMS, Terms
from fedseed.memory import Memory


class Member:
    """A client that looks at one message.

    A deployed client's options come from outside: then it trusts its own node's configuration
    alone.
    """

    def __init__(self, config: RunConfig | None, message: Message, context: Context) -> None:
        """Look at a message.

        Args:
            config: the run's options; None in a deployment, where they come with the context.
            message: what is asked.
            context: of the client.

        Raises:
            ConfigError: the node's configuration, or the run's options, cannot be used.
            WireError: the run goes beyond the node's limits.
        """
        self.deployed = config is None
        self.pid = int(context.node_config["partition-id"])
        self.message, self.context = message, context
        self._own = site_values(context.node_config) if self.deployed else {}
        self.limits = Limits.of(self._own)
        self.state = state_of(self._own)
        self.config = config or self._read_options()
        self._before = b""
        self._kept: Counters | None = None

    def _read_options(self) -> RunConfig:
        config = options_within(self._own, self.context)
        terms, asks = self.terms, self.message.metadata.message_type != "query.agree"
        if terms is not None and asks and options_digest(self.context) != self._agreed_options():
            raise WireError("the run's options are not those that were agreed")
        return config if terms is None or not config.of_sites else terms.of_classes(config)

    def _agreed_options(self) -> str:
        terms = self.terms
        if self.state is not None and terms is not None:
            return self.state.options(terms.study)
        return ContextMemory(self.context).get(OPTIONS, b"").decode()

    @property
    def terms(self) -> Terms | None:
        """What was agreed before the run; None where nothing was."""
        if self.state is not None:
            kept = self.state.terms(self.context.run_id)
            return None if kept is None else Terms.model_validate(kept)
        data = ContextMemory(self.context).get(TERMS)
        return None if data is None else Terms.decode(data)

    @property
    def site(self) -> Site | None:
        """The node's own table; None where it opens what the run's options name."""
        if not self.deployed or self.config.data != SITES:
            return None
        return Site.of(self._own, "--node-config")

    @property
    def group(self) -> str:
        """The round's number, or what is tested."""
        return str(self.message.metadata.group_id)

    @property
    def of_rounds(self) -> bool:
        """Whether the message is of a round; else of a test."""
        return self.message.metadata.message_type.partition(".")[0] == "train"

    @property
    def round_number(self) -> int:
        """The round, from 1.

        Raises:
            WireError: the message names none, or one that the node does not allow.
        """
        group = self.group
        number = int(group) if group.isascii() and group.isdecimal() and len(group) < 10 else 0
        if not number:
            raise WireError("the message names no round")
        if self.deployed:
            self.limits.refuse_round(number)
        return number

    @property
    def payload(self) -> bytes:
        """What the server sent."""
        payload = payload_of(self.message)
        if self.deployed:
            self.limits.refuse_message(payload)
        return payload

    @functools.cached_property
    def memory(self) -> Memory:
        """What it keeps between messages."""
        self._before = self._recall()
        return ContextMemory(self.context)

    @property
    def counters(self) -> Memory:
        """What it answered, which is never taken back."""
        return self.memory if self._kept is None else self._kept

    def answered(self, work: Callable[[Self], bytes]) -> bytes:
        """Answer the message, and keep on disk what is to be kept before the answer leaves.

        An answer that counts, in a sum, for a privacy budget or as a test, is made once: the same
        question again gets the same bytes.

        Args:
            work: makes an answer of this member.
        """
        terms = self.terms
        if self.state is None or terms is None:
            return work(self)
        with self.state.alone(terms.study):
            return self._answered(work, self.state.counters(terms.study))

    def _answered(self, work: Callable[[Self], bytes], kept: Counters) -> bytes:
        self._kept, counts = kept, self._counts
        kind, group, question = self._kind, self.group, self.payload
        known = kept.answer_to(kind, group, question) if counts else None
        if known is not None:
            return known
        try:
            answer = work(self)
        except Exception:
            kept.commit()  # who was told why has been told something
            if self._may_begin_anew():
                kept.forget(kind, group)
                kept.commit()
            raise
        self._remember()
        if counts:
            kept.keep(kind, group, self._place(), question, answer)
        kept.commit()
        return answer

    @property
    def _kind(self) -> str:
        return str(self.message.metadata.message_type)

    @property
    def _counts(self) -> bool:
        config = self.config
        return not self.of_rounds or config.secure_aggregation or config.privacy is not None

    def _may_begin_anew(self) -> bool:
        """Whether a sum went wrong before anything of the client's was in it."""
        summed = self.config.secure_aggregation
        return summed and not self.sum_client().is_past(self.group)

    def _recall(self) -> bytes:
        """Find on disk what it kept; returns its context as it is now."""
        terms, kind = self.terms, self._kind
        if self.state is None or terms is None or kind.partition(".")[0] == "query":
            return b""
        anew = begins(kind, self.config.secure_aggregation)
        kept = self.state.states(terms.study).latest(self._place(), anew)
        found = None if kept is None else context_from_bytes(kept.read_bytes())
        self.context.state = RecordDict() if found is None else found.state
        return context_to_bytes(self.context)

    def _place(self) -> int:
        return self.round_number if self.of_rounds else AFTER_ALL

    def _remember(self) -> None:
        """Keep on disk what has changed in its memory."""
        terms = self.terms
        if self.state is None or terms is None or not self._before:
            return
        now = context_to_bytes(self.context)
        if now != self._before:
            self.state.states(terms.study).keep(self._place(), now)

    def sum_client(self) -> SumClient:
        """Its part in sums.

        Raises:
            WireError: its options are for no sums.
        """
        config = self.config
        if not config.secure_aggregation:
            raise WireError("secure aggregation is not among this client's options")
        if self.of_rounds:
            _ = self.round_number
        elif self.group.isdecimal():  # a round's sum is remembered by its number
            raise WireError("the message names a round, and asks for a test")
        least = max(self.limits.smallest_sum, config.resolved_threshold)
        if config.cohort_size > NEIGHBOURS + 1:  # on a ring a client sees its neighbours alone
            least = min(least, (NEIGHBOURS + 1) // 2 + 1)
        return SumClient(self.memory, self.pid, least, self.deployed, self.counters)


def options_digest(context: Context) -> str:
    """sha256 of a run's options but the server's folder: a study keeps them, or ends."""
    options = {name: value for name, value in context.run_config.items() if name != FOLDER}
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()


OPTIONS = "options"
"""Where a client's memory has the digest."""


def state_of(own: Mapping[str, Any]) -> NodeState | None:
    """A node's folder for what it remembers over restarts; None where it names none."""
    folder = own.get("state")
    return NodeState(Path(str(folder)).expanduser()) if folder else None


def options_within(own: Mapping[str, Any], context: Context) -> RunConfig:
    """The options of a deployed run, once the node's limits allow them.

    Args:
        own: what the node's configuration says.
        context: has the run's options.

    Raises:
        ConfigError: the options cannot be used.
        WireError: they go beyond the limits, or are for texts that are not the node's own.
    """
    config = RunConfig.from_run_config(context.run_config).with_quick()
    Limits.of(own).refuse_run(config)
    if "data" in own and config.data != SITES:
        raise WireError("this node has texts of its own: the run has to be of --data sites")
    return config
