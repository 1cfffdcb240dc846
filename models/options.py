"""Checks of the options that a user may set on a layer, with what is wrong and what would be right.

A check names the option alone; who knows more, as `backbones.get`, puts that before it.
"""

import numbers

from models.spec.errors import UserError


def check_whole(name, value, least):
    """Raises a UserError unless the value is a whole number of `least` or more."""
    if not _is_whole(value) or value < least:
        raise UserError(f"{name} is {value!r}; it must be a whole number, {least} or more")


def check_units(name, values, least=0):
    """Raises a UserError unless the values are a list of at least `least` widths, each 1 or more.

    Example:

    ```python
    check_units("hidden_units", (256, 0))  # UserError: hidden_units has 0; a width is ...
    ```
    """
    if not isinstance(values, (list, tuple)) or len(values) < least:
        some = f"{least} or more widths" if least else "widths"
        raise UserError(f"{name} is {values!r}; it must be a list of {some}, as [256, 128, 64]")
    for value in values:
        if not _is_whole(value) or value < 1:
            raise UserError(f"{name} has {value!r}; a width is a whole number, 1 or more")


def check_share(name, value):
    """Raises a UserError unless the value is a number of at least 0 and below 1, as a dropout rate is."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value < 1:
        raise UserError(f"{name} is {value!r}; it must be a number, at least 0 and below 1")


def check_flag(name, value):
    """Raises a UserError unless the value is true or false."""
    if not isinstance(value, bool):
        raise UserError(f"{name} is {value!r}; it must be true or false")


def check_choice(name, value, choices):
    """Raises a UserError unless the value is one of the choices."""
    if value not in choices:
        raise UserError(f"{name} is {value!r}; it must be one of: {', '.join(choices)}")


def _is_whole(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
