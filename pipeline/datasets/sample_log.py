"""The built-in `sample`: a generated click log of an invented shop."""

from __future__ import annotations

import csv
import io
import math
import os
import pathlib

import numpy as np

COLUMNS = ("user_id", "gender", "age_group", "city", "item_id", "title", "category", "brand", "price",
           "tags", "device", "hour", "recent_titles", "timestamp", "clicked")
ROWS = 20_000
_SEED = 20_240_607
_USERS, _ITEMS, _LATE_ITEMS = 600, 400, 8
_START, _DAYS = 1_717_200_000, 14
_HISTORY = 10
_MISSING = 0.02

_AGE_GROUPS = ("under 18", "18 to 29", "30 to 44", "45 to 59", "60 and over")
_CITIES = ("Brackwater", "Dunmere", "Eastvale", "Fennhold", "Harrowick", "Kilmoor", "Larkstead",
           "Nethergate", "Ostwick", "Pellham")
_DEVICES = ("phone", "tablet", "desktop")
_BRANDS = ("Arbelo", "Brindle & Co", "Castanor", "Dovetail", "Elmsworth", "Ferrano", "Gladwyn", "Hollis",
           "Ivoral", "Juniper Lane", "Kestrelle", "Lumora")
# Category: the nouns of its titles, its middle price, and how the age groups like it.
_CATEGORIES = {
    "kitchen": (("Kettle", "Pan", "Whisk", "Teapot"), 35, (-0.8, 0.0, 0.5, 0.7, 0.4)),
    "sports": (("Racket", "Jersey", "Dumbbell", "Bottle"), 45, (0.6, 0.8, 0.2, -0.5, -1.0)),
    "gaming": (("Headset", "Controller", "Keyboard", "Console"), 90, (1.3, 0.8, 0.0, -0.9, -1.3)),
    "garden": (("Trowel", "Planter", "Lantern", "Hose"), 30, (-1.1, -0.6, 0.2, 0.8, 1.2)),
    "books": (("Atlas", "Novel", "Almanac", "Cookbook"), 18, (-0.2, 0.0, 0.1, 0.3, 0.6)),
    "fashion": (("Jacket", "Scarf", "Sneakers", "Satchel"), 60, (0.5, 0.7, 0.2, -0.2, -0.5)),
    "toys": (("Puzzle", "Robot", "Kite", "Train"), 25, (0.7, -0.6, 0.8, -0.3, 0.1)),
    "travel": (("Suitcase", "Backpack", "Pillow", "Tent"), 75, (-0.7, 0.5, 0.3, 0.3, 0.0)),
}
_TAGS = ("new", "sale", "eco", "handmade", "gift", "bestseller", "limited", "compact")
_ONSETS = ("b", "br", "c", "d", "f", "fl", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "tr", "v", "z")
_NUCLEI = ("a", "e", "i", "o", "u", "ai", "ea")
_CODAS = ("l", "n", "r", "s", "x", "nd", "rt", "m")


def sample_csv() -> str:
    """The log as CSV text, the same in every call.

    600 invented users see 400 invented items over 14 days in 20,000 rows. Clicks follow
    a logistic model of what the sentence tells (age group and category, brand, price,
    the categories clicked before), of each user's and item's own taste, and of noise, so
    that ids and text both help and neither tells all. Eight items appear in the last
    three days only; about 2 % of cities and prices are missing.
    """
    random = np.random.default_rng(_SEED)
    users = _users(random)
    items = _items(random)
    times = np.sort(random.integers(0, _DAYS * 86_400, ROWS))
    user_draw = random.choice(_USERS, ROWS, p=_zipf(_USERS, 0.6))
    item_draw = random.choice(_ITEMS, ROWS, p=_zipf(_ITEMS, 0.8))
    devices = random.choice(len(_DEVICES), ROWS, p=(0.6, 0.1, 0.3))
    late = random.random(ROWS) < 0.06
    late_draw = random.integers(_ITEMS - _LATE_ITEMS, _ITEMS, ROWS)
    early_draw = random.integers(0, _ITEMS - _LATE_ITEMS, ROWS)
    chance, city_gap, price_gap = random.random(ROWS), random.random(ROWS), random.random(ROWS)

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    pasts = [[] for _ in range(_USERS)]
    for row, seconds in enumerate(times.tolist()):
        user = users[user_draw[row]]
        index = item_draw[row]
        if seconds >= (_DAYS - 3) * 86_400:
            index = late_draw[row] if late[row] else index
        elif index >= _ITEMS - _LATE_ITEMS:
            index = early_draw[row]
        item, past = items[index], pasts[user_draw[row]]
        hour = seconds // 3600 % 24
        logit = _logit(user, item, past, int(devices[row]), hour)
        clicked = int(chance[row] < 1 / (1 + math.exp(-logit)))
        writer.writerow((
            user["id"], user["gender"], user["age_group"], "" if city_gap[row] < _MISSING else user["city"],
            item["id"], item["title"], item["category"], item["brand"],
            "" if price_gap[row] < _MISSING else f"{item['price']:.2f}", "|".join(item["tags"]),
            _DEVICES[devices[row]], hour, "|".join(p["title"] for p in past[-_HISTORY:]),
            _START + seconds, clicked,
        ))
        if clicked:
            past.append(item)
    return out.getvalue()


