"""Faults that were tried, and what they cost: counted, and printed."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]


class Ledger:
    """Of each kind of fault how many were tried, and how many lost something."""

    def __init__(self):
        self.rows: dict[str, Row] = {}

    @contextlib.contextmanager
    def faults(self, kind: str, tried: int = 1, notes: str = "") -> Iterator[Row]:
        """Counts faults; an exception within says that one of them was not borne."""
        zero = {"tried": 0, "lost": 0, "seconds": 0.0, "notes": notes}
        row = self.rows.setdefault(kind, {"kind": kind, **zero})
        row["tried"] += tried
        start = time.monotonic()
        try:
            yield row
        except BaseException:
            row["lost"] += 1
            raise
        finally:
            row["seconds"] = round(row["seconds"] + time.monotonic() - start, 1)


def as_markdown(rows: Sequence[Row]) -> str:
    """A table with a line for each kind, and their sum."""
    total = {"kind": "all", "notes": ""}
    total |= {name: sum(row[name] for row in rows) for name in ("tried", "lost")}
    total["seconds"] = sum(row["seconds"] for row in rows)
    lines = ["| fault | tried | lost | s |", "|---|---|---|---|"]
    for row in [*rows, total]:
        notes = f" ({row['notes']})" if row["notes"] else ""
        counts = f"{row['tried']:,} | {row['lost']} | {row['seconds']:.0f}"
        lines.append(f"| {row['kind']}{notes} | {counts} |")
    return "\n".join(lines)
