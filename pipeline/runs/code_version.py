"""Which code made a run."""

from __future__ import annotations

import importlib.metadata
import pathlib
import subprocess

_CHECKOUT = pathlib.Path(__file__).parents[2]
_TIMEOUT = 10  # seconds


def code_version(checkout: pathlib.Path = _CHECKOUT) -> str:
    """The package's version, with the git commit where it runs from a checkout.

    Args:
        checkout: the folder that holds the packages.

    Returns:
        As PEP 440 writes it: `0.1.0`, `0.1.0+g55da0f71c2aa`, or, with changes that are not
        committed, `0.1.0+g55da0f71c2aa.dirty`.
    """
    try:
        version = importlib.metadata.version("ctrl-tfx")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    # A folder above, as that of a user's own project, says nothing of this code.
    commit = _git(checkout, "rev-parse", "--short=12", "HEAD") if (checkout / ".git").exists() else None
    if commit is None:
        return version
    return f"{version}+g{commit}" + (".dirty" if _git(checkout, "status", "--porcelain", "-uno") else "")


def _git(checkout: pathlib.Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