def write_sample(path: str | pathlib.Path) -> None:
    """Writes the log to a CSV file, atomically; a file that is there is left as it is."""
    path = pathlib.Path(path)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(sample_csv(), encoding="utf-8", newline="")
    os.replace(draft, path)


def _users(random: np.random.Generator) -> list[dict]:
    ages = random.choice(len(_AGE_GROUPS), _USERS, p=(0.12, 0.28, 0.28, 0.2, 0.12))
    genders = random.integers(0, 2, _USERS)
    cities = random.choice(len(_CITIES), _USERS, p=_zipf(len(_CITIES), 0.5))
    brands = random.integers(0, len(_BRANDS), _USERS)
    leaning = random.normal(0, 0.75, _USERS)
    thrift = random.normal(0, 0.35, _USERS)
    taste = random.normal(0, 0.5, (_USERS, 3))
    return [
        {
            "id": f"u{i + 1:03d}",
            "gender": ("female", "male")[genders[i]],
            "age": int(ages[i]),
            "age_group": _AGE_GROUPS[ages[i]],
            "city": _CITIES[cities[i]],
            "brand": _BRANDS[brands[i]],
            "leaning": float(leaning[i]),
            # The young and the old look at prices more.
            "thrift": float(thrift[i]) + (0.5, 0.2, -0.2, -0.1, 0.3)[ages[i]],
            "taste": taste[i].tolist(),
        }
        for i in range(_USERS)
    ]


def _items(random: np.random.Generator) -> list[dict]:
    categories = list(_CATEGORIES)
    kinds = random.integers(0, len(categories), _ITEMS)
    brands = random.integers(0, len(_BRANDS), _ITEMS)
    spread = random.normal(0, 0.45, _ITEMS)
    appeal = random.normal(0, 0.9, _ITEMS)
    taste = random.normal(0, 0.5, (_ITEMS, 3))
    counts = random.integers(1, 4, _ITEMS)
    items, titles = [], set()
    for i in range(_ITEMS):
        nouns, price, _ = _CATEGORIES[categories[kinds[i]]]
        title = ""
        while not title or title in titles:
            title = f"{_name(random)} {nouns[random.integers(0, len(nouns))]}"
        titles.add(title)
        tags = random.choice(len(_TAGS), counts[i], replace=False)
        items.append({
            "id": f"i{i + 1:03d}",
            "title": title,
            "category": categories[kinds[i]],
            "brand": _BRANDS[brands[i]],
            "price": round(price * math.exp(spread[i]), 2),
            "dear": float(spread[i]),
            "tags": [_TAGS[t] for t in sorted(tags.tolist())],
            "appeal": float(appeal[i]) + 0.3 * (1 in tags) + 0.2 * (5 in tags),
            "taste": taste[i].tolist(),
        })
    return items


def _name(random: np.random.Generator) -> str:
    """A pronounceable invented word of two syllables."""
    parts = [_ONSETS, _NUCLEI, _ONSETS, _NUCLEI, _CODAS]
    return "".join(part[random.integers(0, len(part))] for part in parts).capitalize()


def _logit(user: dict, item: dict, past: list[dict], device: int, hour: int) -> float:
    recent = past[-_HISTORY:]
    alike = sum(p["category"] == item["category"] for p in recent) / len(recent) if recent else 0.0
    return (
        -1.95
        + user["leaning"]
        + item["appeal"]
        + 1.1 * _CATEGORIES[item["category"]][2][user["age"]]
        + 1.2 * (user["brand"] == item["brand"])
        - 1.2 * user["thrift"] * item["dear"]
        + 1.2 * alike
        + 0.8 * sum(a * b for a, b in zip(user["taste"], item["taste"]))
        + (0.0, 0.1, 0.2)[device]
        + (0.2 if hour >= 18 else 0.0)
    )


def _zipf(count: int, exponent: float) -> np.ndarray:
    weights = np.arange(1, count + 1, dtype=float) ** -exponent
    return weights / weights.sum()
