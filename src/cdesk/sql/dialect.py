"""Our SQL is written once, for Snowflake; this turns it into what DuckDB would have to be told to do the same.

    text ──sqlglot──▶ trees ──refuse──▶ trees ──rewrite, leaves first──▶ trees ──sqlglot──▶ DuckDB texts

Limits first. Only statements in STATEMENTS pass; a construct with no rule, or one that sqlglot itself would drop
or cannot parse, raises UnsupportedSQL: better no answer than another engine's answer. What differs by meaning and
has one portable spelling is refused with that spelling as the hint (time of the session, unguarded division, …).

`feature_json` stays VARIANT on both engines. Timestamps are TIMESTAMP_NTZ and mean UTC. A column declared
VARCHAR(36) holds UUID text and becomes DuckDB's UUID. Names come out quoted, so that a column may be called
`user`; DuckDB ignores the case of quoted names. The page `docs/sql.md` lists the subset with its reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import sqlglot
from sqlglot import ErrorLevel, TokenType, exp
from sqlglot.errors import SqlglotError

from cdesk.errors import WarehouseError

Node: TypeAlias = exp.Expr
Rule: TypeAlias = Callable[[Node], Node]

UUID_TEXT_LENGTH = 36
_ALIAS = "_cdesk"


class UnsupportedSQL(WarehouseError):
    """The statement is outside the portable subset. Trying again cannot help; the hint names another spelling."""

    exit_code = 2


OWN_ROWS = "own_rows"
OWN_ROWS_KEYS_MIN = 4


def to_duckdb(snowflake_sql: str, prepare: Rule = lambda tree: tree) -> list[str]:
    """The statements of a Snowflake text as DuckDB texts, in order, without comments; [] for an empty text.

    The n-th `?` of a statement becomes `$n` (a rule may need the value twice), `:name` becomes `$name`. `prepare` may
    change each statement before, still as Snowflake's. Raises UnsupportedSQL.
    """
    return [_render(_rewrite(prepare(_checked(tree)))) for tree in _parse(snowflake_sql)]


def _parse(text: str) -> list[Node]:
    try:
        trees = sqlglot.parse(_numbered(text), read="snowflake")
    except SqlglotError as error:
        raise UnsupportedSQL(f"cannot read the SQL: {_first_line(error)}.") from None
    return [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]


def _numbered(text: str) -> str:
    """Each `?` by its number in the statement: `:1`, `:2`, …"""
    pieces, end, number = [], 0, 0
    for token in sqlglot.tokenize(text, read="snowflake"):
        if token.token_type is TokenType.SEMICOLON:
            number = 0
        elif token.token_type is TokenType.PLACEHOLDER:
            number += 1
            pieces += [text[end : token.start], f":{number}"]
            end = token.end + 1
    return "".join((*pieces, text[end:]))


def _render(tree: Node) -> str:
    try:
        return tree.sql(dialect="duckdb", identify=True, comments=False, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise UnsupportedSQL(f"DuckDB has no form of this: {_first_line(error)}.") from None


def _first_line(error: SqlglotError) -> str:
    return str(error).partition("\n")[0].rstrip(". ")


# ---- what is refused -------------------------------------------------------------------------------------------

STATEMENTS = (
    exp.Query, exp.Create, exp.Drop, exp.Alter, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable,
    exp.Transaction, exp.Commit, exp.Rollback,
)  # fmt: skip
_CREATED = ("TABLE", "VIEW", "SCHEMA")
_ALTERED = (exp.ColumnDef, exp.AlterRename, exp.RenameColumn, exp.Drop)

_USE_SYSDATE = "Times are UTC: write SYSDATE()."
_REFUSED: dict[type[Node], str] = {
    exp.Command: "",
    exp.CurrentDate: "Days are UTC: write SYSDATE()::DATE.",
    exp.CurrentTime: _USE_SYSDATE,
    exp.Localtime: _USE_SYSDATE,
    exp.Localtimestamp: _USE_SYSDATE,
    exp.HistoricalData: "Time travel is Snowflake's alone.",
    exp.MatchRecognize: "",
    exp.Parameter: "Bind values with ? or :name.",
    exp.SessionParameter: "Bind values with ? or :name.",
}  # fmt: skip
_ZONED = (exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ)


def _checked(tree: Node) -> Node:
    if not isinstance(tree, STATEMENTS):
        raise _unsupported(tree, "Statements that pass: queries, DML, tables and views, transactions.")
    for node in tree.walk():
        _refuse(node)
    return tree


def _refuse(node: Node) -> None:
    hint = next((text for kind, text in _REFUSED.items() if isinstance(node, kind)), None)
    if hint is not None:
        raise _unsupported(node, hint)
    for check in _CHECKS.get(type(node), ()):
        check(node)


def _check_created(node: Node) -> None:
    if node.args["kind"] not in _CREATED:
        raise _unsupported(node, "Only tables, views and schemas are created on both engines.")


def _check_altered(node: Node) -> None:
    if not all(isinstance(action, _ALTERED) for action in node.args["actions"]):
        raise _unsupported(node, "Add, drop or rename instead.")


def _check_insert(node: Node) -> None:
    if node.args.get("overwrite"):
        raise _unsupported(node, "Write DELETE, then INSERT.")


def _check_now(node: Node) -> None:
    if not node.args.get("sysdate"):
        raise _unsupported(node, _USE_SYSDATE)


def _check_zone(node: Node) -> None:
    if node.args.get("source_tz") is None:
        raise _unsupported(node, "Name both zones.")


def _check_type(node: Node) -> None:
    if node.this in _ZONED:
        raise _unsupported(node, "Write TIMESTAMP_NTZ, in UTC.")


def _check_cast(node: Node) -> None:
    to = node.args["to"]
    if to.is_type(*exp.DataType.TEXT_TYPES) and to.expressions:
        raise _unsupported(node, "DuckDB would not cut the text: write LEFT(x, n).")


def _check_division(node: Node) -> None:
    if not (_never_zero(node.args["expression"]) or node.find_ancestor(exp.If, exp.Case)):
        raise _unsupported(node, "Zero divides to an error on one engine, to infinity on the other: use NULLIF(x, 0).")


def _never_zero(divisor: Node) -> bool:
    return isinstance(divisor, exp.Nullif) or (isinstance(divisor, exp.Literal) and float(divisor.this) != 0)


def _check_join(node: Node) -> None:
    """ASOF is Snowflake's: what is compared stands in MATCH_CONDITION, what is equal in ON, and every left row stays."""
    if node.args.get("method") != "ASOF":
        return
    compared, equal = node.args.get("match_condition"), node.args.get("on")
    equals = list(equal.flatten()) if isinstance(equal, exp.And) else [equal]
    if not isinstance(compared, (exp.GT, exp.GTE, exp.LT, exp.LTE)) or not all(isinstance(e, exp.EQ) for e in equals):
        raise _unsupported(node, "ASOF wants MATCH_CONDITION (a.x >= b.x) and ON a.y = b.y.")


