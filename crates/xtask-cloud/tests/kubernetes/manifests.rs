//! What k8s/ promises, read from its files: least rights, a job that is locked in, and a policy that names what the
//! overlay names.

use serde_json::{Value, json};

macro_rules! manifest {
    ($path:literal) => {
        read(include_str!(concat!("../../../../k8s/", $path)))
    };
}

fn read(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// The base with the lists of the overlay before its own, as kustomize merges them.
fn production() -> Value {
    let (mut job, overlay) = (manifest!("base/job.yaml"), manifest!("overlays/production/job.yaml"));
    let patch = &overlay["spec"]["template"]["spec"];
    let pod = &mut job["spec"]["template"]["spec"];
    pod["volumes"] = patch["volumes"].clone();
    let patch = &patch["containers"][0];
    let container = &mut pod["containers"][0];
    container["volumeMounts"] = patch["volumeMounts"].clone();
    let merged = [&patch["env"], &container["env"]].map(|list| list.as_array().unwrap().clone()).concat();
    container["env"] = json!(merged);
    job
}

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("no {what}"))
}

/// The policy admits exactly what the production overlay runs.
#[test]
fn the_policy_names_what_the_overlay_names() {
    let names = &manifest!("admission/parameters.yaml")["data"];
    let kustomization = manifest!("overlays/production/kustomization.yaml");
    assert_eq!(names["image"], kustomization["images"][0]["newName"]);
    let job = production();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(names["serviceAccount"], pod["serviceAccountName"]);
    assert_eq!(names["serviceAccount"], manifest!("base/service-account.yaml")["metadata"]["name"]);
    let container = &pod["containers"][0];
    let (mut environment, mut secrets) = (Vec::new(), std::collections::BTreeSet::new());
    for variable in container["env"].as_array().unwrap() {
        match variable["value"].as_str() {
            Some(value) => environment.push(format!("{}={value}", text(&variable["name"], "name"))),
            None => drop(secrets.insert(text(&variable["valueFrom"]["secretKeyRef"]["name"], "Secret"))),
        }
    }
    assert_eq!(text(&names["environment"], "environment").lines().collect::<Vec<_>>(), environment);
    assert_eq!(text(&names["secrets"], "secrets").split(' ').collect::<Vec<_>>(), Vec::from_iter(secrets));
    assert!(secrets_are_there(text(&names["secrets"], "secrets")));
    let mounts: Vec<_> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            format!(
                "configMap/{} {}",
                text(&volume["configMap"]["name"], "ConfigMap"),
                text(&mount["mountPath"], "path")
            )
        })
        .collect();
    assert_eq!(text(&names["mounts"], "mounts").lines().collect::<Vec<_>>(), mounts);
    let commands = text(&names["commands"], "commands");
    assert_eq!(commands, "upgrade downgrade current history stamp resolve", "all that the job knows");
}

fn secrets_are_there(names: &str) -> bool {
    let example = manifest!("secret.example.yaml");
    names.split(' ').all(|name| example["metadata"]["name"] == name)
}

