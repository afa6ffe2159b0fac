"""The rates study: which learning rates improve a seed that knows, and which spoil it."""

from fedseed.studies.description import StudyDescription

STUDY = StudyDescription(
    kind="rates",
    summary="Which learning rates improve a seed that knows the task, and which spoil it.",
    details="A newcomer trains on its own texts from a lexicon seed of all other texts, and from a "
    "random one, at every rate; its model is compared with the seed's own answers text by text.",
    options="fedseed.studies.rates.options:RatesOptions",
    study="fedseed.studies.rates.study:Rates",
    table="fedseed.studies.rates.table:rates_table",
    figure="fedseed.studies.rates.figure:rates_figure",
)