def _check_function(node: Node) -> None:
    if node.name.upper() not in _FUNCTIONS:
        raise _unsupported(node, "No rule knows this function.")


_CHECKS: dict[type[Node], tuple[Callable[[Node], None], ...]] = {
    exp.Create: (_check_created,),
    exp.Alter: (_check_altered,),
    exp.Insert: (_check_insert,),
    exp.CurrentTimestamp: (_check_now,),
    exp.ConvertTimezone: (_check_zone,),
    exp.DataType: (_check_type,),
    exp.Cast: (_check_cast,),
    exp.TryCast: (_check_cast,),
    exp.Div: (_check_division,),
    exp.Join: (_check_join,),
    exp.Anonymous: (_check_function,),
}


def _unsupported(node: Node, hint: str = "") -> UnsupportedSQL:
    return UnsupportedSQL(f"outside the portable SQL: {node.sql(dialect='snowflake', comments=False)[:120]}.", hint)


# ---- what is rewritten -----------------------------------------------------------------------------------------


def _rewrite(tree: Node) -> Node:
    """Leaves first, so that a rule always sees operands that DuckDB understands."""
    return _pass(_own_rows(_pass(tree, _RULES)), _LAST_RULES)


def _own_rows(tree: Node) -> Node:
    """A SELECT that reads many keys with GET first puts the rows of its WHERE aside, whole.

    Otherwise DuckDB would hold one copy of the document for every key: a view of eighty keys ran out of 256 MB on 200
    rows. `get` alone is enough for a few keys.
    """
    for select in list(tree.find_all(exp.Select)):
        where, source = select.args.get("where"), select.args.get("from_") or select.args.get("from")
        keys = [node for node in select.find_all(exp.GetExtract) if node.find_ancestor(exp.Select) is select]
        if len(keys) < OWN_ROWS_KEYS_MIN or where is None or source is None or not isinstance(source.this, exp.Table):
            continue
        if select.args.get("joins") or where.find(exp.GetExtract, exp.Select):
            continue
        rows = exp.select("*").from_(source.this.copy()).where(where.this.copy())
        select.set("where", None)
        source.set("this", exp.to_table(OWN_ROWS))
        select.with_(OWN_ROWS, as_=rows, materialized=True, copy=False)
    return tree


