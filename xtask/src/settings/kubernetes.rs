//! Where in which cluster the job runs, and from which manifests.

#[cfg(feature = "cloud")]
use std::path::PathBuf;
#[cfg(feature = "cloud")]
use std::time::Duration;

use serde::Deserialize;

/// What may be typed or set in the environment.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct KubernetesFlags {
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
    /// How long a pod may wait for a node or its image before the run is given up [default: 5m]
    #[arg(long, env = "KUBERNETES_START_TIMEOUT", value_name = "DURATION", hide_env_values = true)]
    start_timeout: Option<String>,
}

/// `kubernetes` in `xtask/release.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KubernetesFile {
    context: Option<String>,
    namespace: Option<String>,
    manifests: Option<String>,
    start_timeout: Option<String>,
}

/// What the task runs on.
#[cfg(feature = "cloud")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KubernetesSettings {
    pub(crate) context: Option<String>,
    pub(crate) namespace: Option<String>,
    /// Relative to the root of the checkout, or absolute.
    pub(crate) manifests: PathBuf,
    pub(crate) start_timeout: Duration,
}

#[cfg(feature = "cloud")]
pub(super) fn resolve(flags: &KubernetesFlags, file: KubernetesFile) -> anyhow::Result<KubernetesSettings> {
    use anyhow::Context;

    let first = |flag: &Option<String>, file: Option<String>| {
        let set = |value: &String| !value.is_empty();
        flag.clone().filter(set).or(file.filter(set))
    };
    let start_timeout = first(&flags.start_timeout, file.start_timeout).unwrap_or_else(|| "5m".to_owned());
    Ok(KubernetesSettings {
        context: first(&flags.context, file.context),
        namespace: first(&flags.namespace, file.namespace),
        manifests: first(&flags.manifests, file.manifests)
            .map_or_else(|| PathBuf::from("k8s/overlays/production"), PathBuf::from),
        start_timeout: humantime::parse_duration(&start_timeout).with_context(|| {
            format!("the start timeout {start_timeout:?} is no duration; use such as 90s or 5m")
        })?,
    })
}

#[cfg(all(test, feature = "cloud"))]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_wins() {
        let file = |yaml: &str| serde_yaml::from_str::<KubernetesFile>(yaml).unwrap();
        let yaml = "context: live\nnamespace: site\nmanifests: deploy\nstart_timeout: 90s\n";
        let flags = KubernetesFlags {
            context: Some("other".to_owned()),
            namespace: Some(String::new()),
            ..KubernetesFlags::default()
        };
        let settings = resolve(&flags, file(yaml)).unwrap();
        assert_eq!(settings.context.as_deref(), Some("other"));
        assert_eq!(settings.namespace.as_deref(), Some("site"));
        assert_eq!(settings.manifests, PathBuf::from("deploy"));
        assert_eq!(settings.start_timeout, Duration::from_secs(90));
        let settings = resolve(&KubernetesFlags::default(), file("{}")).unwrap();
        assert_eq!(settings.manifests, PathBuf::from("k8s/overlays/production"));
        assert_eq!(settings.start_timeout, Duration::from_secs(300));
        let error = resolve(&KubernetesFlags::default(), file("start_timeout: soon")).unwrap_err();
        assert_eq!(error.to_string(), "the start timeout \"soon\" is no duration; use such as 90s or 5m");
    }
}
