-- Checks that every project has a slug. Reads the whole table, but under SHARE UPDATE EXCLUSIVE, which lets the site
-- read and write; that is why it is not in the migration that adds the constraint.
-- Fails, and changes nothing, if the backfill has missed a row.

ALTER TABLE projects VALIDATE CONSTRAINT projects_slug_present_check;
