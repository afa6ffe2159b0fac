"""Charts of accuracies."""

from collections.abc import Sequence

from fedseed.results.report.chart import Chart, Item
from fedseed.results.table import percent


def accuracy_chart(title: str, items: Sequence[Item], majority: float, mark: str = "") -> Chart:
    """Accuracies on one axis that ends at 100 %, against the majority baseline.

    Args:
        title: of the chart.
        items: what is shown, as shares.
        majority: the baseline, a share.
        mark: what the items' marks are, if they have any.
    """
    ends = [one for item in items for one in (item.value, item.low, item.mark) if one is not None]
    low = max(0, int(10 * min([majority, *ends]) - 0.2)) / 10
    ticks = [(place / 10, f"{10 * place} %") for place in range(round(10 * low), 11)]
    line = (majority, f"always the largest class, {percent(majority)}")
    return Chart(title, "share of test texts named rightly", items, low, 1.0, ticks, line, mark)
