"""Labels as they stand in a file (integers or words) to class numbers from 0."""

from collections.abc import Sequence

from fedseed.errors import DataError

MAX_CLASSES = 255


def to_class_numbers(values: Sequence[object], where: str) -> tuple[list[int], tuple[str, ...]]:
    """Number the classes: in numerical order for integers, alphabetically for words.

    Args:
        values: the labels as read.
        where: the data's name, for the message.

    Returns:
        Class numbers and class names.

    Raises:
        DataError: a label is missing, there is one class only, or there are over 255.
    """
    words = [_word(value) for value in values]
    for row, word in enumerate(words):
        if not word:
            raise DataError(f"{where}: the label of data row {row + 1} is missing: fill it in")
    names = sorted(set(words), key=_order)
    if len(names) < 2:
        raise DataError(
            f"{where} holds one class only ({names[0]}): accuracy means nothing there; "
            "give data with at least two classes"
        )
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{where} holds {len(names)} distinct labels, at most {MAX_CLASSES} are classes: "
            "give --label-column NAME"
        )
    numbers = {name: number for number, name in enumerate(names)}
    return [numbers[word] for word in words], tuple(names)


def _word(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() else str(value)
    return str(value).strip()


def _order(name: str) -> tuple[int, int, str]:
    try:
        return (0, int(name), name)
    except ValueError:
        return (1, 0, name)
