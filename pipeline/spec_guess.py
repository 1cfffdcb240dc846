"""Guesses what each column of a log is for."""

from __future__ import annotations

import pandas as pd

from models.spec.errors import UserError
from pipeline.column_profile import ColumnProfile

# In order of preference.
CLICK_WORDS = ("clicked", "click", "clk", "label", "target", "y", "converted", "conversion", "purchased",
               "purchase", "bought", "buy", "liked", "like")
RATING_WORDS = ("rating", "ratings", "stars", "star", "score", "overall", "grade")
TIME_WORDS = ("timestamp", "time", "datetime", "date", "ts", "created", "at")
ID_WORDS = ("id", "ids", "uid", "uuid", "iid", "pid", "cid", "asin", "sku", "zip", "postcode", "code", "ref")
LIST_OF_PAST_WORDS = {"history", "hist", "recent", "recently", "last", "previous", "prev", "past",
                      "sequence", "seq"}
SIDE_WORDS = {
    "context": {
        "hour", "weekday", "weekend", "day", "month", "device", "page", "position", "pos", "slot", "time",
        "os", "network", "browser", "agent", "app", "site", "platform", "session", "referrer", "referer",
        "query", "banner", "connection", "ip", "pid", "placement", "channel", "weather", "daypart",
    },
    "user": {
        "user", "member", "customer", "visitor", "reader", "viewer", "account", "uid", "gender", "sex",
        "age", "occupation", "job", "profession", "city", "country", "region", "state", "zip", "postcode",
        "income", "education", "married", "marital", "segment", "membership", "language", "guest", "buyer",
        "subscriber", "client", "listener", "patient", "student", "passenger", "traveller", "traveler", "player",
    },
    "item": {
        "item", "movie", "product", "ad", "adgroup", "article", "news", "book", "song", "track", "video",
        "title", "brand", "price", "category", "cate", "genre", "genres", "tags", "tag", "artist", "author",
        "publisher", "year", "sku", "asin", "campaign", "advertiser", "seller", "shop", "headline", "topic",
        "colour", "color", "size", "description", "iid", "creative", "film", "hotel", "listing", "property",
        "room", "restaurant", "venue", "recipe", "course", "offer", "deal", "game", "podcast", "episode", "show",
    },
}
MAX_SLICED = 12


