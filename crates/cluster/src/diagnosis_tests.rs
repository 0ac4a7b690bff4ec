use serde_json::json;

use super::*;
use crate::fixtures::{START, Story, terminated, waiting};
use crate::job_state::{Change, Update};

const PATIENCE: Duration = Duration::from_secs(300);

fn after(seconds: i64) -> Timestamp {
    let start: Timestamp = START.parse().unwrap();
    Timestamp::from_second(start.as_second() + seconds).unwrap()
}

fn pulling(said: &str) -> Story {
    let failed = format!("Failed to pull image \"host/job@sha256:ab\": {said}");
    Story::new()
        .pod("a")
        .on_node()
        .state(waiting("ImagePullBackOff", "Back-off pulling image \"host/job@sha256:ab\""))
        .pod_event("Failed", &failed)
        .pod_event("Failed", "Error: ErrImagePull")
        .pod_event("BackOff", "Back-off pulling image")
}

fn creating() -> Story {
    Story::new().pod("a").on_node().state(waiting("ContainerCreating", ""))
}

fn config_error(said: &str) -> Story {
    Story::new().pod("a").on_node().state(waiting("CreateContainerConfigError", said))
}

/// What is said, at once and when patience has run out: each a part of the reason and of the next step.
#[test]
fn each_trouble_has_its_reason_and_its_next_step() {
    const NEVER: (&str, &str) = ("never", "never");
    let not_found = "rpc error: code = NotFound desc = failed to pull and unpack image: not found";
    let no_auth = "failed to resolve reference: pull access denied, repository does not exist or may require \
                   authorization: authorization failed: no basic auth credentials";
    let down = "dial tcp 10.0.0.9:443: i/o timeout";
    let platform = "no match for platform in manifest: not found";
    let quota = "Error creating: pods \"migrate-a\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5";
    let security = "Error creating: pods \"migrate-a\" is forbidden: violates PodSecurity \"restricted:latest\": \
                    runAsNonRoot != true";
    let account = "Error creating: pods \"migrate-a\" is forbidden: error looking up service account \
                   site/run-migrations: serviceaccount \"run-migrations\" not found";
    let webhook = "Error creating: admission webhook \"policy.example\" denied the request: no label owner";
    let flaky = "Error creating: Internal error occurred: failed calling webhook: context deadline exceeded";
    let running = json!({"running": {"startedAt": "2026-11-23T12:00:05Z"}});
    let ended_late = json!({"terminated": {"exitCode": 0, "finishedAt": "2026-11-23T12:05:00Z"}});
    let pod_initializing = waiting("PodInitializing", "");
    for (story, at_once, later) in [
        (
            Story::new(),
            NEVER,
            (
                "no pod was made for the Job within 5m",
                "kubectl get events --namespace site --field-selector involvedObject.name=migrate-upgrade-0123456789`",
            ),
        ),
        (Story::new().suspended(), NEVER, ("suspended, and was not resumed within 5m", "Kueue")),
        (
            Story::new().pod("a").ended(terminated(143, "Error", "")).suspended(),
            NEVER,
            ("suspended, and was not resumed", "whoever suspends Jobs"),
        ),
        (Story::new().pod("a").running().suspended(), NEVER, NEVER),
        (
            Story::new().job_event("FailedCreate", quota),
            ("exceeded quota: small", "ResourceQuota"),
            ("quota", ""),
        ),
        (
            Story::new().job_event("FailedCreate", security),
            ("violates PodSecurity", "restricted"),
            ("", "restricted"),
        ),
        (
            Story::new().job_event("FailedCreate", account),
            ("serviceaccount", "kubectl apply -k"),
            ("", "apply -k"),
        ),
        (Story::new().job_event("FailedCreate", webhook), ("no label owner", "admission"), ("", "admission")),
        (Story::new().job_event("FailedCreate", flaky), NEVER, ("deadline exceeded", "kubectl describe")),
        (Story::new().job_event("FailedCreate", quota).pod("a").running(), NEVER, NEVER),
        (
            Story::new().pod("a").unscheduled("0/3 nodes are available: 3 Insufficient memory."),
            NEVER,
            ("no node takes the pod: 0/3 nodes", "make room"),
        ),
        (
            pulling(not_found),
            ("(ImagePullBackOff): Failed to pull image", "cargo xtask images"),
            ("NotFound", "images"),
        ),
        (
            pulling(no_auth),
            ("no basic auth", "no imagePullSecrets"),
            ("", "AmazonEC2ContainerRegistryPullOnly"),
        ),
        (
            pulling(no_auth).with_pull_secret("ecr"),
            ("no basic auth", "pulls with ecr: a token of ECR in there is good for 12 hours"),
            ("", "12 hours"),
        ),
        (pulling(platform), ("no match for platform", "--platform"), ("", "kubernetes.io/arch")),
        (pulling(down), NEVER, ("i/o timeout", "does not reach the registry")),
        (
            Story::new().pod("a").on_node().state(waiting(
                "ErrImageNeverPull",
                "Container image \"x\" is not present with pull policy of Never",
            )),
            ("not present", "kind load docker-image"),
            ("", "load"),
        ),
        (
            config_error("secret \"run-migrations\" not found"),
            ("secret \"run-migrations\" not found", "secret.example.yaml"),
            ("", "keys"),
        ),
        (
            config_error("couldn't find key password in Secret site/run-migrations"),
            ("couldn't find key password", "username and password"),
            ("", ""),
        ),
        (
            config_error("container has runAsNonRoot and image will run as root"),
            ("runAsNonRoot", "as root"),
            ("", ""),
        ),
        (
            Story::new()
                .pod("a")
                .on_node()
                .state(waiting("RunContainerError", "exec /run-migrations: exec format error")),
            ("exec format error", "--platform"),
            ("", "nodeSelector"),
        ),
        (
            Story::new()
                .pod("a")
                .on_node()
                .state(waiting("CreateContainerError", "exec: \"/run-migrations\": no such file")),
            ("no such file", "does it hold"),
            ("", ""),
        ),
        (
            creating().pod_event(
                "FailedMount",
                "MountVolume.SetUp failed for volume \"postgres-ca\" : configmap \"postgres-ca\" not found",
            ),
            ("configmap \"postgres-ca\" not found", "postgres-ca holds the certificates"),
            ("", ""),
        ),
        (
            creating().pod_event("FailedMount", "timed out waiting for the condition"),
            NEVER,
            ("timed out", "describe"),
        ),
        (creating(), NEVER, ("the node does not say why", "describe")),
        (
            creating().pod_event("FailedCreatePodSandBox", "plugin type=\"calico\" failed (add): no address"),
            NEVER,
            ("does not start: plugin type=\"calico\" failed", "network plugin"),
        ),
        (
            creating()
                .pod_event("FailedCreatePodSandBox", "container init was OOM-killed (memory limit too low?)"),
            ("OOM-killed", "limits.memory"),
            ("OOM-killed", "limits.memory"),
        ),
        (Story::new().pod("a").on_node().state(waiting("PodInitializing", "")), NEVER, NEVER),
        (
            Story::new()
                .pod("a")
                .initializing(&[waiting("ImagePullBackOff", "Back-off")])
                .pod_event("Failed", "Failed to pull image \"busybox:1\": busybox:1: not found"),
            ("(ImagePullBackOff): Failed to pull image \"busybox:1\"", "does not have this image"),
            ("busybox:1", "digest"),
        ),
        (
            Story::new().pod("a").initializing(&[waiting("ErrImagePull", down)]),
            NEVER,
            ("i/o timeout", "does not reach the registry"),
        ),
        (
            Story::new()
                .pod("a")
                .initializing(&[waiting("CreateContainerConfigError", "secret \"proxy\" not found")]),
            ("secret \"proxy\" not found", ""),
            ("", ""),
        ),
        // an init container that is at work, or was at work until now
        (Story::new().pod("a").initializing(&[running.clone(), pod_initializing.clone()]), NEVER, NEVER),
        (Story::new().pod("a").initializing(&[waiting("CrashLoopBackOff", "back-off 10s")]), NEVER, NEVER),
        (
            Story::new().pod("a").initializing(&[ended_late.clone(), waiting("ErrImagePull", down)]),
            NEVER,
            NEVER,
        ),
        (Story::new().pod("a").initializing(&[ended_late, pod_initializing.clone()]), NEVER, NEVER),
        (
            Story::new().pod("a").initializing(&[running, waiting("ErrImagePull", "not found")]),
            ("(ErrImagePull): not found", "digest"),
            ("", ""),
        ),
        (
            Story::new()
                .pod("a")
                .initializing(&[pod_initializing])
                .pod_event("FailedMount", "timed out waiting for the condition"),
            NEVER,
            ("timed out", "describe"),
        ),
        (
            Story::new().pod("a").ended(terminated(137, "OOMKilled", "")),
            ("want of memory (exit code 137, limit 64Mi)", "limits.memory"),
            ("", ""),
        ),
        // the one after it goes well
        (Story::new().pod("a").ended(terminated(137, "OOMKilled", "")).pod("b").running(), NEVER, NEVER),
        (
            config_error("failed to sync secret cache: timed out waiting for the condition"),
            NEVER,
            ("failed to sync secret cache", ""),
        ),
        (
            Story::new()
                .pod("a")
                .on_node()
                .state(waiting("CreateContainerError", "context deadline exceeded")),
            NEVER,
            ("context deadline exceeded", "kubectl describe"),
        ),
        (Story::new().pod("a").ended(terminated(4, "Error", "")), NEVER, NEVER),
        (Story::new().pod("a").running(), NEVER, NEVER),
        // what is over is no trouble
        (
            Story::new().pod("a").running().pod_event("FailedMount", "timed out waiting for the condition"),
            NEVER,
            NEVER,
        ),
        // digits of a digest are no status of a registry
        (
            pulling("host/job@sha256:401403: i/o timeout"),
            NEVER,
            ("i/o timeout", "does not reach the registry"),
        ),
    ] {
        for (seconds, (what, next)) in [(10, at_once), (301, later)] {
            let mut job_state = story.job_state();
            diagnose(&mut job_state, after(0), PATIENCE);
            match diagnose(&mut job_state, after(seconds), PATIENCE) {
                None => assert_eq!((what, next), NEVER, "after {seconds} s: {story:?}"),
                Some(trouble) => {
                    assert!(
                        (at_once, seconds) != (NEVER, 10) && (later != NEVER || seconds == 10),
                        "{trouble}"
                    );
                    assert!(trouble.what.contains(what) && trouble.next.contains(next), "{trouble}");
                }
            }
        }
    }
}

