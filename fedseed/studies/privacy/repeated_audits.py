"""Audits of many answers of real clients, with a text and without it, of whatever mechanism."""

from collections.abc import Mapping
from typing import Any

from fedseed.attacks.audit.repeated import lower_bounds
from fedseed.privacy.protection import DpSgd
from fedseed.randomness import generator
from fedseed.studies.privacy.answers_of_counts import CountedAnswers
from fedseed.studies.privacy.answers_of_training import TrainedAnswers
from fedseed.studies.privacy.defences import Setting
from fedseed.studies.privacy.options import PrivacyOptions


def repeated_audit(config: PrivacyOptions, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds on epsilon from answers of the clients of a sum, or of a single one.

    Args:
        config: of the study.
        arguments: ``setting``, ``epsilon``, ``repeat``, and ``too_little``: by which the noise is
            divided, as an accountant would that is wrong about the noise's scale.
    """
    setting = Setting(**arguments["setting"])
    make = TrainedAnswers if isinstance(setting.protection, DpSgd) else CountedAnswers
    answers = make(config, setting, arguments)
    about = f"{setting.name}/{arguments['epsilon']:g}/{arguments['too_little']:g}"

    def scores(with_text: bool) -> list[float]:
        score, drawn = answers.scored(with_text), f"privacy/answers/{about}/{with_text}"
        asked = range(setting.answers(config))
        repeat = arguments["repeat"]
        return [score(generator(config.run_seed, drawn, number, repeat)) for number in asked]

    found = lower_bounds(scores(True), scores(False), config.delta, config.audit_confidence)
    return {
        "claimed": answers.claimed, "epsilon": max(found.general, found.gaussian),
        "general": found.general, "gaussian": found.gaussian, "answers": found.answers,
        "confidence": config.audit_confidence,
    }  # fmt: skip
