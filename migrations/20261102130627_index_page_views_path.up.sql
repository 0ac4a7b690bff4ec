-- no-transaction
-- squawk-disable-assume-in-transaction
--
-- For the dashboard of one page, its views per day:
--     SELECT date_trunc('day', viewed_at, 'UTC'), count(*) FROM page_views
--     WHERE path = $1 AND viewed_at >= $2 GROUP BY 1
--
-- page_views is large and written by every page shown. CONCURRENTLY builds the index under SHARE UPDATE EXCLUSIVE,
-- which lets the site read and write; it can't run in a transaction and waits for older ones to end.
-- A build that stops halfway leaves an INVALID index, which slows writes and serves no query. Then, by hand:
--     DROP INDEX CONCURRENTLY IF EXISTS page_views_path_viewed_at_idx;
-- and run this migration again. Not IF NOT EXISTS, which would take the INVALID index for a finished one.

-- squawk-ignore prefer-robust-stmts -- see above
CREATE INDEX CONCURRENTLY page_views_path_viewed_at_idx ON page_views (path, viewed_at);
