"""What users did on earlier days, as derived histories need it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from components.day_keys import day_keys
from components.example_gen import splitting

# Keys of the inputs that hold earlier days.
KEYS = day_keys("past")

Entry = tuple[str, str]
# For each derived history, in the specification's order, a day's newest (time, entry), oldest first.
Past = list[list[tuple[float, Entry]]]


def encode(user: str, past: Past) -> bytes:
    """One user's day as a record."""
    return json.dumps([user, past], ensure_ascii=False).encode()


def decode(record: bytes) -> tuple[str, Past]:
    """The inverse of `encode`."""
    user, past = json.loads(record)
    return user, [[(time, (entry, word)) for time, (entry, word) in history] for history in past]


def newest(entries: Sequence[tuple[float, Entry | None]], max_length: int) -> list[tuple[float, Entry]]:
    """Of one user's day what later days may see.

    Args:
        entries: each row's time and what it adds, or None.
        max_length: of the history.

    Returns:
        The newest of them, oldest first; of equal times always the same.
    """
    return sorted((time, entry) for time, entry in entries if entry is not None)[-max_length:]


def seen(earlier: Sequence[tuple[float, Entry]], times: Sequence[float], entries: Sequence[Entry | None],
         max_length: int) -> list[list[Entry]]:
    """For each of one user's rows of a day the newest entries of strictly earlier rows, earlier days' among them.

    Times decide, not the days' files: a row never sees what is later, wherever it stands.

    Args:
        earlier: time and entry of rows of earlier days, in any order.
        times: the times of the day's rows, ascending.
        entries: what each of these rows adds for later ones, or None.
        max_length: how many are kept, newest last.
    """
    # The rows of the day stand behind earlier days' of the same time, and in their own order.
    merged = [(time, -1, entry) for time, entry in sorted(earlier)]
    merged += [(time, i, entry) for i, (time, entry) in enumerate(zip(times, entries))]
    merged.sort(key=lambda row: row[:2])
    found = splitting.earlier_entries([r[0] for r in merged], [r[2] for r in merged], max_length)
    return [past for (_, row, _), past in zip(merged, found) if row >= 0]
