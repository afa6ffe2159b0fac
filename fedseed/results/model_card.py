"""The card that lies beside a model: Markdown with the fields that model hubs read."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.class_counts import class_balance
from fedseed.results.table import accuracy_rows, percent

_HEAD = """---
library_name: transformers
pipeline_tag: text-classification
tags:
- fedseed
---
"""
_USE = """
## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", model="PATH OF THIS FOLDER")
classify("a text", truncation=True, top_k=None)
```

or `fedseed predict PATH my.csv --out labelled.csv`.
"""


def plain_card(title: str, text: str) -> str:
    """A card of a title, a text, and how the model is used."""
    return f"{_HEAD}\n# {title}\n\n{text}\n{_USE}"


def model_card(record: Mapping[str, Any]) -> str:
    """The card of the model that a federated run ended with, from its record alone."""
    config, provenance = record["config"], record["provenance"]
    name, protocol = config["model"], record["protocol"]
    lines = [
        f"Trained by {config['clients']:,} clients in {len(record['rounds'])} round(s), under the "
        f"protocol `{protocol['name']}` ({protocol['summary']}) of fedseed, commit "
        f"{provenance['commit'] or 'unknown'}. Texts stayed with the clients.",
        "",
        f"- Data: {provenance['dataset']['source']}; classes "
        f"{', '.join(provenance['dataset']['classes'])}",
        f"- Tokens of a text that are read: {config['max_length']}",
        *_bytes(record["ledger"]),
        f"- Privacy: {_privacy(record)}",
        *(["- This was a --quick run: its numbers mean little."] if config.get("quick") else []),
        "",
        "## Accuracy",
        "",
        *_table(record),
    ]
    return plain_card(f"{name}, {protocol['name']}", "\n".join(lines))


def _table(record: Mapping[str, Any]) -> list[str]:
    results = record["results"]
    rows = ["| model | accuracy | 95 % interval | n | majority |", "|---|---:|---:|---:|---:|"]
    for name, accuracy in accuracy_rows(results):
        low, high = accuracy["ci95"]
        rows.append(
            f"| {name} | {percent(accuracy['value'])} | {100 * low:.1f} - {100 * high:.1f} | "
            f"{accuracy['n']:,} | {percent(accuracy['majority_baseline'])} |"
        )
    tested = results.get("original") or results["given"].get("pooled") or {}
    if "class_counts" in tested:
        balance = class_balance(tested["class_counts"], record["provenance"]["dataset"]["classes"])
        rows += ["", f"Test texts: {balance}. This model is the row `aggregated`."]
    return rows


def _bytes(ledger: Mapping[str, Any]) -> list[str]:
    if not ledger:
        return []
    most = ledger["payload_bytes"]["per_client_round_max"]
    return [
        f"- What travelled, at most, of one client in one round: {most['down']:,} bytes down, "
        f"{most['up']:,} up"
    ]


def _privacy(record: Mapping[str, Any]) -> str:
    said = privacy_words(record)
    return said or "nothing bounds what the model gives away of its texts"


def privacy_words(record: Mapping[str, Any]) -> str:
    """What protected the texts of a federated run, in words; empty when nothing did."""
    budget = record["provenance"].get("privacy")
    parts = []
    if budget is not None and budget["epsilon"] is not None:
        parts.append(
            f"differential privacy of each {budget['unit']}, epsilon {budget['epsilon']:.3g} at "
            f"delta {budget['delta']:g} ({budget['mechanism']})"
        )
    if record["config"].get("secure_aggregation"):
        parts.append("secure aggregation: the server saw sums alone")
    return "; ".join(parts)