class SpecGuess:
    """What each column of a log is for, guessed from names and values.

    Names decide where they say something; else a column that has one value a user (an
    item) belongs to the user (the item), and what is left is context.

    Args:
        path: the log's name, for errors.
        frame: its first rows, as `LogSample.frame`.
        decimal: its decimal sign, as `LogSample.decimal`.

    Attributes:
        profiles: column name to `ColumnProfile`, in the log's order.
        label: the column that tells a click.
        label_candidates: all columns that could, the best first.
        is_rating: whether `label` is a rating with a threshold rather than a click.
        time: the column of the interaction's time, or None.
        unread_times: columns that look like times in a form that cannot be read.
        left_out: column name to the reason why it is no feature.
        sides: feature column to `user`, `item` or `context`, in the log's order.
        kinds: feature column to its kind.
        of: history column to the item column whose values it holds.

    Raises:
        UserError: no column can be the label, or none is left for a feature.
    """

    def __init__(self, path: str, frame: pd.DataFrame, decimal: str = "."):
        self._path, self._frame = path, frame
        self.profiles = {c: ColumnProfile(c, frame[c].tolist(), decimal) for c in frame.columns}
        self.label_candidates = self._label_candidates()
        self.label = self.label_candidates[0]
        self.is_rating = not self.profiles[self.label].is_binary
        self.left_out, self.unread_times = {}, []
        self.time = self._find_time()
        self._leave_out()
        columns = [c for c in self.profiles if c not in (self.label, self.time) and c not in self.left_out]
        if not columns:
            raise UserError(f"{path}: has no column left for a feature beside the label {self.label!r}"
                            + "".join(f"; {c!r} {reason}" for c, reason in self.left_out.items()))
        self.sides = {c: self._named_side(c) for c in columns}
        for column in columns:
            self.sides[column] = self.sides[column] or self._side_it_depends_on(column)
        self.kinds, self.of = {}, {}
        for column in columns:
            profile = self.profiles[column]
            single = "numeric" if profile.is_amount and not self.is_id(column) else "categorical"
            self.kinds[column] = single if profile.separator is None else "set"
        for column in columns:
            if self.kinds[column] == "set" and LIST_OF_PAST_WORDS & set(self.profiles[column].words):
                self._try_history(column)

    def is_id(self, column: str) -> bool:
        """Whether a column names things by codes, which say nothing in a sentence."""
        profile = self.profiles[column]
        name = column.lower()
        sides = SIDE_WORDS["user"] | SIDE_WORDS["item"]
        named = profile.words[-1:] and profile.words[-1] in ID_WORDS
        if named or name in ("user", "item") or any(name == f"{word}id" for word in sides):
            return True
        return not profile.is_amount and profile.separator is None and profile.is_code

    def id_of(self, side: str) -> str | None:
        """The column that identifies the users (the items), or None."""
        ids = [c for c, s in self.sides.items()
               if s == side and self.profiles[c].separator is None and self.is_id(c)]
        return max(ids, key=lambda c: len(self.profiles[c].counts), default=None)

    def names_of(self, side: str) -> list[str]:
        """What an entry of a side is known by: its id, and columns with a value of its own for each, as a title."""
        key = self.id_of(side)
        if key is None:
            return []
        return [key, *(c for c, s in self.sides.items()
                       if s == side and c != key and self.kinds[c] == "categorical"
                       and self._depends_on(c, key) and self._depends_on(key, c))]

    @property
    def slices(self) -> list[str]:
        """Columns with few values, of users and items."""
        return [c for side in ("user", "item") for c, s in self.sides.items()
                if s == side and self.kinds[c] in ("categorical", "set") and not self.is_id(c)
                and 2 <= len(self._values(c)) <= MAX_SLICED * (1 + (self.kinds[c] == "set"))][:4]

    def _values(self, column: str):
        profile = self.profiles[column]
        return profile.counts if profile.separator is None else profile.entries

    def _label_candidates(self) -> list[str]:
        ranks = {}
        for position, (name, profile) in enumerate(self.profiles.items()):
            rank = min((CLICK_WORDS.index(w) for w in profile.words if w in CLICK_WORDS), default=None)
            if profile.is_binary and rank is not None:
                ranks[name] = rank
            elif set(RATING_WORDS) & set(profile.words) and profile.numbers is not None and (
                    2 <= len(profile.numbers) <= 21):
                ranks[name] = 100
            elif profile.is_binary and len(profile.counts) > 1:
                # Outcomes stand last more often than not; a name like is_member is a person's.
                ranks[name] = (300 if self._named_side(name) else 200) - position / len(self.profiles)
        if not ranks:
            raise UserError(
                f"{self._path}: no column can be the label: none holds only 0 and 1, and none is a rating by "
                f"name ({', '.join(RATING_WORDS)}). The columns are {', '.join(self.profiles)}; add one that "
                "says whether a row was a click")
        return sorted(ranks, key=ranks.get)

    def _find_time(self) -> str | None:
        found = {}
        for name, profile in self.profiles.items():
            rank = min((TIME_WORDS.index(w) for w in profile.words if w in TIME_WORDS), default=None)
            if name in self.label_candidates or len(profile.counts) < 2:
                continue
            if profile.is_moment:
                found[name] = len(TIME_WORDS) if rank is None else rank
            elif rank is not None and profile.is_amount and (
                    profile.numbers[0] > 1e8 or name.lower() in TIME_WORDS):  # 1e8 s: March 1973
                found[name] = rank
            elif profile.is_epoch and not self.is_id(name) and not self._named_side(name):
                found[name] = len(TIME_WORDS) + 1
            elif rank is not None and profile.is_unread_moment:
                self.unread_times.append(name)
        for name in self.unread_times:
            self.left_out[name] = "looks like a time in a form that cannot be read; rewrite it as ISO 8601"
        for name in found:
            self.left_out[name] = "is a time, which does not come again"
        usable = [n for n in found if self.profiles[n].missing <= 0.01]
        best = min(usable, key=lambda n: (found[n], -len(self.profiles[n].counts)), default=None)
        self.left_out.pop(best, None)
        return best

    def _leave_out(self) -> None:
        for name, profile in self.profiles.items():
            if name in (self.label, self.time) or name in self.left_out:
                continue
            words = set(profile.words)
            if not profile.counts:
                self.left_out[name] = "is empty"
            elif len(profile.counts) == 1 and not profile.missing:
                self.left_out[name] = f"has the one value {profile.present[0]!r}"
            elif name in self.label_candidates and words & {*CLICK_WORDS, *RATING_WORDS}:
                self.left_out[name] = "looks like another outcome of the row, unknown when a request comes"
            elif self._is_row_number(profile):
                self.left_out[name] = "has a different value in every row"

    @staticmethod
    def _is_row_number(profile: ColumnProfile) -> bool:
        every = len(profile.counts) == len(profile.present) > 50
        return every and not profile.is_amount and profile.separator is None

    def _named_side(self, column: str) -> str | None:
        words = self.profiles[column].words
        if LIST_OF_PAST_WORDS & set(words):
            return "user"
        name = column.lower()
        for side, known in SIDE_WORDS.items():
            if known & set(words) or any(name == w + "id" for w in known):
                return side
        return None

    def _side_it_depends_on(self, column: str) -> str:
        for side in ("user", "item"):
            key = next((c for c, s in self.sides.items() if s == side and self.is_id(c)), None)
            if key and self._depends_on(column, key):
                return side
        return "context"

    def _depends_on(self, column: str, key: str) -> bool:
        """Whether rows that agree in `key` nearly always agree in `column`."""
        frame = pd.DataFrame({"key": self._frame[key].map(str), "value": self._frame[column].map(str)})
        groups = frame.groupby("key")["value"].agg(["size", "nunique"])
        groups = groups[groups["size"] > 1]
        return len(groups) >= 5 and (groups["nunique"] == 1).mean() >= 0.98

    def _try_history(self, column: str) -> None:
        entries = self.profiles[column].entries
        shares = {
            c: sum(e in self.profiles[c].counts for e in entries) / max(1, len(entries))
            for c, side in self.sides.items() if side == "item" and self.kinds[c] == "categorical"
        }
        best = max(shares, key=shares.get, default=None)
        if best and shares[best] >= 0.5:
            self.kinds[column], self.of[column] = "history", best
