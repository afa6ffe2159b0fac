"""The comparison: what to send."""

from fedseed.studies.description import StudyDescription

STUDY = StudyDescription(
    kind="comparison",
    summary="What to send: every protocol on the same shards, with the bytes that really "
    "travelled.",
    details="Federated averaging, low-rank factors, labels, recipes, scalars and masks, between "
    "the bounds of clients alone and all texts together; on iid and on skewed shards, with lost "
    "and with poisoned clients.",
    options="fedseed.studies.comparison.options:ComparisonOptions",
    study="fedseed.studies.comparison.study:Comparison",
    table="fedseed.studies.comparison.table:comparison_table",
    figure="fedseed.studies.comparison.figure:comparison_figure",
)
