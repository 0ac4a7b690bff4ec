//! Where a plan commits.

/// What one transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// One migration.
    Each,
    /// The whole run.
    Run,
}

/// Steps that share a transaction, or one that has none.
#[derive(Debug, PartialEq, Eq)]
pub enum Group<'p, T> {
    /// All of these or none.
    Transactional(&'p [T]),
    /// Statement by statement.
    NonTransactional(&'p T),
}

/// Cuts a plan at its commits.
pub fn groups<T>(
    steps: &[T],
    transaction: Transaction,
    is_transactional: impl Fn(&T) -> bool,
) -> Vec<Group<'_, T>> {
    let mut groups = Vec::new();
    let mut rest = steps;
    while let Some(first) = rest.first() {
        let length = match (is_transactional(first), transaction) {
            (false, _) => {
                groups.push(Group::NonTransactional(first));
                1
            }
            (true, Transaction::Each) => {
                groups.push(Group::Transactional(&rest[..1]));
                1
            }
            (true, Transaction::Run) => {
                let length = rest.iter().take_while(|step| is_transactional(step)).count();
                groups.push(Group::Transactional(&rest[..length]));
                length
            }
        };
        rest = &rest[length..];
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_cut_at_their_commits() {
        use Group::{NonTransactional, Transactional};
        let steps = ["a", "b", "-c", "d", "-e"];
        let transactional = |step: &&str| !step.starts_with('-');
        assert_eq!(
            groups(&steps, Transaction::Run, transactional),
            [
                Transactional(&["a", "b"][..]),
                NonTransactional(&"-c"),
                Transactional(&["d"]),
                NonTransactional(&"-e")
            ]
        );
        assert_eq!(
            groups(&steps, Transaction::Each, transactional),
            [
                Transactional(&["a"][..]),
                Transactional(&["b"]),
                NonTransactional(&"-c"),
                Transactional(&["d"]),
                NonTransactional(&"-e")
            ]
        );
        assert!(groups(&steps[..0], Transaction::Run, transactional).is_empty());
    }
}