/// Whatever can't be decided is refused, and nobody is left out.
#[test]
fn the_policy_fails_closed() {
    let policy = &manifest!("admission/policy.yaml");
    let spec = &policy["spec"];
    assert_eq!(spec["failurePolicy"], "Fail");
    assert_eq!(
        spec["matchConstraints"],
        json!({"resourceRules": [{"apiGroups": ["batch"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
            "resources": ["jobs"]}]})
    );
    let validations = spec["validations"].as_array().unwrap();
    assert!(validations.len() > 10);
    for validation in validations {
        let message = text(&validation["message"], "message");
        assert_eq!(validation["reason"], "Forbidden", "{message}");
        // Else it would read as a right that is missing.
        assert!(!message.contains(" cannot "), "{message}");
    }
    let binding = &manifest!("admission/binding.yaml")["spec"];
    assert_eq!(binding["policyName"], policy["metadata"]["name"]);
    assert_eq!(binding["validationActions"], json!(["Deny"]));
    assert_eq!(binding["paramRef"]["parameterNotFoundAction"], "Deny");
    assert_eq!(binding["paramRef"]["name"], manifest!("admission/parameters.yaml")["metadata"]["name"]);
    let names = &binding["matchResources"]["namespaceSelector"]["matchExpressions"];
    assert_eq!(
        *names,
        json!([{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["website"]}])
    );
}

/// With `create jobs` alone every Secret of a namespace can be read; more than this Role needs would be more than that.
#[test]
fn the_role_enters_no_pod_and_changes_no_run() {
    let role = manifest!("release/role.yaml");
    assert_eq!(role["kind"], "Role");
    for rule in role["rules"].as_array().unwrap() {
        let words = |key: &str| -> Vec<&str> {
            rule[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
        };
        let (resources, verbs) = (words("resources"), words("verbs"));
        let writes = verbs.iter().filter(|verb| !["get", "list", "watch"].contains(*verb));
        let writes: Vec<_> = writes.copied().collect();
        let expected: &[&str] = if resources == ["jobs"] { &["create", "delete"] } else { &[] };
        assert_eq!(writes, expected, "{resources:?}");
        let known = ["jobs", "pods", "pods/log", "events"];
        assert!(resources.iter().all(|resource| known.contains(resource)), "{resources:?}");
        assert!(words("apiGroups").iter().all(|group| ["", "batch"].contains(group)));
    }
    let binding = manifest!("release/role-binding.yaml");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(binding["subjects"].as_array().unwrap().len(), 1);
    assert_eq!(binding["subjects"][0]["kind"], "Group");
    let text = include_str!("../../../../k8s/release/kustomization.yaml");
    assert!(
        text.contains("every Secret") && text.contains("namespace of its own"),
        "it says what the rights are worth"
    );
}

/// Any address on port 53, and any on 5432, was a way out.
#[test]
fn the_network_leads_to_dns_and_the_database_alone() {
    let policy = manifest!("base/network-policy.yaml");
    let spec = &policy["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(spec["ingress"], Value::Null);
    assert_eq!(spec["podSelector"]["matchLabels"]["app.kubernetes.io/name"], "run-migrations");
    let dns = json!({
        "to": [{
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}
        }],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    });
    let nowhere = json!({
        "to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}],
        "ports": [{"port": 5432, "protocol": "TCP"}]
    });
    assert_eq!(spec["egress"], json!([dns, nowhere]));
    for overlay in
        [manifest!("overlays/production/kustomization.yaml"), manifest!("overlays/local/kustomization.yaml")]
    {
        let patches = overlay["patches"].as_array().unwrap();
        let of_network = patches.iter().find(|patch| patch["target"]["kind"] == "NetworkPolicy").unwrap();
        let operations = read(text(&of_network["patch"], "patch"));
        assert_eq!(operations[0]["path"], "/spec/egress/1/to", "the overlay says where");
        assert_eq!(operations.as_array().unwrap().len(), 1);
    }
}

/// What a container that is broken into would find.
#[test]
fn the_job_is_locked_in() {
    let account = manifest!("base/service-account.yaml");
    assert_eq!(account["automountServiceAccountToken"], false);
    let job = production();
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
    for key in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "initContainers"] {
        assert_eq!(pod[key], Value::Null, "{key}");
    }
    let user = &pod["securityContext"];
    assert_eq!(
        (&user["runAsNonRoot"], &user["seccompProfile"]["type"]),
        (&json!(true), &json!("RuntimeDefault"))
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true})
    );
    assert_eq!((&container["envFrom"], &container["command"]), (&Value::Null, &Value::Null));
    for (amounts, what) in
        [("requests", "memory"), ("requests", "cpu"), ("limits", "memory"), ("limits", "cpu")]
    {
        assert!(container["resources"][amounts][what].is_string(), "{amounts}.{what}");
    }
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount["readOnly"], true, "{mount}");
    }
}
