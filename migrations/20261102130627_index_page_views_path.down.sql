-- no-transaction
-- squawk-disable-assume-in-transaction
--
-- CONCURRENTLY, so that nobody waits: a plain DROP INDEX takes ACCESS EXCLUSIVE on page_views, behind which the site
-- queues. IF EXISTS, so that it can be run again after it stopped halfway.

DROP INDEX CONCURRENTLY IF EXISTS page_views_path_viewed_at_idx;
