-- Drops both tables, data included; page_views first, as it refers to visitors.
-- ACCESS EXCLUSIVE on both: a release that records page views must be gone before.

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE page_views;

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE visitors;
