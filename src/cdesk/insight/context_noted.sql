-- Which of some questions are in the query log already.
-- Takes: :ids. Gives: query_id.
SELECT query_id FROM QUERY_HISTORY WHERE query_id IN (:ids)
