"""Datasets: the ActivitySchema way to ask. A primary activity and what happened ever, before, after or in between.

definition   what is asked, as records or JSON       text   the same, readable
bounds       whose rules on equal times              compile   one portable statement
run          over the warehouse or a CSV file        names   misspelt ones are errors
"""

from __future__ import annotations

from cdesk.dataset.bounds import BOUNDS, Bounds
from cdesk.dataset.compile import Statement, compiled
from cdesk.dataset.definition import Append, Column, Condition, Definition, Occurrence, Operand, Primary, checked
from cdesk.dataset.run import Datasets, Found, over_file
from cdesk.dataset.text import read

__all__ = [
    "BOUNDS", "Append", "Bounds", "Column", "Condition", "Datasets", "Definition", "Found", "Occurrence", "Operand",
    "Primary", "Statement", "checked", "compiled", "over_file", "read",
]  # fmt: skip
