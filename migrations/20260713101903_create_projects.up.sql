-- The portfolio: tens of rows, so a sequential scan beats any index and there is none but the key.
-- Creates new objects only, so there is no lock that the site could wait for.

CREATE TABLE projects (
    id bigint GENERATED ALWAYS AS IDENTITY,
    title text NOT NULL,
    summary text NOT NULL,
    body text NOT NULL DEFAULT '',
    client_name text,
    website_url text,
    started_on date,
    finished_on date,
    sort_key bigint NOT NULL DEFAULT 0,
    published_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_title_check CHECK (char_length(title) BETWEEN 1 AND 200),
    CONSTRAINT projects_summary_check CHECK (char_length(summary) BETWEEN 1 AND 500),
    CONSTRAINT projects_body_check CHECK (char_length(body) <= 50000),
    CONSTRAINT projects_client_name_check CHECK (char_length(client_name) BETWEEN 1 AND 200),
    CONSTRAINT projects_website_url_check CHECK (
        char_length(website_url) <= 2000 AND website_url ~ '^https?://[^[:space:]]+$'
    ),
    CONSTRAINT projects_dates_check CHECK (finished_on >= started_on)
);

-- Columns are named so that updated_at speaks of what the page shows: it goes into the sitemap, and moving a project
-- in the list, publishing it, or a migration that fills a column is no news to a search engine.
CREATE TRIGGER projects_set_updated_at
    BEFORE UPDATE OF title, summary, body, client_name, website_url, started_on, finished_on ON projects
    FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE projects IS 'Work shown in the portfolio.';
COMMENT ON COLUMN projects.body IS 'Markdown.';
COMMENT ON COLUMN projects.finished_on IS 'NULL while the work goes on.';
COMMENT ON COLUMN projects.sort_key IS 'Place in the list, lowest first; ties go to the newer id.';
COMMENT ON COLUMN projects.published_at IS 'NULL for a draft; a time to come schedules it.';
COMMENT ON COLUMN projects.updated_at IS
    'Last change of what the page shows, written by a trigger; lastmod of the sitemap.';
