"""The two ways in which a run ends early, both with one line that says what to do.

Everything that a person can cause raises :class:`FedMFError`; the command line prints its message
and exits with code 2. Any other exception is a defect of this program.
"""


class FedMFError(Exception):
    """Something outside this program is wrong: a scenario, a file, a machine.

    The message is one line that names the file, the key and the value, and what to do about it.
    """


class DivergenceError(FedMFError):
    """Training left the numbers that its slots can hold.

    The message names who found it, where, and the setting to change. That a user has a step for an item
    is private, so only ``advice``, which names the setting alone, may be written to a run folder. The
    command line exits with code 1: the input was valid, the result is not.
    """

    def __init__(self, where: str, advice: str) -> None:
        super().__init__(where, advice)
        self.advice = advice

    def __str__(self) -> str:
        return ": ".join(self.args)
