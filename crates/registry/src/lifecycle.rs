//! Which images a new repository forgets by itself.

use serde_json::{Value, json};

/// Releases are kept up to a number; builds that never became one, half as many again; what was pushed from a tree with
/// changes, and untagged images, two weeks.
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
    let two_weeks = |priority: u32, what: &str, which: Value| {
        let mut selection = json!({"countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14});
        for (name, value) in which.as_object().into_iter().flatten() {
            selection[name] = value.clone();
        }
        json!({
            "rulePriority": priority,
            "description": format!("{what} go after two weeks"),
            "selection": selection,
            "action": { "type": "expire" },
        })
    };
    json!({
        "rules": [
            keep(1, &format!("the last {releases} releases stay"), &["v*"], releases),
            keep(2, "what latest names stays", &["latest"], 1),
            keep(3, "the last builds stay", &["inputs-*"], releases + releases / 2),
            two_weeks(4, "what was not committed", json!({"tagStatus": "tagged", "tagPatternList": ["dirty-*"]})),
            two_weeks(5, "untagged images", json!({"tagStatus": "untagged"})),
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
        assert_eq!(
            found,
            [(1, "v*", 50), (2, "latest", 1), (3, "inputs-*", 75), (4, "dirty-*", 14), (5, "untagged", 14)]
        );
    }
}
