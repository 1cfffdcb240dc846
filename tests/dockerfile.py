"""Reads a Dockerfile, and follows its steps in a virtual environment where there is no Docker."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping

# What a step needs that only an image has: its root user and system folders.
_SYSTEM = re.compile(r"\b(useradd|ldconfig|apt-get|chown)\b")


def instructions(path: pathlib.Path) -> list[tuple[str, str]]:
    """Name and arguments of each instruction, continued lines joined.

    Example:

    ```python
    instructions(pathlib.Path("Dockerfile"))[0]  # ("FROM", "python:3.10-slim-bookworm")
    ```
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def follow(
    path: pathlib.Path, folder: pathlib.Path, arguments: Mapping[str, str], environment: Mapping[str, str]
) -> list[str]:
    """Does what COPY and RUN say, with a folder in place of the working directory.

    Args:
        path: the Dockerfile; files are copied from its folder.
        folder: where they are copied to and commands run.
        arguments: values of ARG.
        environment: of the commands, whose PATH leads to the virtual environment.

    Returns:
        The commands that were left out, because they change the system.

    Raises:
        subprocess.CalledProcessError: a command failed.
    """
    values, left_out = {**environment, **arguments}, []
    for name, text in instructions(path):
        if name == "ENV":
            values |= dict(pair.split("=", 1) for pair in shlex.split(text))
        elif name == "COPY":
            *sources, target = shlex.split(text)
            for source in sources:
                _copy(path.parent / source, folder / target, into=target.endswith("/"))
        elif name == "RUN" and _SYSTEM.search(text):
            left_out.append(text)
        elif name == "RUN":
            subprocess.run(["sh", "-c", text], cwd=folder, env=values, check=True)
    return left_out


def _copy(source: pathlib.Path, target: pathlib.Path, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target / source.name if into else target)


def ignored(path: pathlib.Path, source: str) -> bool:
    """Whether a `.dockerignore` of the form "all but these" keeps a file from being copied."""
    patterns = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [line[1:] for line in patterns if line.startswith("!")]
    return "*" in patterns and not any(pathlib.PurePath(os.path.normpath(source)).match(pattern) for pattern in kept)
