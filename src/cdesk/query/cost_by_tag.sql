-- The query tags that took most in Snowflake, day by day.
-- Takes: V_COST_BY_TAG; the first day, how many of a day. Gives: day, workload, query_tag, statements, credits.
SELECT
    day,
    workload,
    query_tag,
    statements,
    credits
FROM V_COST_BY_TAG
WHERE day >= ?
QUALIFY ROW_NUMBER() OVER (PARTITION BY day ORDER BY credits DESC, query_tag ASC) <= ?
ORDER BY day, credits DESC, query_tag;
