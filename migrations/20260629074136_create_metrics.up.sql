-- Measurements of the running site (latencies, queue lengths, web vitals), one partition for each quarter: old ones
-- leave by dropping a table, in no time and without bloat, instead of by a DELETE of millions of rows.
-- Creates new objects only, so there is no lock that the site could wait for.
--
-- Partitions are there for 2026-07-01 to 2028-01-01 UTC; what lies outside goes to metrics_default and is not lost.
-- Add a quarter before it begins: a new partition takes ACCESS EXCLUSIVE on metrics_default and reads all of it, which
-- is nothing while it is empty, and fails if it holds rows of that quarter. CREATE TABLE ... (LIKE metrics INCLUDING
-- ALL), then ATTACH PARTITION, spares the other partitions that lock.
--
-- No primary key: a measurement has no identity, nothing refers to one, and none is ever updated.

CREATE TABLE metrics (
    recorded_at timestamptz NOT NULL DEFAULT now(),
    name text NOT NULL,
    value double precision NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT metrics_name_check CHECK (char_length(name) <= 100 AND name ~ '^[a-z][a-z0-9_]*$'),
    -- Also keeps out NaN, which sorts above Infinity: a single one would spoil every average it is in.
    CONSTRAINT metrics_value_check CHECK (value > '-Infinity' AND value < 'Infinity'),
    CONSTRAINT metrics_labels_check CHECK (jsonb_typeof(labels) = 'object')
) PARTITION BY RANGE (recorded_at);

CREATE TABLE metrics_2026_q3 PARTITION OF metrics
    FOR VALUES FROM ('2026-07-01 00:00:00+00') TO ('2026-10-01 00:00:00+00');
CREATE TABLE metrics_2026_q4 PARTITION OF metrics
    FOR VALUES FROM ('2026-10-01 00:00:00+00') TO ('2027-01-01 00:00:00+00');
CREATE TABLE metrics_2027_q1 PARTITION OF metrics
    FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-04-01 00:00:00+00');
CREATE TABLE metrics_2027_q2 PARTITION OF metrics
    FOR VALUES FROM ('2027-04-01 00:00:00+00') TO ('2027-07-01 00:00:00+00');
CREATE TABLE metrics_2027_q3 PARTITION OF metrics
    FOR VALUES FROM ('2027-07-01 00:00:00+00') TO ('2027-10-01 00:00:00+00');
CREATE TABLE metrics_2027_q4 PARTITION OF metrics
    FOR VALUES FROM ('2027-10-01 00:00:00+00') TO ('2028-01-01 00:00:00+00');
CREATE TABLE metrics_default PARTITION OF metrics DEFAULT;

-- For a chart of one metric, and for its latest value:
--     SELECT date_bin('5 min', recorded_at, $2), avg(value) FROM metrics
--     WHERE name = $1 AND recorded_at >= $2 AND recorded_at < $3 GROUP BY 1
--     SELECT value FROM metrics WHERE name = $1 ORDER BY recorded_at DESC LIMIT 1
-- INCLUDE lets the index alone answer both.
CREATE INDEX metrics_name_recorded_at_idx ON metrics (name, recorded_at) INCLUDE (value);

-- For looking into an incident, all metrics of some minutes:
--     SELECT * FROM metrics WHERE recorded_at >= $1 AND recorded_at < $2
-- Rows arrive in the order of recorded_at and stay where they are, so BRIN does it in a few kilobytes. Some minutes are
-- few pages, hence ranges of 32 and not 128.
CREATE INDEX metrics_recorded_at_idx ON metrics USING brin (recorded_at)
    WITH (pages_per_range = 32, autosummarize = on);

COMMENT ON TABLE metrics IS
    'Measurements of the running site; one partition for each quarter (UTC), dropped when it is two years old.';
COMMENT ON COLUMN metrics.recorded_at IS 'When it was measured, by the clock of the machine that measured.';
COMMENT ON COLUMN metrics.name IS
    'What was measured, with its unit last, as in request_duration_seconds or response_size_bytes.';
COMMENT ON COLUMN metrics.value IS 'In the unit that the name ends in.';
COMMENT ON COLUMN metrics.labels IS
    'Dimensions, which differ from metric to metric, as in {"route": "/contact", "status": "200"}; no personal data.';
COMMENT ON TABLE metrics_default IS
    'Rows no quarter takes. Should be empty: rows here mean a missing partition or a clock that is wrong.';
