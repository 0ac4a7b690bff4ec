//! The same migrations in the form of each tool: files for the job and sqlx-cli, one message each for psql, Python for
//! Alembic.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

#[derive(Debug)]
pub(super) struct Generated {
    pub(super) count: usize,
    /// `<version>_<description>.{up,down}.sql`
    pub(super) scripts: PathBuf,
    /// `alembic.ini`, `env.py` and `versions/`
    pub(super) alembic: PathBuf,
    /// What the up scripts hold, in order.
    pub(super) texts: Vec<String>,
}

const ENVIRONMENT: &str = "\
import os
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ[\"DATABASE_URL\"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=os.environ[\"TRANSACTION\"] == \"each\")
    with context.begin_transaction():
        context.run_migrations()
";

impl Generated {
    pub(super) fn write(directory: &Path, count: usize) -> anyhow::Result<Self> {
        let (scripts, alembic) = (directory.join("scripts"), directory.join("alembic"));
        let versions = alembic.join("versions");
        for directory in [&scripts, &versions] {
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let write = |path: PathBuf, text: &str| {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        write(alembic.join("alembic.ini"), "[alembic]\nscript_location = %(here)s\n")?;
        write(alembic.join("env.py"), ENVIRONMENT)?;
        let mut texts = Vec::new();
        for number in 0..count {
            let (up, down) = migration(number);
            let version = 20_260_101_000_000 + number;
            write(scripts.join(format!("{version}_step_{number}.up.sql")), &up)?;
            write(scripts.join(format!("{version}_step_{number}.down.sql")), &down)?;
            write(versions.join(format!("{version}.py")), &python(number, &up, &down))?;
            texts.push(up);
        }
        Ok(Self { count, scripts, alembic, texts })
    }
}

/// What a site's history consists of: a table, then a column, an index and a constraint for it.
fn migration(number: usize) -> (String, String) {
    let table = format!("subject_{}", number / 4);
    match number % 4 {
        0 => (
            format!(
                "-- What the site knows about one subject.\nCREATE TABLE {table} (\n    \
                 id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    name text NOT NULL,\n    \
                 created_at timestamptz NOT NULL DEFAULT now()\n);\nCOMMENT ON TABLE {table} IS 'One row for each';\n"
            ),
            format!("DROP TABLE {table};\n"),
        ),
        1 => (
            format!("ALTER TABLE {table} ADD COLUMN phone text;\n"),
            format!("ALTER TABLE {table} DROP COLUMN phone;\n"),
        ),
        2 => (
            format!("CREATE INDEX {table}_created_at_idx ON {table} (created_at);\n"),
            format!("DROP INDEX {table}_created_at_idx;\n"),
        ),
        _ => (
            format!("ALTER TABLE {table} ADD CONSTRAINT {table}_phone_check CHECK (length(phone) <= 20);\n"),
            format!("ALTER TABLE {table} DROP CONSTRAINT {table}_phone_check;\n"),
        ),
    }
}

fn python(number: usize, up: &str, down: &str) -> String {
    let parent = number.checked_sub(1).map_or_else(|| "None".to_owned(), |parent| format!("\"{parent:06}\""));
    let mut text =
        format!("from alembic import op\n\nrevision = \"{number:06}\"\ndown_revision = {parent}\n");
    for (name, sql) in [("upgrade", up), ("downgrade", down)] {
        let _ = write!(text, "\n\ndef {name}():\n    op.execute(\"\"\"{sql}\"\"\")\n");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn alembic_gets_one_line_of_descent() {
        let (up, down) = super::migration(1);
        let text = super::python(1, &up, &down);
        assert!(text.contains("revision = \"000001\"\ndown_revision = \"000000\"\n"), "{text}");
        assert!(super::python(0, &up, &down).contains("down_revision = None"));
        assert!(
            text.contains(
                "def downgrade():\n    op.execute(\"\"\"ALTER TABLE subject_0 DROP COLUMN phone;\n"
            ),
            "{text}"
        );
    }
}
