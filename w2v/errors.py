"""The one exception for what a user can put right."""


class InputError(ValueError):
    """Bad input or settings.

    The message is one line: what is wrong, where, and what would be right.  The command line
    prints it and exits with status 2; library code may catch it as a ``ValueError``.
    """
