-- People who wrote to us, one row for each e-mail address.
-- Creates new objects only, so there is no lock that the site could wait for.

CREATE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_updated_at() IS
    'Trigger function, BEFORE UPDATE: keeps updated_at true, whoever writes the row.';

CREATE TABLE contacts (
    id bigint GENERATED ALWAYS AS IDENTITY,
    email text NOT NULL,
    full_name text NOT NULL,
    company text,
    phone text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT contacts_pkey PRIMARY KEY (id),
    CONSTRAINT contacts_email_check CHECK (
        char_length(email) <= 254 AND email ~ '^[^@[:space:]]+@[^@[:space:]]+$'
    ),
    CONSTRAINT contacts_full_name_check CHECK (char_length(full_name) BETWEEN 1 AND 200),
    CONSTRAINT contacts_company_check CHECK (char_length(company) BETWEEN 1 AND 200),
    CONSTRAINT contacts_phone_check CHECK (phone ~ '^[+]?[0-9][0-9 ().-]{2,29}$')
);

-- Look-ups write lower(email) = lower($1), else they miss this index.
CREATE UNIQUE INDEX contacts_email_key ON contacts (lower(email));

-- WHEN keeps a form that saves without a change from moving updated_at.
CREATE TRIGGER contacts_set_updated_at
    BEFORE UPDATE ON contacts
    FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE contacts IS 'People who wrote to us, one row for each e-mail address.';
COMMENT ON COLUMN contacts.email IS 'As typed, for replies; unique without regard to case.';
COMMENT ON COLUMN contacts.phone IS 'As typed; not checked against any numbering plan.';
COMMENT ON COLUMN contacts.updated_at IS 'Last change of any column, written by a trigger.';
