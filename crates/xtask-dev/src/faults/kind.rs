//! The kinds of fault: at which moments each is worth a try, and how the job may end at it.

use super::moment::{self, Moment, Seen};
use super::server::Ground;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// SIGKILL to the job.
    Kill,
    /// SIGTERM to the job.
    Term,
    /// SIGSTOP to the job, and SIGCONT when its time limits are over.
    Stop,
    /// SIGSTOP to the job, and SIGKILL when its time limits are over.
    StopAndKill,
    /// `pg_terminate_backend` on every session of the job.
    Terminate,
    /// Every connection is closed.
    Cut,
    /// Every connection is reset while a commit is under way.
    Reset,
    /// Nothing passes on the connections there are; after a while, SIGTERM.
    Silent,
    /// Whatever either side says takes 200 ms to arrive.
    Delay,
    /// The server is stopped as usual, and started again.
    RestartFast,
    /// The server is stopped without leave-taking, and started again.
    RestartImmediate,
    /// The server's disk fills up, and has room again.
    DiskFull,
    /// Others take every connection the server has left, and go.
    NoConnections,
    /// The server dies; its synchronous standby takes its place, under the same address.
    Promotion,
    /// The synchronous standby is away, so that commits wait; the job is cut off from them; they land later.
    LateCommit,
    /// A concurrent build waits for somebody's transaction; then one of the faults above.
    Building,
    /// Two to eight jobs at once.
    Together,
    /// Two to eight at once, applications among them that sqlx migrates when they start.
    WithSqlx,
    /// The node of the job is lost: no word comes from it, and none that it is gone.
    LostNode,
    /// Somebody reads the table for long.
    Reader,
    /// pg_dump is at work.
    Dump,
    /// Somebody has changed a row and does not commit.
    Writer,
}

impl Kind {
    pub(super) const ALL: [Self; 22] = [
        Self::Kill,
        Self::Cut,
        Self::Terminate,
        Self::Term,
        Self::Reset,
        Self::Stop,
        Self::StopAndKill,
        Self::Silent,
        Self::Delay,
        Self::RestartFast,
        Self::RestartImmediate,
        Self::DiskFull,
        Self::NoConnections,
        Self::Promotion,
        Self::LateCommit,
        Self::Building,
        Self::Together,
        Self::WithSqlx,
        Self::LostNode,
        Self::Reader,
        Self::Dump,
        Self::Writer,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Term => "term",
            Self::Stop => "stop",
            Self::StopAndKill => "stop-and-kill",
            Self::Terminate => "terminate",
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::Silent => "silent",
            Self::Delay => "delay",
            Self::RestartFast => "restart-fast",
            Self::RestartImmediate => "restart-immediate",
            Self::DiskFull => "disk-full",
            Self::NoConnections => "no-connections",
            Self::Promotion => "promotion",
            Self::LateCommit => "late-commit",
            Self::Building => "building",
            Self::Together => "together",
            Self::WithSqlx => "with-sqlx",
            Self::LostNode => "lost-node",
            Self::Reader => "reader",
            Self::Dump => "dump",
            Self::Writer => "writer",
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL",
            Self::Term => "SIGTERM",
            Self::Stop => "SIGSTOP for longer than the timeouts, SIGCONT",
            Self::StopAndKill => "SIGSTOP for longer than the timeouts, SIGKILL",
            Self::Terminate => "pg_terminate_backend",
            Self::Cut => "connection cut",
            Self::Reset => "connection reset during COMMIT",
            Self::Silent => "connection black-holed, then SIGTERM",
            Self::Delay => "200 ms of delay each way",
            Self::RestartFast => "server restarted, fast",
            Self::RestartImmediate => "server restarted, immediate",
            Self::DiskFull => "disk full",
            Self::NoConnections => "out of connections",
            Self::Promotion => "synchronous standby promoted",
            Self::LateCommit => "cut off while a commit waits for its standby",
            Self::Building => "SIGKILL, SIGTERM, cut, terminate in a long build",
            Self::Together => "two to eight jobs at once",
            Self::WithSqlx => "the same with sqlx's Migrator among them",
            Self::LostNode => "node lost",
            Self::Reader => "a long-running reader, others wait",
            Self::Dump => "pg_dump, others wait",
            Self::Writer => "an idle-in-transaction writer, others wait",
        }
    }

    /// What it wants of its server; nothing where it can share one with others.
    pub(super) fn ground(self) -> Option<Ground> {
        match self {
            Self::RestartFast | Self::RestartImmediate | Self::Promotion | Self::LateCommit => {
                Some(Ground::Roomy)
            }
            Self::DiskFull => Some(Ground::SmallDisk),
            Self::NoConnections => Some(Ground::FewConnections),
            Self::LostNode => Some(Ground::Network),
            _ => None,
        }
    }

    /// Whether it takes so long that a bounded campaign tries it on one server alone.
    pub(super) fn is_slow(self) -> bool {
        matches!(self, Self::Silent | Self::Delay | Self::Stop | Self::StopAndKill | Self::Building)
            || self.is_live()
    }

    /// Whether it is about a site that goes on.
    pub(super) fn is_live(self) -> bool {
        matches!(self, Self::Reader | Self::Dump | Self::Writer)
    }

    pub(super) fn wants_standby(self) -> bool {
        matches!(self, Self::Promotion | Self::LateCommit)
    }

    /// Every moment of a run at which this may come; one without meaning where it lasts for the whole run.
    pub(super) fn moments(self, seen: &[Seen]) -> Vec<Moment> {
        match self {
            Self::Reset | Self::LateCommit => moment::of_commits(seen),
            Self::Delay => vec![Moment::Before(0)],
            Self::Building => moment::of_builds(seen),
            // Rounds.
            Self::Together => (1..=17).map(Moment::Before).collect(),
            Self::WithSqlx => (1..=34).map(Moment::Before).collect(),
            Self::LostNode => (1..=10).map(Moment::Before).collect(),
            Self::Reader | Self::Dump | Self::Writer => (1..=4).map(Moment::Before).collect(),
            _ => moment::all(seen),
        }
    }

    /// How many of them are tried of each scenario on each server.
    pub(super) fn quota(self, coverage: Coverage) -> usize {
        match (self, coverage) {
            (Self::Kill | Self::Cut, Coverage::Bounded) => 4,
            (Self::Terminate | Self::Term, Coverage::Bounded) => 3,
            (Self::Reset, Coverage::Bounded) => 2,
            (Self::LostNode, Coverage::Bounded) => 1,
            (kind, Coverage::Bounded) if kind.ground().is_some() => 2,
            (_, Coverage::Bounded) => 1,
            (Self::Building | Self::Together | Self::WithSqlx, Coverage::Long) => usize::MAX,
            (Self::Reader | Self::Dump | Self::Writer, Coverage::Long) => usize::MAX,
            (_, Coverage::All) => usize::MAX,
            (Self::Kill | Self::Cut | Self::Terminate | Self::Term, Coverage::Long) => 40,
            (Self::Reset, Coverage::Long) => 30,
            (Self::Stop | Self::StopAndKill, Coverage::Long) => 6,
            (Self::Silent, Coverage::Long) => 4,
            (kind, Coverage::Long) if kind.ground().is_some() => 10,
            (_, Coverage::Long) => usize::MAX,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    /// Some hundred faults.
    Bounded,
    /// Some thousand.
    Long,
    /// Each moment of a kind.
    All,
}
