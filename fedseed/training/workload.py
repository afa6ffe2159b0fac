"""How much training one message may ask for, on a machine whose owner has set a limit."""

from fedseed.errors import WireError
from fedseed.recipe import Recipe


class Workload:
    """Counts the tokens that a message's trainings read, and refuses one token too many."""

    def __init__(self, most_tokens: int) -> None:
        """Start with nothing spent.

        Args:
            most_tokens: steps x texts of a step x tokens of a text, all trainings together.
        """
        self._most, self._spent = most_tokens, 0

    def spend(self, recipe: Recipe) -> None:
        """Count a training before it begins.

        Raises:
            WireError: the message then asks for more than is allowed.
        """
        self._spent += recipe.steps * recipe.batch_size * recipe.max_length
        if self._spent > self._most:
            raise WireError(
                f"training on {self._spent:,} tokens is asked for, this node allows {self._most:,}"
            )
