-- From here on no project can be written without a slug. NOT VALID: existing rows are not read under the lock, which
-- is ACCESS EXCLUSIVE on projects, for milliseconds. The next migration checks them, in a transaction of its own: in
-- this one, the lock would be held during that check.
-- A CHECK and not SET NOT NULL, which can't be NOT VALID before PostgreSQL 18.

ALTER TABLE projects
    ADD CONSTRAINT projects_slug_present_check CHECK (slug IS NOT NULL) NOT VALID;
