-- Makes the constraint NOT VALID again. PostgreSQL can't revert a validation, so it is dropped and added anew, in
-- one transaction: no row can be written in between.
-- ACCESS EXCLUSIVE on projects for milliseconds: no row is read.

ALTER TABLE projects
    -- squawk-ignore ban-drop-constraint -- it comes back in the same statement
    DROP CONSTRAINT projects_slug_present_check,
    ADD CONSTRAINT projects_slug_present_check CHECK (slug IS NOT NULL) NOT VALID;