def _pass(tree: Node, rules: dict[type[Node], Rule]) -> Node:
    for node in reversed(list(tree.walk())):
        rule = rules.get(type(node))
        changed = rule(node) if rule else node
        if changed is node:
            continue
        if node is tree:
            tree = changed
        node.replace(changed)
    return tree


def _call(name: str, *arguments: Node) -> Node:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _variant(value: Node) -> Node:
    return exp.cast(value, "variant")


def _as_json(value: Node) -> Node:
    return exp.cast(value, "json")


def _template(sql: str, **operands: Node) -> Node:
    """DuckDB text in which the columns named by `operands` stand for them."""
    tree = exp.Paren(this=sqlglot.parse_one(sql, read="duckdb"))
    for column in list(tree.find_all(exp.Column)):
        if column.name in operands:
            column.replace(operands[column.name].copy())
    whole: Node = tree.this
    whole.pop()
    return whole


def path(node: Node) -> Node:
    """`f:a.b[0]` reads a VARIANT step by step. Steps count from 1 on DuckDB, keys keep their case."""
    value: Node = node.this
    if not isinstance(node.args["expression"], exp.JSONPath):
        raise _unsupported(node, "Give the path as a literal.")
    for step in node.args["expression"].expressions[1:]:
        value = _call("variant_extract", value, _step(step, node))
    return value


def _step(step: Node, node: Node) -> Node:
    if isinstance(step, exp.JSONPathKey) and isinstance(step.this, str):
        return exp.Literal.string(step.this)
    if isinstance(step, exp.JSONPathSubscript) and isinstance(step.this, int) and step.this >= 0:
        return exp.Literal.number(step.this + 1)
    raise _unsupported(node, "Paths are made of keys and positions.")


def get(node: Node) -> Node:
    """GET(f, 'key') is the key of the whole document, `f:key` that of the key's own column.

    DuckDB stores a VARIANT key by key and fetches a key while it scans, for every row, which costs 2 s for a million
    rows where no row of a row group has the key, or where its value is an object. A CASE over the query's own WHERE
    changes no answer and makes it read the documents of the chosen rows instead.
    """
    where = _where(node)
    document = exp.Case(ifs=[exp.If(this=where.copy(), true=node.this)]) if where else node.this
    return bracket(exp.Bracket(this=document, expressions=[node.args["expression"]]))


def _where(node: Node) -> Node | None:
    select = node.find_ancestor(exp.Select)
    where = select.args.get("where") if select else None
    if where is None or node.find_ancestor(exp.Where) is where or where.find(exp.GetExtract, exp.Select):
        return None
    condition: Node = where.this
    return condition


