"""The privacy study: what each protocol gives away."""

from fedseed.studies.description import StudyDescription

STUDY = StudyDescription(
    kind="privacy",
    summary="What each protocol gives away, to whom, and what a defence costs.",
    details="Membership inference, words, class mix, planted canaries and an audit of differential "
    "privacy: attacks that read only what crossed the wire, by observer and by protocol.",
    options="fedseed.studies.privacy.options:PrivacyOptions",
    study="fedseed.studies.privacy.study:Privacy",
    table="fedseed.studies.privacy.table:privacy_table",
    figure="fedseed.studies.privacy.figure:privacy_figure",
    report="fedseed.studies.privacy.report:privacy_report",
)
