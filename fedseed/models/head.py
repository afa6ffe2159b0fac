"""Head: which of a published head's classes is which of the data's, by their names."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from fedseed.errors import ConfigError, one_line
from fedseed.models.architecture import CAUSAL
from fedseed.models.config_file import code_note, other_task
from fedseed.models.published import how_to_take_body, read_config
from fedseed.models.registry import GenericModel, Model
from fedseed.models.taking import drawn_parts, final_layer, looked_at

_DEFAULT = re.compile(r"(label)?[ _-]?\d{1,18}", re.IGNORECASE)
"""Names that transformers gives to classes without one, and bare numbers."""
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_SHOWN = 6
"""Class names in a message."""


def has_head(model: Model) -> bool:
    """Whether the files of a published model hold the layer that gives the classes."""
    return model_classes(model) > 0 and not set(final_layer(model.shapes())) & set(
        drawn_parts(model)
    )


def model_classes(model: Model) -> int:
    """Number of classes of a model; 0 of a causal language model."""
    return getattr(model, "labels", CAUSAL)


def class_names(name: str) -> tuple[str, ...]:
    """What a published head's classes are called, in the order of its rows; empty if nothing is.

    They may be no names, but numbers or LABEL_0 and so on.

    Raises:
        ConfigError: the config.json gives no name for a class, or contradicts itself.
    """
    table = class_table(name)
    numbers = read_config(name).get("label2id")
    back = numbers if isinstance(numbers, dict) else {}
    again = {str(number): str(word) for word, number in back.items()}
    says, says_again = _says_more(table), _says_more(again)
    if says and says_again and _alike(again) != _alike(table):
        raise ConfigError(
            f"id2label and label2id of {name} in its config.json contradict each other: mend them"
        )
    if not says and says_again and set(again) == set(table):
        table = again
    return tuple(table[str(number)] for number in range(len(table)))


def _alike(table: Mapping[str, str]) -> dict[str, str]:
    """Names of classes without what they may differ by."""
    return {number: word.strip().casefold() for number, word in table.items()}


def _says_more(table: Mapping[str, str]) -> bool:
    """Whether a class is called by more than its own row's number."""
    return any(not _DEFAULT.fullmatch(w) or _row(w) != _row(n) for n, w in table.items())


def class_table(name: str) -> dict[str, str]:
    """The names of a model's classes by their numbers, as its config.json has them.

    Raises:
        ConfigError: they are no names of the classes 0, 1, 2 and so on.
    """
    table = read_config(name).get("id2label") or {}
    if not isinstance(table, dict) or not all(isinstance(w, str | int) for w in table.values()):
        raise ConfigError(f"the id2label of {name} in its config.json is no table: mend it")
    names = {str(number): str(word) for number, word in table.items()}
    if set(names) != {str(number) for number in range(len(names))}:
        raise ConfigError(
            f"the id2label of {name} in its config.json does not number the classes from 0: mend it"
        )
    return names


def head_rows(model: Model, classes: Sequence[str]) -> tuple[int, ...]:
    """The rows of a published head in the order of the data's classes.

    Names are compared without regard to case and to white space around them, numbers as numbers.

    Args:
        model: a published model with as many classes as the data.
        classes: names of the data's classes, in their order.

    Returns:
        A row for every class; empty if the rows stay as they are: in that order already, drawn
        at random, or taken in order because model or data do not name their classes.

    Raises:
        ConfigError: the model's classes have other names than the data's, or are not as many.
    """
    if not has_head(model):
        return ()
    words = class_names(model.name)
    own, data = [_plain(word) for word in words], [_plain(word) for word in classes]
    if own and len(own) != len(data):
        raise ConfigError(
            f"the id2label of {model.name} in its config.json has {len(own)} classes, and its "
            f"head {len(data)}: mend the config.json"
        )
    if _fit(own, data):
        rows = tuple(own.index(word) for word in data)
        return () if rows == tuple(range(len(rows))) else rows
    if not _are_names(words) or _are_numbers(classes):
        return ()
    raise ConfigError(
        f"the classes of {model.name} are {_shown(words)}, and the data's have other names: name "
        f"them so, or take the body: {how_to_take_body(model.name)}"
    )


def start_notes(model: Model, classes: Sequence[str]) -> tuple[str, ...]:
    """What of a published model is drawn at random, and how its head's classes are taken.

    Args:
        model: a published model.
        classes: names of the data's classes, in their order.

    Raises:
        ConfigError: see :func:`head_rows`.
    """
    drawn, name = drawn_parts(model), model.name
    task = other_task(name)
    why = f"{name} was saved from {one_line(task, 60)}" if task else f"{name} lacks them"
    notes = [f"drawn at random, as {why}: {', '.join(drawn)}"] if drawn else []
    if has_head(model):
        notes.append(f"head of {name}: {_taken(model, classes)}")
    if looked_at(model).depends_on_padding:
        notes.append(
            f"{name}: its answer on a text changes with the padding behind it, and so with the "
            "other texts of a batch"
        )
    if isinstance(model, GenericModel):
        notes.append(
            f"{name} is computed by Hugging Face's own module: the fast path, several times as "
            "fast, is the BERT family's alone"
        )
    code = code_note(name)
    return tuple(notes) if code is None else (*notes, code)


def order_note(name: str, classes: Sequence[str]) -> str | None:
    """What is to be said of a seed extracted from weights of a model with other order of classes.

    Such a seed holds no names: its head may have the model's order, or that of other data.
    """
    own = class_names(name)
    plain, data = [_plain(word) for word in own], [_plain(word) for word in classes]
    if plain == data or not _fit(plain, data):
        return None
    return f"the seed's head is taken in the order of the data's classes; {name}: {_shown(own)}"


def _taken(model: Model, classes: Sequence[str]) -> str:
    own = class_names(model.name)
    if head_rows(model, classes):
        return "its classes are matched to the data's by name"
    if _fit([_plain(word) for word in own], [_plain(word) for word in classes]):
        return "its classes are the data's, in the same order"
    if _are_names(own):
        return f"the data's classes are numbers: taken as those of {_shown(own)}, from 0 on"
    called = f" but {_shown(own)}" if own else ""
    return f"its classes have no names{called}: taken in the order of the data's"


def _fit(own: Sequence[str], data: Sequence[str]) -> bool:
    """Whether both have the same names, each of them once."""
    return sorted(own) == sorted(data) and len(set(own)) == len(own)


def _are_names(words: Iterable[str]) -> bool:
    """Whether at least one of them says what a class is."""
    return any(not _DEFAULT.fullmatch(word.strip()) for word in words)


def _row(word: str) -> int:
    return int("".join(filter(str.isdecimal, word)) or -1)


def _plain(word: str) -> str:
    word = unicodedata.normalize("NFC", word.strip().casefold())
    return str(Decimal(word).normalize()) if _NUMBER.fullmatch(word) else word


def _are_numbers(classes: Sequence[str]) -> bool:
    """Whether the data's classes are the numbers 0, 1, 2 and so on: rows of a head."""
    return list(classes) == [str(number) for number in range(len(classes))]


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(one_line(name, 40) for name in names[:_SHOWN]) + more
