//! Where in which cluster the job runs, and from which manifests.

use std::path::PathBuf;
use std::time::Duration;

use workspace::given::Environment;
use workspace::given::{Given, Mistakes, environment};
use workspace::yaml::Node;

/// What may be typed or set in the environment.
#[derive(Debug, Default, Clone, clap::Args)]
pub struct KubernetesFlags {
    /// Context of the kubeconfig [default: its current one; in a pod, the cluster around it]
    #[arg(long, env = "KUBERNETES_CONTEXT", value_name = "NAME", hide_env_values = true)]
    context: Option<String>,
    /// Namespace of the run [default: that of the manifests, then that of the context]
    #[arg(long, env = "KUBERNETES_NAMESPACE", value_name = "NAME", hide_env_values = true)]
    namespace: Option<String>,
    /// Directory of a kustomization with the Job in it, or a file that is rendered already [default:
    /// k8s/overlays/production]
    #[arg(long, env = "KUBERNETES_MANIFESTS", value_name = "PATH", hide_env_values = true)]
    manifests: Option<String>,
    /// How long a run may wait for its pod, a node or its image before it is given up [default: 5m]
    #[arg(long, env = "KUBERNETES_START_TIMEOUT", value_name = "DURATION", hide_env_values = true)]
    start_timeout: Option<String>,
}

impl KubernetesFlags {
    /// Where nothing runs in a cluster.
    pub fn refuse(&self, mistakes: &mut Mistakes) {
        for (value, flag, variable) in [
            (&self.context, "--context", "KUBERNETES_CONTEXT"),
            (&self.namespace, "--namespace", "KUBERNETES_NAMESPACE"),
            (&self.manifests, "--manifests", "KUBERNETES_MANIFESTS"),
            (&self.start_timeout, "--start-timeout", "KUBERNETES_START_TIMEOUT"),
        ] {
            let why = "this goes with --on kubernetes, and does nothing here";
            mistakes.refuse(value.as_ref(), flag, variable, &environment, why);
        }
    }
}

/// `kubernetes` in `xtask/release.yaml`.
#[derive(Debug, Default)]
pub(super) struct KubernetesFile {
    context: Option<Given>,
    namespace: Option<Given>,
    manifests: Option<Given>,
    start_timeout: Option<Given>,
}

impl KubernetesFile {
    pub(super) fn read(node: Option<Node<'_>>, mistakes: &mut Mistakes) -> Self {
        let mut section = mistakes.section(node, &["context", "namespace", "manifests", "start_timeout"]);
        Self {
            context: mistakes.text(&mut section, "context"),
            namespace: mistakes.text(&mut section, "namespace"),
            manifests: mistakes.text(&mut section, "manifests"),
            start_timeout: mistakes.text(&mut section, "start_timeout"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesSettings {
    pub context: Option<String>,
    pub namespace: Option<String>,
    /// Relative to the root of the checkout, or absolute.
    pub manifests: PathBuf,
    pub start_timeout: Duration,
}

/// Nothing if something is wrong.
pub(super) fn resolve(
    flags: &KubernetesFlags,
    file: KubernetesFile,
    environment: Environment<'_>,
    mistakes: &mut Mistakes,
) -> Option<KubernetesSettings> {
    use anyhow::{Context, ensure};

    let first = |value: &Option<String>, flag, variable, file: Option<Given>| {
        Given::typed(value.as_ref(), flag, variable, environment).or(file)
    };
    let value = |given: Given| given.value;
    let start_timeout =
        first(&flags.start_timeout, "--start-timeout", "KUBERNETES_START_TIMEOUT", file.start_timeout)
            .or_else(|| Some(Given { value: "5m".to_owned(), by: "the default".to_owned() }));
    let start_timeout = mistakes.check(start_timeout, |text| {
        let parsed = humantime::parse_duration(text).ok().filter(|timeout| !timeout.is_zero());
        parsed.with_context(|| {
            format!("the start timeout {text:?} is no duration to wait; use such as 90s or 5m")
        })
    });
    let namespace = first(&flags.namespace, "--namespace", "KUBERNETES_NAMESPACE", file.namespace);
    let namespace = mistakes.check(namespace, |text| {
        let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        ensure!(
            text.len() <= 63
                && text.chars().all(|c| is_alphanumeric(c) || c == '-')
                && text.starts_with(is_alphanumeric)
                && text.ends_with(is_alphanumeric),
            "no namespace is called {text:?}: it takes up to 63 of a-z, 0-9 and `-`, the first and last no sign"
        );
        Ok(text.to_owned())
    });
    let manifests = first(&flags.manifests, "--manifests", "KUBERNETES_MANIFESTS", file.manifests);
    Some(KubernetesSettings {
        context: first(&flags.context, "--context", "KUBERNETES_CONTEXT", file.context).map(value),
        namespace,
        manifests: PathBuf::from(manifests.map_or_else(|| "k8s/overlays/production".to_owned(), value)),
        start_timeout: start_timeout?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flags: &KubernetesFlags, yaml: &str) -> anyhow::Result<KubernetesSettings> {
        let mut mistakes = Mistakes::default();
        let file = KubernetesFile::read(Some(workspace::yaml::parse(yaml)?), &mut mistakes);
        let settings = resolve(flags, file, &|_| None, &mut mistakes);
        mistakes.or(settings)
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let yaml = "context: live\nnamespace: site\nmanifests: deploy\nstart_timeout: 90s\n";
        let flags = KubernetesFlags {
            context: Some("other".to_owned()),
            namespace: Some(String::new()),
            ..KubernetesFlags::default()
        };
        let settings = resolved(&flags, yaml).unwrap();
        assert_eq!(settings.context.as_deref(), Some("other"));
        assert_eq!(settings.namespace.as_deref(), Some("site"));
        assert_eq!(settings.manifests, PathBuf::from("deploy"));
        assert_eq!(settings.start_timeout, Duration::from_secs(90));
        let settings = resolved(&KubernetesFlags::default(), "{}").unwrap();
        assert_eq!(settings.manifests, PathBuf::from("k8s/overlays/production"));
        assert_eq!(settings.start_timeout, Duration::from_secs(300));
    }

    #[test]
    fn what_no_cluster_would_take_is_a_mistake() {
        let long = "a".repeat(64);
        for (yaml, expected) in [
            ("namespace: site-2", None),
            ("namespace: 'Bad NS'", Some("no namespace is called \"Bad NS\"")),
            ("namespace: site.eu", Some("no namespace is called \"site.eu\"")),
            ("namespace: -site", Some("no namespace is called \"-site\"")),
            ("namespace: site-", Some("the first and last no sign")),
            (&format!("namespace: {long}"), Some("up to 63")),
            (&format!("namespace: {}", &long[1..]), None),
            (
                "start_timeout: soon",
                Some(
                    "line 1 column 16: the start timeout \"soon\" is no duration to wait; use such as 90s or 5m",
                ),
            ),
            ("start_timeout: 0s", Some("the start timeout \"0s\" is no duration to wait")),
            ("start_timeout: 1ms", None),
        ] {
            let told = resolved(&KubernetesFlags::default(), yaml).map_err(|error| error.to_string());
            match expected {
                None => assert!(told.is_ok(), "{yaml}: {told:?}"),
                Some(expected) => assert!(told.unwrap_err().contains(expected), "{yaml}"),
            }
        }
    }
}
