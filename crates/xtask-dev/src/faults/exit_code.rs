//! How a run may end that met a fault.

use super::kind::Kind;
use super::scenario::Scenario;

/// The exit codes with which the job may end, 137 where the fault was its end; where something may have been
/// committed without its knowing, it is not to say otherwise.
pub(super) fn allows(scenario: &Scenario, kind: Kind, code: i32, in_doubt: bool) -> bool {
    let may_halt = scenario.may_halt();
    match (kind, code) {
        (_, 0) => true,
        (Kind::Kill | Kind::StopAndKill, code) => code == 137,
        (Kind::Term, code) => code == 143 || (may_halt && code == 6),
        (Kind::Building, code) => [3, 137, 143].contains(&code) || (may_halt && code == 6),
        (Kind::Silent, code) => code == if in_doubt { 3 } else { 143 },
        (Kind::Terminate | Kind::Cut | Kind::Reset | Kind::Stop, code) => {
            code == 3 || (may_halt && code == 6)
        }
        (Kind::RestartFast | Kind::RestartImmediate | Kind::Promotion | Kind::LateCommit, code) => {
            code == 3 || (may_halt && code == 6)
        }
        (Kind::LostNode, code) => [3, 137].contains(&code) || (may_halt && code == 6),
        // Without room a migration fails, a server may fall, and a script stands where it is to go on.
        (Kind::DiskFull, code) => [3, 5, 6, 8].contains(&code),
        // It waits, for longer than the others stay.
        (Kind::Delay | Kind::NoConnections, _) => false,
        (Kind::Together | Kind::WithSqlx | Kind::Reader | Kind::Dump | Kind::Writer, _) => false,
    }
}
