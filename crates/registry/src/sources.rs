//! Where credentials for AWS come from, and what to say when none do.

/// What decides whether a source has credentials, read from the environment once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) keys: bool,
    pub(super) profile: Option<String>,
    pub(super) files: Vec<String>,
    pub(super) web_identity: bool,
    pub(super) container: bool,
    pub(super) metadata_disabled: bool,
    pub(super) github_actions: bool,
}

impl Sources {
    pub(super) fn read(profile: Option<&str>) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = set("HOME").unwrap_or_default();
        let file = |name: &str, usual: &str| set(name).unwrap_or_else(|| format!("{home}/.aws/{usual}"));
        let files = [file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
        Self {
            keys: set("AWS_ACCESS_KEY_ID").is_some(),
            profile: profile.map(str::to_owned).or_else(|| set("AWS_PROFILE")),
            files: files.into_iter().filter(|path| std::path::Path::new(path).is_file()).collect(),
            web_identity: set("AWS_WEB_IDENTITY_TOKEN_FILE").is_some(),
            container: ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
                .iter()
                .any(|name| set(name).is_some()),
            metadata_disabled: set("AWS_EC2_METADATA_DISABLED")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            github_actions: set("GITHUB_ACTIONS").is_some(),
        }
    }

    /// Every source, in the order they are asked, with what it had.
    pub(super) fn tried(&self) -> String {
        let profile = self.profile.as_deref().unwrap_or("default");
        let files = match self.files.as_slice() {
            [] => "no ~/.aws/config and no ~/.aws/credentials".to_owned(),
            files => format!("profile {profile} of {}", files.join(", ")),
        };
        let set = |is: bool, name: &str| format!("{name} is {}", if is { "set" } else { "not set" });
        [
            set(self.keys, "AWS_ACCESS_KEY_ID"),
            files,
            set(self.web_identity, "AWS_WEB_IDENTITY_TOKEN_FILE"),
            set(self.container, "AWS_CONTAINER_CREDENTIALS_…_URI"),
            if self.metadata_disabled {
                "the metadata of the instance is disabled".to_owned()
            } else {
                "no metadata of an instance".to_owned()
            },
        ]
        .join("; ")
    }

    pub(super) fn advice(&self) -> String {
        match (&self.profile, self.github_actions) {
            (_, true) => "give the job `permissions: id-token: write` and run \
                          aws-actions/configure-aws-credentials before"
                .to_owned(),
            (Some(profile), _) => {
                format!("sign in (`aws sso login --profile {profile}`), or fix the profile")
            }
            (None, _) => {
                "sign in (`aws sso login`), name a profile in AWS_PROFILE, or set AWS_ACCESS_KEY_ID \
                          and AWS_SECRET_ACCESS_KEY"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_said_with_what_to_do() {
        let named = Sources {
            profile: Some("site".to_owned()),
            files: vec!["/h/.aws/config".to_owned()],
            ..Sources::default()
        };
        for (sources, tried, advice) in [
            (Sources::default(), "no ~/.aws/config and no", "name a profile in AWS_PROFILE"),
            (named, "profile site of /h/.aws/config", "aws sso login --profile site"),
            (
                Sources { metadata_disabled: true, ..Sources::default() },
                "instance is disabled",
                "aws sso login",
            ),
            (Sources { github_actions: true, ..Sources::default() }, "not set", "id-token: write"),
            (
                Sources { web_identity: true, ..Sources::default() },
                "AWS_WEB_IDENTITY_TOKEN_FILE is set",
                "sign in",
            ),
        ] {
            assert!(sources.tried().contains(tried), "{}", sources.tried());
            assert!(sources.advice().contains(advice), "{}", sources.advice());
        }
    }
}
