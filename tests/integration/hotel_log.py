"""A log that no code of the project knows: bookings of invented hotels."""

from __future__ import annotations

import csv
import datetime
import pathlib
import random

HEADER = ("guest_ref", "home_country", "hotel_code", "hotel_name", "amenities", "nightly_price", "arrival_weekday",
          "booked", "seen_at")


def rows(count: int = 1500, seed: int = 7) -> list[dict]:
    """Rows whose clicks follow country, amenities and price; 3 % of the prices are missing."""
    draw = random.Random(seed)
    names = [f"{a} {b}" for a in ("Azure", "Old", "Grand", "Quiet", "Royal", "Hidden") for b in
             ("Harbour", "Mill", "Garden", "Station", "Palace")]
    amenities = ["pool", "spa", "bar", "parking", "gym"]
    hotels = [(f"H{i:03d}", name, sorted(draw.sample(amenities, 1 + i % 3)), 40 + 7 * i)
              for i, name in enumerate(names)]
    start = datetime.datetime(2024, 3, 1)
    found = []
    for i in range(count):
        guest = int(draw.paretovariate(1.0)) % 90
        country = ("Norway", "Peru", "Japan", "Kenya")[guest % 4]
        code, name, offered, price = draw.choice(hotels)
        chance = 0.2 + 0.4 * ("spa" in offered and country in ("Norway", "Japan")) + 0.2 * (price < 120)
        found.append(dict(zip(HEADER, (
            f"g{guest:03d}", country, code, name, offered, None if draw.random() < 0.03 else float(price),
            ("Mon", "Fri", "Sun")[draw.randrange(3)], int(draw.random() < chance),
            (start + datetime.timedelta(minutes=13 * i)).isoformat()))))
    return found


def write_csv(path: pathlib.Path, malformed: int = 0) -> None:
    """The log as CSV; the first `malformed` rows have a price that is no number."""
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(HEADER)
        for i, row in enumerate(rows()):
            values = {**row, "amenities": ";".join(row["amenities"]),
                      "nightly_price": "" if row["nightly_price"] is None else row["nightly_price"]}
            if i < malformed:
                values["nightly_price"] = "cheap"
            writer.writerow([values[name] for name in HEADER])


def write_parquet(path: pathlib.Path) -> None:
    """The log as Parquet, with lists, nulls and numbers of their own types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows()), path)


SPEC = """
name: hotels
source: {format: FORMAT, path: FILE}
label: {column: booked}
split: {by: time, time: seen_at, fractions: {train: 0.7, validation: 0.15, test: 0.15}}
openings: {user: This is a guest, item: This is a hotel}
features:
- {name: guest, column: guest_ref, side: user, kind: categorical, text: false}
- {name: country, column: home_country, side: user, kind: categorical, text: "comes from {}"}
- {name: booked_before, side: user, kind: history, of: hotel, derive: {user: guest_ref, time: seen_at},
   text: {feature: hotel_name, phrase: "who booked {}"}}
- {name: hotel, column: hotel_code, side: item, kind: categorical, text: false}
- {name: hotel_name, side: item, kind: categorical, text: "is called {}"}
- {name: amenities, side: item, kind: set, separator: ";", text: "has {}"}
- {name: nightly_price, side: item, kind: numeric, text: {phrase: "costs {}", missing: price is unknown}}
- {name: weekday, column: arrival_weekday, side: context, kind: categorical}
slices: [country]
"""


def write_spec(folder: pathlib.Path, file: str) -> pathlib.Path:
    """A specification for a file of the log beside it."""
    path = folder / "hotels.yaml"
    kind = {".csv": "csv", ".parquet": "parquet"}[pathlib.Path(file).suffix]
    path.write_text(SPEC.replace("FORMAT", kind).replace("FILE", file), encoding="utf-8")
    return path
