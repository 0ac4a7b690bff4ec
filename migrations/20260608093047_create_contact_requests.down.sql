-- Drops the requests and their history, data included.
-- ACCESS EXCLUSIVE on contacts too, as the foreign key's triggers there go as well: milliseconds, to the commit.

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE contact_request_status_changes;

-- squawk-ignore ban-drop-table -- the inverse of creating it
DROP TABLE contact_requests;

-- squawk-ignore ban-drop-function -- the inverse of creating it
DROP FUNCTION record_contact_request_status();

-- squawk-ignore ban-drop-type -- the inverse of creating it
DROP TYPE contact_request_status;
