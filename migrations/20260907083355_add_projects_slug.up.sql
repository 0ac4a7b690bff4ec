-- A project's address becomes /projects/<slug> instead of its number. First of four steps, each safe while the release
-- before still runs: add the column and fill it in new rows, fill the old rows, require it, check that all have it.
-- Not a generated column: the address must stay when the title changes, and editors may choose a nicer one.
--
-- ALTER TABLE and CREATE TRIGGER take ACCESS EXCLUSIVE and SHARE ROW EXCLUSIVE on projects: the portfolio waits for
-- milliseconds. No row is rewritten; the new CHECK and the index read tens of rows, all of them NULL.

-- The collation is named because under a Turkish one lower('I') is no "i".
CREATE FUNCTION project_slug(id bigint, title text) RETURNS text
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURNS NULL ON NULL INPUT
AS $$
    SELECT ltrim(
        rtrim(left(trim(BOTH '-' FROM regexp_replace(lower(title COLLATE "C"), '[^a-z0-9]+', '-', 'g')), 60), '-')
            || '-' || id::text,
        '-'
    )
$$;

COMMENT ON FUNCTION project_slug(bigint, text) IS
    'The slug a project gets unless an editor chooses one: its title in ASCII and its id, which makes it unique.';

ALTER TABLE projects ADD COLUMN slug text
    CONSTRAINT projects_slug_check CHECK (char_length(slug) <= 80 AND slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$');

-- squawk-ignore require-concurrent-index-creation -- tens of rows, and ADD COLUMN holds a stronger lock already
CREATE UNIQUE INDEX projects_slug_key ON projects (slug);

CREATE FUNCTION set_project_slug() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.slug := project_slug(NEW.id, NEW.title);
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_project_slug() IS
    'Trigger function, BEFORE INSERT on projects: gives a slug where none is given.';

-- The release before knows no slug; what it inserts gets one here.
CREATE TRIGGER projects_set_slug
    BEFORE INSERT ON projects
    FOR EACH ROW
    WHEN (NEW.slug IS NULL)
    EXECUTE FUNCTION set_project_slug();

COMMENT ON COLUMN projects.slug IS 'Last part of the address, /projects/<slug>; does not follow the title.';
