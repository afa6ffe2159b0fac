"""One clear line out of pydantic's report."""

from pydantic import ValidationError


def first_problem(error: ValidationError, dashes: bool = False) -> str:
    """Return the first problem of a validation as ``name = value: what is wrong``.

    Args:
        error: what pydantic found.
        dashes: write names as on a command line.
    """
    problem = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in problem["loc"])
    name = name.replace("_", "-") if dashes else name
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "extra_forbidden":
        return f"unknown name '{name}'"
    if problem["type"] == "missing" or not name:
        return f"{name}: {message}" if name else message
    return f"{name} = {problem['input']!r}: {message}"