def bracket(node: Node) -> Node:
    """`f['key']` and `f[0]`, as `path`."""
    key = node.expressions[0]
    if len(node.expressions) != 1 or not isinstance(key, exp.Literal):
        raise _unsupported(node, "Give the key or position as a literal.")
    return _call("variant_extract", node.this, key if key.is_string else exp.Literal.number(int(key.this) + 1))


def parse_json(node: Node) -> Node:
    """PARSE_JSON and TRY_PARSE_JSON give VARIANT, not JSON text."""
    kind = exp.TryCast if node.args.get("safe") else exp.Cast
    return _variant(kind(this=node.this, to=exp.DataType.build("json")))


def to_variant(node: Node) -> Node:
    """TO_VARIANT(x)."""
    return _variant(node.this)


def strip_null_value(node: Node) -> Node:
    """JSON null already reads as NULL on DuckDB."""
    inner: Node = node.this
    return inner


def to_json(node: Node) -> Node:
    """TO_JSON gives compact JSON text; keys come out sorted, as Snowflake sorts them."""
    return exp.cast(_as_json(node.this), "text")


def semi_structured_type(node: Node) -> Node:
    """OBJECT and ARRAY are shapes a VARIANT may have."""
    loose = node.this in (exp.DType.OBJECT, exp.DType.ARRAY) and not node.expressions
    return exp.DataType.build("variant") if loose else node


def uuid_column(node: Node) -> Node:
    """A declared VARCHAR(36) holds UUID text: half the size, and merges prune on it."""
    kind = node.args.get("kind")
    if isinstance(kind, exp.DataType) and kind.is_type(*exp.DataType.TEXT_TYPES):
        length = kind.expressions[0].this.this if kind.expressions else None
        node.set("kind", exp.DataType.build("uuid" if str(length) == str(UUID_TEXT_LENGTH) else "text"))
    return node


def utc_now(node: Node) -> Node:
    """SYSDATE() is UTC without a zone; the session's time zone has no say."""
    return _template("(NOW() AT TIME ZONE 'UTC')")


def object_construct(node: Node) -> Node:
    """OBJECT_CONSTRUCT leaves out keys whose value is NULL."""
    pairs = [operand for pair in node.expressions for operand in (_key(pair.this), pair.args["expression"])]
    return _variant(_call("json_merge_patch", _as_json(exp.Literal.string("{}")), _call("json_object", *pairs)))


def object_construct_keep_null(node: Node) -> Node:
    """OBJECT_CONSTRUCT_KEEP_NULL keeps them."""
    pairs = [operand for pair in node.expressions for operand in (pair.this, pair.args["expression"])]
    return _variant(_call("json_object", *pairs))


def _key(name: Node) -> Node:
    return exp.Literal.string(name.name) if isinstance(name, exp.Identifier) else name


def object_agg(node: Node) -> Node:
    """OBJECT_AGG leaves out NULL values. Keys must differ: Snowflake refuses repeated ones."""
    return _template("VARIANT_GROUP_OBJECT(k, CAST(v AS VARIANT)) FILTER (WHERE NOT v IS NULL)",
                     k=node.this, v=node.args["expression"])  # fmt: skip


def count_if(node: Node) -> Node:
    """COUNT_IF of no rows is 0."""
    return _template("COUNT(CASE WHEN x THEN 1 END)", x=node.this)


def object_keys(node: Node) -> Node:
    """OBJECT_KEYS(x); [] for what is not an object."""
    return _call("variant_keys", node.this)


def array_size(node: Node) -> Node:
    """ARRAY_SIZE of a list; NULL for what is not one."""
    return _template("CASE WHEN JSON_TYPE(CAST(x AS JSON)) = 'ARRAY' THEN JSON_ARRAY_LENGTH(CAST(x AS JSON)) END",
                     x=node.this)  # fmt: skip


