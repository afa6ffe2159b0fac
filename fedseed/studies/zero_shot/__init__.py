"""The zero-shot study: what a seed knows before any training."""

from fedseed.studies.description import StudyDescription

STUDY = StudyDescription(
    kind="zero_shot",
    summary="What a seed knows before any training: accuracy and perplexity with no step taken.",
    details="Every seed kind, and pca seeds of growing size, extracted from a fine-tuned "
    "classifier and from a causal language model, against the originals and the baselines.",
    options="fedseed.studies.zero_shot.options:ZeroShotOptions",
    study="fedseed.studies.zero_shot.study:ZeroShot",
    table="fedseed.studies.zero_shot.table:zero_shot_table",
    figure="fedseed.studies.zero_shot.figure:zero_shot_figure",
)
