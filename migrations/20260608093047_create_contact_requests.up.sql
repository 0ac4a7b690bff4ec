-- What contacts wrote through the form, and every status each request has been in.
-- The foreign key takes SHARE ROW EXCLUSIVE on contacts: writes to it wait until this script commits, which is
-- milliseconds, as all other objects are new.
-- The history is written by triggers, so no code path and no manual UPDATE can forget it.

CREATE TYPE contact_request_status AS ENUM ('new', 'in_progress', 'answered', 'closed', 'spam');

COMMENT ON TYPE contact_request_status IS
    'In the order of handling; add values with ALTER TYPE ... ADD VALUE, as a value can never be removed.';

CREATE TABLE contact_requests (
    id bigint GENERATED ALWAYS AS IDENTITY,
    contact_id bigint NOT NULL,
    subject text NOT NULL,
    message text NOT NULL,
    status contact_request_status NOT NULL DEFAULT 'new',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT contact_requests_pkey PRIMARY KEY (id),
    -- A contact who asks to be erased takes everything they wrote with them.
    CONSTRAINT contact_requests_contact_id_fkey
        FOREIGN KEY (contact_id) REFERENCES contacts (id) ON DELETE CASCADE,
    CONSTRAINT contact_requests_subject_check CHECK (char_length(subject) BETWEEN 1 AND 200),
    CONSTRAINT contact_requests_message_check CHECK (char_length(message) BETWEEN 1 AND 10000)
);

-- For the foreign key, and for a contact's requests, newest first.
CREATE INDEX contact_requests_contact_id_created_at_idx ON contact_requests (contact_id, created_at DESC);

-- For the inbox, oldest first. Few requests are open, so the index stays small however many there were.
CREATE INDEX contact_requests_open_idx ON contact_requests (created_at)
    WHERE status IN ('new', 'in_progress');

CREATE TRIGGER contact_requests_set_updated_at
    BEFORE UPDATE ON contact_requests
    FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION set_updated_at();

CREATE TABLE contact_request_status_changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    contact_request_id bigint NOT NULL,
    old_status contact_request_status,
    new_status contact_request_status NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT contact_request_status_changes_pkey PRIMARY KEY (id),
    CONSTRAINT contact_request_status_changes_contact_request_id_fkey
        FOREIGN KEY (contact_request_id) REFERENCES contact_requests (id) ON DELETE CASCADE,
    CONSTRAINT contact_request_status_changes_differ_check CHECK (old_status IS DISTINCT FROM new_status)
);

-- For the foreign key, and for a request's history in order: changes of one transaction share a changed_at, ids differ.
CREATE INDEX contact_request_status_changes_contact_request_id_id_idx
    ON contact_request_status_changes (contact_request_id, id);

CREATE FUNCTION record_contact_request_status() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO contact_request_status_changes (contact_request_id, old_status, new_status)
    VALUES (NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.status END, NEW.status);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION record_contact_request_status() IS
    'Trigger function, AFTER INSERT OR UPDATE on contact_requests: appends to contact_request_status_changes.';

CREATE TRIGGER contact_requests_record_first_status
    AFTER INSERT ON contact_requests
    FOR EACH ROW
    EXECUTE FUNCTION record_contact_request_status();

-- Not UPDATE OF status: that would miss a status set by another trigger.
CREATE TRIGGER contact_requests_record_status_change
    AFTER UPDATE ON contact_requests
    FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION record_contact_request_status();

COMMENT ON TABLE contact_requests IS 'What contacts wrote through the contact form.';
COMMENT ON COLUMN contact_requests.message IS 'Plain text as typed, never HTML; escape when shown.';
COMMENT ON COLUMN contact_requests.updated_at IS 'Last change of any column, written by a trigger.';
COMMENT ON TABLE contact_request_status_changes IS
    'Every status a contact request has been in, the first included; written by triggers, not by the site.';
COMMENT ON COLUMN contact_request_status_changes.old_status IS 'NULL for the row written when the request came in.';
COMMENT ON COLUMN contact_request_status_changes.changed_at IS
    'Start of the transaction that made the change; order by id, not by this.';
