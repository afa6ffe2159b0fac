"""How much training one message may ask for, on a machine whose owner has set a limit."""

from fedseed.errors import WireError
from fedseed.recipe import Recipe


class Workload:
    """Counts the tokens that a message's trainings read, and refuses one token too many."""

    def __init__(
        self, most_tokens: int, most_steps: int | None = None, most_batch: int | None = None
    ) -> None:
        """Start with nothing spent.

        Args:
            most_tokens: steps x texts of a step x tokens of a text, all trainings together.
            most_steps: of one training; any number when None.
            most_batch: texts of one step; any number when None.
        """
        self._most, self._spent = most_tokens, 0
        self._of_one = {"steps": most_steps, "batch_size": most_batch}

    def spend(self, recipe: Recipe) -> None:
        """Count a training before it begins.

        Raises:
            WireError: the message then asks for more than is allowed.
        """
        for name, most in self._of_one.items():
            asked = getattr(recipe, name)
            if most is not None and asked > most:
                words = name.replace("_", " ")
                raise WireError(f"{words} {asked:,} is asked for, this node allows {most:,}")
        self._spent += recipe.steps * recipe.batch_size * recipe.max_length
        if self._spent > self._most:
            raise WireError(
                f"training on {self._spent:,} tokens is asked for, this node allows {self._most:,}"
            )
