-- Drops all partitions with their parent, data included.
-- ACCESS EXCLUSIVE on each of them: a release that records metrics must be gone before.

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE metrics;