def type_name(node: Node) -> Node:
    """TYPEOF in Snowflake's words. A missing key reads NULL_VALUE, as JSON null does: DuckDB keeps no difference."""
    return _template(
        "CASE REGEXP_EXTRACT(VARIANT_TYPEOF(x), '^[A-Z_]+')"
        " WHEN 'BOOL_TRUE' THEN 'BOOLEAN' WHEN 'BOOL_FALSE' THEN 'BOOLEAN' WHEN 'VARIANT_NULL' THEN 'NULL_VALUE'"
        " WHEN 'INT' THEN 'INTEGER' WHEN 'UINT' THEN 'INTEGER' WHEN 'DOUBLE' THEN 'DECIMAL'"
        " ELSE REGEXP_EXTRACT(VARIANT_TYPEOF(x), '^[A-Z_]+') END",
        x=node.this,
    )


def _timestamp(node: Node) -> Node:
    return exp.cast(node.expressions[0], "timestamp")


def _try_timestamp(node: Node) -> Node:
    return exp.TryCast(this=node.expressions[0], to=exp.DataType.build("timestamp"))


def _shaped(value: Node, shape: str) -> Node:
    return _template(f"STARTS_WITH(VARIANT_TYPEOF(x), '{shape}')", x=value)


def is_array(node: Node) -> Node:
    """IS_ARRAY(x)."""
    return _shaped(node.this, "ARRAY")


def _is_object(node: Node) -> Node:
    return _shaped(node.expressions[0], "OBJECT")


def is_null_value(node: Node) -> Node:
    """IS_NULL_VALUE(x): also true of a missing key, see `type_name`."""
    return _shaped(node.this, "VARIANT_NULL")


_FUNCTIONS: dict[str, Rule] = {
    "TO_TIMESTAMP_NTZ": _timestamp,
    "TRY_TO_TIMESTAMP": _try_timestamp,
    "TRY_TO_TIMESTAMP_NTZ": _try_timestamp,
    "IS_OBJECT": _is_object,
}


def function(node: Node) -> Node:
    """Functions that sqlglot has no class for. TIMESTAMP_NTZ drops a written offset, as Snowflake does."""
    name = node.name.upper()
    if len(node.expressions) != 1:
        raise _unsupported(node, f"{name} takes one argument here.")
    return _FUNCTIONS[name](node)


def values_columns(node: Node) -> Node:
    """The columns of a bare VALUES list are called column1, column2, …"""
    alias = node.args.get("alias")
    if not isinstance(node.parent, (exp.From, exp.Join)) or (alias and alias.columns):
        return node
    width = len(node.expressions[0].expressions)
    columns = [exp.to_identifier(f"column{position}") for position in range(1, width + 1)]
    node.set("alias", exp.TableAlias(this=alias.this if alias else exp.to_identifier(_ALIAS), columns=columns))
    return node


def merge_target(node: Node) -> Node:
    """In MERGE … SET and INSERT (…) the columns are the target's; DuckDB wants them without its name."""
    for action in node.find_all(exp.Update, exp.Insert):
        for column in _assigned(action):
            column.set("table", None)
    return node


def _assigned(action: Node) -> Iterator[exp.Column]:
    names = action.this.expressions if isinstance(action, exp.Insert) and action.this else action.expressions
    for name in names:
        column = name.this if isinstance(name, exp.EQ) else name
        if isinstance(column, exp.Column):
            yield column


def create(node: Node) -> Node:
    """CLONE copies the rows; clustering, comments, grants and transience mean nothing on DuckDB."""
    properties = node.args.get("properties")
    if properties:
        kept = [each for each in properties.expressions if not isinstance(each, _DROPPED)]
        node.set("properties", exp.Properties(expressions=kept) if kept else None)
    clone = node.args.get("clone")
    if clone:
        node.set("clone", None)
        node.set("expression", exp.select("*").from_(clone.this.copy()))
    return node


_DROPPED = (exp.Cluster, exp.ClusterProperty, exp.SchemaCommentProperty, exp.CopyGrantsProperty, exp.TransientProperty)


_FLATTENED = """
SELECT CASE JSON_TYPE(whole.json) WHEN 'OBJECT' THEN each.key END AS key,
       REGEXP_REPLACE(each.fullkey, '^\\$\\.?', '') AS path,
       CASE JSON_TYPE(whole.json) WHEN 'ARRAY' THEN CAST(each.key AS BIGINT) END AS index,
       CAST(each.value AS VARIANT) AS value,
       CAST(whole.json AS VARIANT) AS this
  FROM (SELECT CAST(x AS JSON) AS json) AS whole, JSON_EACH(whole.json) AS each
 WHERE JSON_TYPE(whole.json) IN ('ARRAY', 'OBJECT')
"""


