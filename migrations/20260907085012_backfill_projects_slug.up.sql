-- Gives the projects from before the column their slug. New ones get theirs from a trigger, so none can slip through
-- between this script and the next.
-- Locks rows only, and only those it changes: reading goes on, and an editor saving one of these projects waits until
-- the commit. One statement is right for tens of rows; a large table would be done in batches, each committed.
-- Slugs chosen by hand stay, updated_at does too, and running it again changes nothing.

UPDATE projects
SET slug = project_slug(id, title)
WHERE slug IS NULL;