/// A drained node's pod may be gone before it was seen to end. The next one has its own time to come: the Job's age is no
/// trouble.
#[test]
fn patience_begins_anew_when_a_pod_is_gone() {
    let running = Story::new().pod("a").running();
    let mut job_state = running.job_state();
    assert_eq!(diagnose(&mut job_state, after(3600), PATIENCE), None);
    let pod = job_state.pods()[0].clone();
    job_state.take(Change::Pod(Update::Gone(Box::new(pod))));
    for (seconds, is_trouble) in [(3601, false), (3900, false), (3901, true)] {
        assert_eq!(diagnose(&mut job_state, after(seconds), PATIENCE).is_some(), is_trouble, "{seconds}");
    }
}

/// Whoever may create pods had xtask delete a Job in the middle of its migration: with a pod that runs something else, at
/// once, and with a twin of ours that gets no node, or is killed for want of memory.
#[test]
fn nothing_that_is_put_beside_a_working_pod_is_trouble() {
    let oom = || terminated(137, "OOMKilled", "");
    let other = || Story::new().pod("a").running().pod("b");
    for story in [
        other().unscheduled("0/3 nodes are available"),
        other().ended(oom()),
        other().on_node().state(waiting("ErrImagePull", "not found")),
        other().runs("busybox").unscheduled("0/3 nodes are available"),
        other().runs("busybox").ended(oom()),
        other().runs("busybox").running(),
        // Nor a pod that an admission rule changed: a migration may be under way in it.
        Story::new().pod("a").runs("busybox").running(),
        // Kubernetes pauses before it makes the next one.
        Story::new().pod("a").runs("busybox").ended(terminated(4, "Error", "")),
    ] {
        let mut job_state = story.job_state();
        for seconds in [0, 10, 301, 3600] {
            assert_eq!(diagnose(&mut job_state, after(seconds), PATIENCE), None, "{seconds}: {story:?}");
        }
    }
}

#[test]
fn a_foreign_pod_in_the_place_of_ours_that_never_starts_is_trouble_in_the_end() {
    let mut job_state = Story::new().pod("a").runs("busybox").unscheduled("no").job_state();
    assert_eq!(diagnose(&mut job_state, after(0), PATIENCE), None);
    let trouble = diagnose(&mut job_state, after(301), PATIENCE).unwrap();
    assert!(
        trouble.what.contains("was made within 5m: the pod migrate-upgrade-0123456789-a claims"),
        "{trouble}"
    );
}
