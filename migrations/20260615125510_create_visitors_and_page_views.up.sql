-- Visits to the site, with no more about a person than the charts need: no IP address, no user agent, no query string.
-- Creates new objects only, so there is no lock that the site could wait for.

-- No index on last_seen_at, which every page view writes: without one these updates touch no index (HOT), for which
-- fillfactor leaves room, and the nightly deletion of old visitors can afford to read the whole table.
CREATE TABLE visitors (
    -- A random uuid, as it is handed out in a cookie: a number would tell how many there are and let others be guessed.
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    country_code text,
    device_class text NOT NULL DEFAULT 'other',
    CONSTRAINT visitors_pkey PRIMARY KEY (id),
    CONSTRAINT visitors_seen_check CHECK (last_seen_at >= first_seen_at),
    CONSTRAINT visitors_country_code_check CHECK (country_code ~ '^[A-Z]{2}$'),
    CONSTRAINT visitors_device_class_check CHECK (
        device_class IN ('desktop', 'mobile', 'tablet', 'bot', 'other')
    )
) WITH (fillfactor = 80);

CREATE TABLE page_views (
    id bigint GENERATED ALWAYS AS IDENTITY,
    visitor_id uuid,
    viewed_at timestamptz NOT NULL DEFAULT now(),
    path text NOT NULL,
    referrer_host text,
    CONSTRAINT page_views_pkey PRIMARY KEY (id),
    -- Forgetting a visitor must not change last year's totals.
    CONSTRAINT page_views_visitor_id_fkey
        FOREIGN KEY (visitor_id) REFERENCES visitors (id) ON DELETE SET NULL,
    CONSTRAINT page_views_path_check CHECK (
        char_length(path) <= 1000 AND path ~ '^/[^?#]*$'
    ),
    CONSTRAINT page_views_referrer_host_check CHECK (
        char_length(referrer_host) <= 253 AND referrer_host ~ '^[a-z0-9.-]+$'
    )
);

-- For the foreign key (deleting a visitor), and for one visitor's way through the site.
CREATE INDEX page_views_visitor_id_viewed_at_idx ON page_views (visitor_id, viewed_at)
    WHERE visitor_id IS NOT NULL;

-- For the dashboard's totals, views per day over the last 30 days:
--     SELECT date_trunc('day', viewed_at, 'UTC'), count(*) FROM page_views WHERE viewed_at >= $1 GROUP BY 1
-- Rows arrive in the order of viewed_at and stay where they are, so BRIN does it in a few kilobytes.
CREATE INDEX page_views_viewed_at_idx ON page_views USING brin (viewed_at) WITH (autosummarize = on);

COMMENT ON TABLE visitors IS 'Browsers that accepted the analytics cookie; deleted 13 months after last_seen_at.';
COMMENT ON COLUMN visitors.id IS 'Value of the cookie; random, derived from nothing.';
COMMENT ON COLUMN visitors.country_code IS
    'ISO 3166-1 alpha-2, looked up from the IP address, which is then thrown away; NULL when unknown.';
COMMENT ON TABLE page_views IS 'One row for each page shown; appended to, never changed but to forget a visitor.';
COMMENT ON COLUMN page_views.visitor_id IS 'NULL when the visitor gave no consent or has been deleted since.';
COMMENT ON COLUMN page_views.path IS 'Path of the URL only: query string and fragment may carry personal data.';
COMMENT ON COLUMN page_views.referrer_host IS
    'Host of the referring site, lower case, in its ASCII form; NULL for a direct visit.';