def join(node: Node) -> Node:
    """A plain join, ASOF, or a list's members."""
    return asof_join(node) if node.args.get("match_condition") else flatten_join(node)


def asof_join(node: Node) -> Node:
    """`ASOF JOIN t MATCH_CONDITION (a.x >= t.x) ON …` keeps rows without a match, which DuckDB calls LEFT. Which of
    equally near rows it takes neither engine says: leave one of them."""
    matched, equal = node.args["match_condition"], node.args["on"]
    return exp.Join(this=node.this, method="ASOF", side="LEFT", on=exp.and_(equal, matched))


def flatten_join(node: Node) -> Node:
    """`, LATERAL FLATTEN(INPUT => x) f`: a row for each member of a list or object; OUTER keeps rows that have none."""
    options = _flatten_options(node.this)
    if options is None:
        return node
    outer = _is_true(options.get("outer")) or node.args.get("side") == "LEFT"
    lateral = exp.Lateral(this=exp.Subquery(this=_flattened(options)), alias=_flatten_alias(node.this))
    return exp.Join(this=lateral, side="LEFT", on=exp.true()) if outer else exp.Join(this=lateral, kind="CROSS")


def flatten_from(node: Node) -> Node:
    """`FROM TABLE(FLATTEN(INPUT => x)) f`."""
    options = _flatten_options(node.this)
    if options is None:
        return node
    if _is_true(options.get("outer")):
        raise _unsupported(node, "OUTER works in a join.")
    return exp.From(this=exp.Subquery(this=_flattened(options), alias=_flatten_alias(node.this)))


def _flatten_options(source: Node | None) -> dict[str, Node] | None:
    explode = source.this if isinstance(source, (exp.Lateral, exp.TableFromRows)) else None
    if not isinstance(explode, exp.Explode) or source is None:
        return None
    named = [explode.this, *explode.expressions]
    options = {each.this.name.lower(): each.args["expression"] for each in named if isinstance(each, exp.Kwarg)}
    if len(options) != len(named) or not {"input"} <= options.keys() <= {"input", "outer"}:
        raise _unsupported(source, "FLATTEN takes INPUT => x and OUTER => TRUE here.")
    return options


def _flattened(options: dict[str, Node]) -> Node:
    return _template(_FLATTENED, x=options["input"])


def _flatten_alias(source: Node) -> exp.TableAlias:
    alias = source.args.get("alias")
    return exp.TableAlias(this=exp.to_identifier(alias.name if alias else _ALIAS))


def _is_true(option: Node | None) -> bool:
    return isinstance(option, exp.Boolean) and bool(option.this)


_RULES: dict[type[Node], Rule] = {
    exp.JSONExtract: path,
    exp.Bracket: bracket,
    exp.ParseJSON: parse_json,
    exp.ToVariant: to_variant,
    exp.StripNullValue: strip_null_value,
    exp.JSONFormat: to_json,
    exp.DataType: semi_structured_type,
    exp.ColumnDef: uuid_column,
    exp.CurrentTimestamp: utc_now,
    exp.Struct: object_construct,
    exp.JSONObject: object_construct_keep_null,
    exp.ObjectAgg: object_agg,
    exp.CountIf: count_if,
    exp.JSONKeys: object_keys,
    exp.ArraySize: array_size,
    exp.Typeof: type_name,
    exp.IsArray: is_array,
    exp.IsNullValue: is_null_value,
    exp.Anonymous: function,
    exp.Values: values_columns,
    exp.Merge: merge_target,
    exp.Create: create,
    exp.Join: join,
    exp.From: flatten_from,
}
_LAST_RULES: dict[type[Node], Rule] = {exp.GetExtract: get}
"""Rules that look at their surroundings, once these are DuckDB's."""
