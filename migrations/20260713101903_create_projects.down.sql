-- Drops projects, data included.
-- ACCESS EXCLUSIVE on projects: a release that shows the portfolio must be gone before.

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE projects;
