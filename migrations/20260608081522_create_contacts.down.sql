-- Drops contacts, its data included, and the trigger function, which the first migration brought for all tables.
-- ACCESS EXCLUSIVE on contacts: a release that reads the table must be gone before.

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE contacts;

-- squawk-ignore ban-drop-function -- the inverse of creating it
DROP FUNCTION set_updated_at();
