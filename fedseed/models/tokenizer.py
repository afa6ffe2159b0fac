"""A published model's tokenizer: whether it makes the tokens that the model was trained on."""

import functools
from pathlib import Path
from typing import Any

from fedseed.errors import ConfigError, first_line
from fedseed.files import read_json
from fedseed.models.advice import refuse_pointer
from fedseed.models.published import model_folder, tokenizer_file
from fedseed.models.registry import GenericModel, find_model, vocabulary

_OF_MASKED_WORDS = ("[MASK]", "<mask>")
"""Tokens of models that read texts between two special tokens."""
_SHARE = 0.5
"""Of the model's words that a tokenizer knows, and of its tokens that are known: at least."""
_RARE = "a \u1681 \U0001033f"
"""A text with letters that vocabularies lack."""
_TOGETHER = "give a folder whose parts belong together"


@functools.cache
def refuse_tokenizer(name: str) -> None:
    """Refuse a tokenizer.json that is not the one that its model was trained with.

    Raises:
        ConfigError: it is none, knows too few words, does not lower-case as its
            tokenizer_config.json says, or lacks a special token that the model needs.
    """
    path = tokenizer_file(name)
    tokenizer = _opened(path, name)
    words, known = vocabulary(name), tokenizer.get_vocab_size()
    if words is not None and known < _SHARE * words:
        raise ConfigError(
            f"the tokenizer.json of {name} knows {known:,} tokens, and its config.json says "
            f"vocab_size {words:,}: {_TOGETHER}"
        )
    _refuse_case(name, tokenizer)
    if not tokenizer.num_special_tokens_to_add(False) and any(
        tokenizer.token_to_id(token) is not None for token in _OF_MASKED_WORDS
    ):
        raise ConfigError(
            f"the tokenizer.json of {name} puts no special tokens around a text (it has no "
            "post_processor), and such models want them: save the tokenizer again"
        )
    try:
        tokens = tokenizer.encode(_RARE).ids
    except Exception as error:  # the library raises nothing more exact
        raise ConfigError(
            f"the tokenizer.json of {name} cannot read every text: {first_line(error)}"
        ) from error
    _refuse_no_end(name, tokens)


def unknown_share(name: str, tokens: int, texts: int) -> tuple[int | None, int]:
    """A tokenizer's token for what it does not know, and how many of some texts' may be it.

    Args:
        name: the model.
        tokens: of all texts, special ones included.
        texts: how many.

    Returns:
        The token's id, None where there is no such token, and the largest number of them.
    """
    path = tokenizer_file(name)
    model: dict[str, Any] = read_json(path, f"the tokenizer.json of {name}", ConfigError)["model"]
    tokenizer = _opened(path, name)
    word, number = model.get("unk_token"), model.get("unk_id")
    unknown = tokenizer.token_to_id(word) if isinstance(word, str) else number
    special = tokenizer.num_special_tokens_to_add(False) * texts
    return unknown, int(_SHARE * max(0, tokens - special))


def _opened(path: Path, name: str) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more exact
        raise ConfigError(
            f"the tokenizer.json of {name} is not a tokenizer: {first_line(error)}"
        ) from error


_FOLLOW = {
    f"{family}Tokenizer"
    for family in (
        "Albert", "Bert", "ConvBert", "DistilBert", "Electra", "Funnel", "LayoutLM", "Lxmert",
        "MobileBert", "MPNet", "RemBert", "SqueezeBert",
    )
}  # fmt: skip
"""Classes of transformers that follow ``do_lower_case``; others ignore it."""


def _refuse_case(name: str, tokenizer: Any) -> None:
    """Refuse a tokenizer that lower-cases, or does not, against its tokenizer_config.json."""
    path = model_folder(name) / "tokenizer_config.json"
    if not path.is_file():
        return
    refuse_pointer(path, name)
    entries = read_json(path, f"the tokenizer_config.json of {name}", ConfigError)
    entries = entries if isinstance(entries, dict) else {}
    lowers = entries.get("do_lower_case")
    if str(entries.get("tokenizer_class", "BertTokenizer")).removesuffix("Fast") not in _FOLLOW:
        return
    normalizer = tokenizer.normalizer
    does = normalizer is not None and "A" not in normalizer.normalize_str("A")
    if isinstance(lowers, bool) and lowers != does:
        raise ConfigError(
            f"the tokenizer_config.json of {name} says do_lower_case {str(lowers).lower()}, and "
            f"its tokenizer.json {'does' if does else 'does not'}: make them agree, or save the "
            "tokenizer again"
        )


def _refuse_no_end(name: str, tokens: list[int]) -> None:
    """Refuse texts without the last token from which T5's and BART's classifiers read."""
    model = find_model(name, 2)
    config = model.config() if isinstance(model, GenericModel) else None
    end = getattr(config, "eos_token_id", None)
    if getattr(config, "is_encoder_decoder", False) and end not in tokens:
        raise ConfigError(
            f"the tokenizer.json of {name} puts no end (eos_token_id {end}) behind a text, where "
            "its classifier reads: save the tokenizer again"
        )
