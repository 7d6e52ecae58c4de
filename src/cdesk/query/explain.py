"""What stands behind a citation: the recorded activity, the insight, or the query that gave a figure.

activity:<activity_id>     a row of the stream, by any of its names
atom:<id>                  a row of INSIGHT_ATOMS
cdesk:<query_id>           a row of the query log, by its tag; for a question also a cell of its answer (behind.py)
artifact:<id>              a row of ARTIFACTS
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cdesk.activity.model import JSON
from cdesk.errors import UsageError
from cdesk.query.behind import Cell
from cdesk.query.cells import cell, is_uuid
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Warehouse

Kind = Literal["activity", "insight", "query", "artifact"]
CITATION_CHARACTERS_MAX = 200
_JSON_COLUMNS = frozenset({"features", "value", "filter", "derivation", "parameters", "sample"})
_KINDS: dict[str, tuple[Kind, str]] = {
    "activity": ("activity", "explain_activity"),
    "atom": ("insight", "explain_atom"),
    "cdesk": ("query", "explain_query"),
    "artifact": ("artifact", "explain_artifact"),
}


class Explanation(msgspec.Struct, frozen=True):
    """said: what stands there, without nulls · comes_from: citations one step back · cell: of an answer, if asked for"""

    citation: str
    is_a: Kind
    said: dict[str, JSON]
    comes_from: list[str]
    cell: Cell | None = None


def explain(warehouse: Warehouse, citation: str) -> Explanation:
    """Raises UsageError for what is no citation, and for one that nothing stands behind."""
    prefix, _, name = citation.strip().partition(":")
    if prefix not in _KINDS or not name or len(citation) > CITATION_CHARACTERS_MAX:
        raise UsageError(
            f"{citation[:60]!r} is no citation.", "Write activity:<id>, atom:<id>, cdesk:<query_id> or artifact:<id>."
        )
    kind, question = _KINDS[prefix]
    sql, names = prepared(question)
    values = {"id": name, "tag": f"cdesk:{name}"}
    can_be = kind != "activity" or is_uuid(name)
    answer = warehouse.query(sql, [values[each] for each in names], rows_max=1) if can_be else None
    if answer is None or not answer.rows:
        raise UsageError(f"nothing stands behind {citation}.", "It may not be loaded yet, or have been removed.")
    said = {
        column: _value(column, value)
        for column, value in zip(answer.columns, answer.rows[0], strict=True)
        if value is not None
    }
    if kind == "query" and (kept := _kept(warehouse, str(said["query_id"]))):
        said["artifacts"] = kept
    return Explanation(f"{prefix}:{name}", kind, said, _sources(kind, said))


def _kept(warehouse: Warehouse, query_id: str) -> list[JSON]:
    """Where the whole answer of a query is."""
    sql, _ = prepared("explain_artifacts")
    return [f"artifact:{row[0]}" for row in warehouse.query(sql, [query_id]).rows]


def _value(column: str, value: Any) -> JSON:
    if column in _JSON_COLUMNS and isinstance(value, str):
        found = msgspec.json.decode(value)
        return {key: inner for key, inner in found.items() if inner is not None} if isinstance(found, dict) else found
    return cell(value)


def _sources(kind: Kind, said: dict[str, JSON]) -> list[str]:
    """One step back, as far as the row itself says."""
    found: list[str] = []
    if kind == "insight":
        if said.get("provenance_query_id"):
            found.append(f"cdesk:{str(said['provenance_query_id']).removeprefix('cdesk:')}")
        if said.get("superseded_by"):
            found.append(f"atom:{said['superseded_by']}")
        derivation = said.get("derivation")
        found += _activities(derivation.get("evidence") if isinstance(derivation, dict) else None)
    if kind == "artifact":
        if said.get("query_id"):
            found.append(f"cdesk:{said['query_id']}")
        if said.get("parent_artifact_id"):
            found.append(f"artifact:{said['parent_artifact_id']}")
    if kind == "activity":
        features = said.get("features")
        found += _activities(features.get("evidence") if isinstance(features, dict) else None)
    return found


def _activities(ids: JSON) -> list[str]:
    return (
        [f"activity:{one.removeprefix('activity:')}" for one in ids if isinstance(one, str)]
        if isinstance(ids, list)
        else []
    )


def with_cell(found: Explanation, cell: Cell) -> Explanation:
    """The explanation of a query, led on to the activities behind one cell of its answer."""
    return msgspec.structs.replace(
        found, cell=cell, comes_from=[*found.comes_from, *_activities(list(cell.activities))]
    )
