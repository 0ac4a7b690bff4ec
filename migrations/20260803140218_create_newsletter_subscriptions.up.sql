-- Newsletter with double opt-in: nobody gets mail before following the link sent to them. The table holds only a hash
-- of the link's token, so that whoever reads the table or a backup of it can't confirm in another's name.
-- Creates new objects only, so there is no lock that the site could wait for.

CREATE TABLE newsletter_subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY,
    email text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    confirmation_token_hash bytea,
    confirmation_expires_at timestamptz,
    confirmed_at timestamptz,
    unsubscribed_at timestamptz,
    CONSTRAINT newsletter_subscriptions_pkey PRIMARY KEY (id),
    CONSTRAINT newsletter_subscriptions_email_check CHECK (
        char_length(email) <= 254 AND email ~ '^[^@[:space:]]+@[^@[:space:]]+$'
    ),
    CONSTRAINT newsletter_subscriptions_token_hash_check CHECK (octet_length(confirmation_token_hash) = 32),
    CONSTRAINT newsletter_subscriptions_token_expiry_check CHECK (
        (confirmation_token_hash IS NULL) = (confirmation_expires_at IS NULL)
    ),
    -- Pending (a token), or confirmed (the token is used up), or unsubscribed (a link in an old mail is dead).
    CONSTRAINT newsletter_subscriptions_state_check CHECK (
        CASE
            WHEN unsubscribed_at IS NULL THEN num_nonnulls(confirmation_token_hash, confirmed_at) = 1
            ELSE confirmation_token_hash IS NULL
        END
    ),
    CONSTRAINT newsletter_subscriptions_times_check CHECK (
        confirmation_expires_at > requested_at
        AND confirmed_at >= requested_at
        AND unsubscribed_at >= requested_at
    )
);

-- Look-ups write lower(email) = lower($1), else they miss this index.
CREATE UNIQUE INDEX newsletter_subscriptions_email_key ON newsletter_subscriptions (lower(email));

-- For the link in the mail. Unique, so that a token can mean one subscription only.
CREATE UNIQUE INDEX newsletter_subscriptions_confirmation_token_hash_key
    ON newsletter_subscriptions (confirmation_token_hash)
    WHERE confirmation_token_hash IS NOT NULL;

COMMENT ON TABLE newsletter_subscriptions IS
    'Newsletter with double opt-in. Mail goes to rows with confirmed_at and without unsubscribed_at only.';
COMMENT ON COLUMN newsletter_subscriptions.requested_at IS
    'When the form was sent, last; asking again starts over with a new token.';
COMMENT ON COLUMN newsletter_subscriptions.confirmation_token_hash IS
    'SHA-256 (32 bytes) of the token in the mail; the token itself is nowhere. NULL once used or unsubscribed.';
COMMENT ON COLUMN newsletter_subscriptions.confirmed_at IS 'When the link was followed: our proof of consent.';
COMMENT ON COLUMN newsletter_subscriptions.unsubscribed_at IS
    'The row stays, so that the address is not imported again by mistake.';
