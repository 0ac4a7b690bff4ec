-- Drops the column, and with it the slugs that editors chose.
-- ACCESS EXCLUSIVE on projects for milliseconds: no row is rewritten. A release that knows slugs must be gone before.

DROP TRIGGER projects_set_slug ON projects;

-- squawk-ignore ban-drop-function -- the inverse of creating it
DROP FUNCTION set_project_slug();

-- Takes the index and the CHECK along.
-- squawk-ignore ban-drop-column -- the inverse of adding it
ALTER TABLE projects DROP COLUMN slug;

-- squawk-ignore ban-drop-function -- the inverse of creating it
DROP FUNCTION project_slug(bigint, text);
