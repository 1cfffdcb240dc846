"""The error that a user of the project can cause, and is shown without a traceback."""


class UserError(ValueError):
    """Something in the user's data, specification, configuration or command is wrong.

    The message says what is wrong, where (file, key, row, column) and what would be
    right. The `ctrl` command prints it without a traceback.
    """
