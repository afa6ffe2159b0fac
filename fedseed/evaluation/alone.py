"""What a client's own texts are worth without anybody else's: a bag of words, trained on them."""

import numpy as np

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.evaluation.metrics import ClassCounts, count_correct
from fedseed.linear.counts import mean_counts
from fedseed.linear.selection import LabelledCounts

ALONE = "alone"
"""What its test is called among those of the run's products."""


def tested_alone(
    table: TokenTable, train: Rows, tests: Rows, classes: int, max_length: int
) -> ClassCounts:
    """Train a linear model on some texts and test it on others.

    Args:
        table: of a model of the BERT family, whose words are counted.
        train: rows to learn from.
        tests: rows to test on, at least one.
        classes: number of classes.
        max_length: tokens of a text that count, special tokens included.
    """
    learnt = LabelledCounts(mean_counts(table, train, max_length), table.labels[train], classes)
    answers = learnt.fit().answers(mean_counts(table, tests, max_length))
    return count_correct(np.eye(classes, dtype=np.float32)[answers], table.labels[tests])
