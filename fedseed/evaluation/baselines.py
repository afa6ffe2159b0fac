"""Baselines: what needs no neural network. They stand beside every accuracy of a study.

TF-IDF (Sparck Jones 1972) with logistic regression, over words and over words and pairs of words,
on whole texts and on the part of them that the model is given. scikit-learn's defaults, but
logarithmic term counts and words that stand in at least two texts; nothing is tuned.
"""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedseed.data.reading import Source
from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.errors import DataError
from fedseed.evaluation.kept import kept
from fedseed.evaluation.metrics import ClassCounts, accuracy, count_correct

CLASSIFIERS = {
    "tfidf": "TF-IDF + logistic regression",
    "tfidf_bigrams": "TF-IDF with bigrams + logistic regression",
}
_CHUNK = 1000


def find_baselines(
    dataset: Dataset, source: Source, tokenizer: Path, max_length: int, tests: Rows,
    most: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the baselines' accuracies by name; kept in the cache between runs.

    Args:
        dataset: the split whose training rows the baselines learn from.
        source: where the texts are.
        tokenizer: the model's tokenizer, which decides where texts are cut.
        max_length: tokens that the model is given.
        tests: test rows.
        most: training examples to use, about; all of them when None.

    Returns:
        Accuracies in record.json's form. A baseline that cannot be had of these texts (no word
        stands in two of them) is left out.
    """
    parts = (
        dataset.sha256, dataset.test.tobytes(), np.asarray(tests).tobytes(), str(most),
        tokenizer.read_bytes(), str(max_length), importlib.metadata.version("scikit-learn"),
    )  # fmt: skip
    accuracies: dict[str, Any] = kept(
        "baselines", parts,
        lambda: _measure(dataset, source, tokenizer, max_length, tests, most),
    )  # fmt: skip
    return accuracies


def _measure(
    dataset: Dataset, source: Source, tokenizer: Path, max_length: int, tests: Rows,
    most: int | None,
) -> dict[str, Any]:  # fmt: skip
    texts = list(source.reading())
    if dataset.kept is None or len(texts) <= int(dataset.kept.max()):
        raise DataError(f"{source.name} has changed since it was tokenised: start again")
    whole = [texts[row] for row in dataset.kept]
    train = dataset.train if most is None else dataset.train[:: -(-len(dataset.train) // most)]
    accuracies = {"majority": _majority(dataset, tests)}
    cut = _cut(whole, np.concatenate([train, tests]), tokenizer, max_length)
    for length, texts in (("full", whole), (f"{max_length}_tokens", cut)):
        for name, words in CLASSIFIERS.items():
            try:
                counts = _fit(texts, dataset, train, tests, 2 if "bigrams" in name else 1)
            except ValueError:  # no word stands in two texts, or one class is left: no baseline
                continue
            cell = accuracy([counts]).to_record()
            accuracies[f"{name}_{length}"] = {"name": f"{words}, {_length(length)}", **cell}
    return accuracies


def _length(length: str) -> str:
    return "whole texts" if length == "full" else f"first {length.replace('_', ' ')}"


def _majority(dataset: Dataset, tests: Rows) -> dict[str, Any]:
    """Always answer the training split's largest class."""
    labels = dataset.table.labels
    answer = int(np.bincount(labels[dataset.train], minlength=dataset.labels).argmax())
    examples = np.bincount(labels[tests], minlength=dataset.labels)
    right = np.where(np.arange(dataset.labels) == answer, examples, 0)
    counts = ClassCounts(tuple(right.tolist()), tuple(examples.tolist()))
    return {"name": "largest class of the training split", **accuracy([counts]).to_record()}


def _cut(texts: Sequence[str], rows: Rows, tokenizer: Path, max_length: int) -> list[str]:
    """Texts as the model sees them: up to the last character of its last token."""
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(str(tokenizer))
    encoder.enable_truncation(max_length)
    encoder.no_padding()
    out = list(texts)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        for row, encoding in zip(chunk, encoder.encode_batch([texts[r] for r in chunk])):
            out[row] = texts[row][: max((end for _, end in encoding.offsets), default=0)]
    return out


def _fit(
    texts: Sequence[str], dataset: Dataset, train: Rows, tests: Rows, longest: int
) -> ClassCounts:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    labels = dataset.table.labels
    vectoriser = TfidfVectorizer(ngram_range=(1, longest), min_df=2, sublinear_tf=True)
    features = vectoriser.fit_transform([texts[row] for row in train])
    model = LogisticRegression(max_iter=1000).fit(features, labels[train])
    scores = np.zeros((len(tests), dataset.labels), dtype=np.float32)
    probabilities = model.predict_proba(vectoriser.transform([texts[row] for row in tests]))
    scores[:, model.classes_] = probabilities
    return count_correct(scores, labels[tests])
