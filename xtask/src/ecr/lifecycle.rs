//! Which images a new repository forgets by itself.

use serde_json::{Value, json};

/// Releases are kept up to a number; builds that never became one, half as many again, and untagged images two weeks.
/// An image that a rule's tags match is left alone by every rule after it, so a release is never taken for a build.
pub(crate) fn policy(releases: u32) -> String {
    let keep = |priority: u32, what: &str, patterns: &[&str], count: u32| {
        json!({
            "rulePriority": priority,
            "description": what,
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": patterns,
                "countType": "imageCountMoreThan",
                "countNumber": count,
            },
            "action": { "type": "expire" },
        })
    };
    let untagged: Value = json!({
        "rulePriority": 4,
        "description": "untagged images go after two weeks",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": 14,
        },
        "action": { "type": "expire" },
    });
    json!({
        "rules": [
            keep(1, &format!("the last {releases} releases stay"), &["v*"], releases),
            keep(2, "what latest names stays", &["latest"], 1),
            keep(3, "the last builds stay", &["inputs-*"], releases + releases / 2),
            untagged,
        ]
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_come_first() {
        let policy: Value = serde_json::from_str(&policy(50)).unwrap();
        let rules = policy["rules"].as_array().unwrap();
        let found: Vec<_> = rules
            .iter()
            .map(|rule| {
                let selection = &rule["selection"];
                (
                    rule["rulePriority"].as_u64().unwrap(),
                    selection["tagPatternList"][0].as_str().unwrap_or("untagged"),
                    selection["countNumber"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(found, [(1, "v*", 50), (2, "latest", 1), (3, "inputs-*", 75), (4, "untagged", 14)]);
    }
}
