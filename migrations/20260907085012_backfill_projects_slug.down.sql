-- Takes back every slug that is what project_slug would give. That is all that can be told afterwards, hence:
-- projects that got theirs from the trigger lose it too, and slugs chosen by hand stay, as do those of projects whose
-- title has changed since. Nothing is lost for good: going up again gives the same slugs.
-- Locks only the rows it changes, until the commit.

UPDATE projects
SET slug = NULL
WHERE slug = project_slug(id, title);
