-- Projects without a slug are allowed again.
-- ACCESS EXCLUSIVE on projects for milliseconds: no row is read.

-- squawk-ignore ban-drop-constraint -- the inverse of adding it
ALTER TABLE projects DROP CONSTRAINT projects_slug_present_check;
