//! A session that stays: psql with open ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::server::Server;

/// Ended when dropped; what it had begun is rolled back.
#[derive(Debug)]
pub(super) struct Session {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// No statement of the campaign answers this.
const END: &str = "--- answered ---";

impl Session {
    pub(super) fn open(server: &Server, database: &str) -> anyhow::Result<Self> {
        let mut psql = server.client("psql", database);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        let mut child = psql
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run psql")?;
        let questions = child.stdin.take().context("psql has no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("psql has no stdout")?);
        Ok(Self { child, questions, answers })
    }

    /// Runs a statement, and waits for no answer.
    pub(super) fn tell(&mut self, sql: &str) -> anyhow::Result<()> {
        self.say(&format!("{sql};"))
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let said = writeln!(self.questions, "{line}").and_then(|()| self.questions.flush());
        said.context("psql takes no more questions")
    }

    /// Runs a statement; how long that took.
    pub(super) fn ask(&mut self, sql: &str) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.tell(sql)?;
        self.say(&format!("\\echo '{END}'"))?;
        let mut line = String::new();
        while line.trim_end() != END {
            line.clear();
            if self.answers.read_line(&mut line).context("psql gives no answer")? == 0 {
                bail!("psql has ended at {sql}");
            }
        }
        Ok(start.elapsed())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
