"""A node's part in the agreement before a deployment's first round."""

from flwr.app import Context, Message

from fedseed.data.site_options import SITES
from fedseed.data.sites.site import Site, site_values
from fedseed.data.sites.table import open_site, own_names
from fedseed.errors import WireError
from fedseed.federation.client import Client, Given
from fedseed.federation.member import OPTIONS, options_digest, options_within
from fedseed.federation.messages import ContextMemory, payload_of
from fedseed.federation.terms import TERMS, Terms
from fedseed.models.published import tokenizer_file


def told_labels(context: Context) -> dict[str, object]:
    """A node's answer: what its classes are called in the run; none where it does not tell them."""
    own = site_values(context.node_config)
    config = options_within(own, context)
    if config.data != SITES:
        raise WireError("the run is not of --data sites")
    site = Site.of(own, "--node-config")
    if not site.tell_labels:
        return {"labels": []}
    dataset = open_site(site, tokenizer_file(config.model), config.length)
    return {"labels": own_names(site, dataset.classes)}


def agree(given: Given, message: Message, context: Context) -> dict[str, object]:
    """A node's answer to the run's terms: its name, once its data, model and limits fit them.

    The terms are kept: later messages of the run are read by them.
    """
    terms = Terms.decode(payload_of(message))
    client = Client(given, message, context)
    terms.refuse_other(client.config)
    if client.state is not None:
        client.state.join(context.run_id, terms.model_dump(mode="json"), {
            "partition": client.pid, "options": options_digest(context),
        })  # fmt: skip
    else:
        ContextMemory(context)[TERMS] = terms.encode()
        ContextMemory(context)[OPTIONS] = options_digest(context).encode()
    client = Client(given, message, context)
    client.limits.refuse_round(client.config.rounds)
    client.refuse_large_model(len(terms.classes))
    own = client.federated
    if own.dataset.classes != terms.classes:
        raise WireError("the classes of its data are not those of the run")
    site = client.site
    return {"name": f"site {client.pid}" if site is None else site.name or f"site {client.pid}"}
