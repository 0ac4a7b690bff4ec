//! A small API server: it keeps Jobs, pods, events and logs, serves lists, watches and log streams of them, and can be
//! told to refuse or to cut. What happens in the cluster is a script, which begins when a Job is created.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// Time as the API server writes it, so many seconds after the test began.
fn time(second: u64) -> String {
    static START: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);
    let seconds = START.as_second() + i64::try_from(second).unwrap();
    Timestamp::from_second(seconds).unwrap().to_string()
}

#[derive(Default)]
pub(crate) struct State {
    /// By resource and name.
    pub(super) objects: BTreeMap<(&'static str, String), Value>,
    /// All that ever happened, for watches.
    pub(super) history: Vec<(&'static str, &'static str, Value)>,
    pub(super) logs: BTreeMap<String, (Vec<String>, bool)>,
    pub(crate) requests: Vec<String>,
    pub(super) rules: Vec<Rule>,
    uids: usize,
}

/// What the server does to a request instead of answering it.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// `METHOD /path-part`, and a part of the query behind a `?`.
    pub(crate) on: &'static str,
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Refuse {
        code: u16,
        message: &'static str,
    },
    /// The stream ends after so many lines or events.
    CutAfter(usize),
    /// As `CutAfter`, without the end that HTTP prescribes.
    BreakAfter(usize),
    /// What was asked is done, and the answer lost.
    Lose,
    /// An admission rule sets this field, named by its JSON pointer, before the object is kept.
    Admit {
        pointer: &'static str,
        value: &'static str,
    },
    /// So many lines or events, and then nothing, without an end.
    HangAfter(usize),
}

#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<(Mutex<State>, Condvar)>,
    pub(crate) port: u16,
}

pub(super) type Script = Arc<dyn Fn(&Api, &str) + Send + Sync>;

impl Api {
    pub(crate) fn start(rules: Vec<Rule>, script: impl Fn(&Api, &str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { rules, ..State::default() };
        let api = Self { state: Arc::new((Mutex::new(state), Condvar::new())), port };
        let (server, script): (_, Script) = (api.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, script) = (server.clone(), script.clone());
                thread::spawn(move || server.serve(stream.unwrap(), &script));
            }
        });
        api
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
        result
    }

    /// Each request as `METHOD path?query`, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.with(|state| state.requests.clone())
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.contains(part)).count()
    }

    pub(crate) fn job_names(&self) -> Vec<String> {
        self.with(|state| {
            let jobs = state.objects.keys().filter(|(resource, _)| *resource == "jobs");
            jobs.map(|(_, name)| name.clone()).collect()
        })
    }

    pub(crate) fn object(&self, resource: &'static str, name: &str) -> Value {
        self.with(|state| state.objects.get(&(resource, name.to_owned())).cloned().unwrap_or_default())
    }

    fn put(&self, resource: &'static str, name: &str, change: impl FnOnce(&mut Value)) {
        self.with(|state| {
            let version = state.history.len() + 1;
            let key = (resource, name.to_owned());
            let kind = if state.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
            let object = state.objects.entry(key).or_insert_with(|| json!({}));
            change(object);
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            let object = object.clone();
            state.history.push((resource, kind, object));
        });
    }

    /// What somebody does to an object.
    pub(crate) fn change(&self, resource: &'static str, name: &str, change: impl FnOnce(&mut Value)) {
        self.put(resource, name, change);
    }

    pub(crate) fn remove(&self, resource: &'static str, name: &str) {
        self.with(|state| {
            let version = state.history.len() + 1;
            if let Some(mut object) = state.objects.remove(&(resource, name.to_owned())) {
                object["metadata"]["resourceVersion"] = json!(version.to_string());
                state.history.push((resource, "DELETED", object));
            }
        });
    }

    /// A pod of the Job, scheduled.
    pub(crate) fn pod(&self, job: &str, suffix: &str) -> String {
        let of = self.object("jobs", job);
        let uid = of["metadata"]["uid"].clone();
        let mut labels = of["spec"]["template"]["metadata"]["labels"].clone();
        labels["batch.kubernetes.io/controller-uid"] = uid.clone();
        let name = format!("{job}-{suffix}");
        let number = self.with(|state| {
            state.logs.insert(name.clone(), (Vec::new(), false));
            state.logs.len() as u64
        });
        self.put("pods", &name, |pod| {
            *pod = json!({
                "metadata": {"name": name, "namespace": "site", "uid": format!("uid-{name}"), "creationTimestamp": time(number),
                    "labels": labels,
                    "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": uid, "controller": true}]},
                "spec": of["spec"]["template"]["spec"],
                "status": {"phase": "Pending"}});
            pod["metadata"]["annotations"] = of["spec"]["template"]["metadata"]["annotations"].clone();
            pod["spec"]["nodeName"] = json!("node-1");
        });
        name
    }

    pub(crate) fn state(&self, pod: &str, phase: &str, state: Value) {
        self.put("pods", pod, |object| {
            let conditions = object["status"]["conditions"].clone();
            object["status"] = json!({"phase": phase, "conditions": conditions, "containerStatuses": [{"name": "migrate", "image": "x", "imageID": "",
                "ready": false, "restartCount": 0, "state": state}]});
        });
    }

    pub(crate) fn disrupt(&self, pod: &str, reason: &str, message: &str) {
        self.put("pods", pod, |object| {
            object["status"]["conditions"] =
                json!([{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]);
        });
    }

    pub(crate) fn put_unschedulable(&self, pod: &str) {
        self.put("pods", pod, |object| {
            object["spec"].as_object_mut().unwrap().remove("nodeName");
            object["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient memory.", "lastTransitionTime": time(0)}]);
        });
    }

    pub(crate) fn running(&self, pod: &str) {
        self.state(pod, "Running", json!({"running": {"startedAt": time(5)}}));
    }

    pub(crate) fn log(&self, pod: &str, line: &str) {
        self.with(|state| {
            let (lines, _) = state.logs.get_mut(pod).unwrap();
            lines.push(format!("2026-11-23T12:00:{:02}.{:09}Z {line}", 10 + lines.len() / 3, lines.len()));
        });
    }

    pub(crate) fn end(&self, pod: &str, code: i32, reason: &str, message: &Value) {
        self.with(|state| state.logs.get_mut(pod).unwrap().1 = true);
        let message = if message.is_null() { String::new() } else { message.to_string() };
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let finished = self.with(|state| time(20 + state.history.len() as u64));
        self.state(
            pod,
            phase,
            json!({"terminated": {"exitCode": code, "reason": reason, "message": message,
            "startedAt": time(5), "finishedAt": finished}}),
        );
    }

    pub(crate) fn condition(&self, job: &str, kind: &str, reason: &str, message: &str) {
        self.put("jobs", job, |object| {
            let condition = json!({"type": kind, "status": "True", "reason": reason, "message": message});
            match object["status"]["conditions"].as_array_mut() {
                Some(conditions) => conditions.push(condition),
                None => object["status"]["conditions"] = json!([condition]),
            }
        });
    }

    pub(crate) fn event(&self, kind: &str, name: &str, uid: &Value, reason: &str, message: &str) {
        let number = self.with(|state| state.history.len());
        let id = format!("{name}.{number}");
        self.put("events", &id, |event| {
            *event = json!({"metadata": {"name": id, "namespace": "site"}, "type": "Warning", "reason": reason, "message": message,
                "involvedObject": {"kind": kind, "name": name, "uid": uid}, "lastTimestamp": time(number as u64)});
        });
    }

    /// As the API server keeps it, with the name of who wrote it.
    pub(crate) fn create(&self, name: &str, body: &Value, manager: &str) {
        let uid = self.with(|state| {
            state.uids += 1;
            format!("uid-of-job-{}", state.uids)
        });
        self.put("jobs", name, |job| {
            *job = body.clone();
            job["metadata"]["uid"] = json!(uid);
            job["metadata"]["creationTimestamp"] = json!(time(0));
            job["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Update", "apiVersion": "batch/v1",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:template": {}}}}]);
            job["status"] = json!({});
        });
    }

    /// The most Jobs that were under way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        let finished = |job: &Value| {
            let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
            conditions
                .into_iter()
                .any(|condition| condition["type"] == "Complete" || condition["type"] == "Failed")
        };
        let mut under_way = std::collections::BTreeSet::new();
        let history = self.with(|state| state.history.clone());
        let jobs = history.iter().filter(|(resource, ..)| *resource == "jobs");
        jobs.map(|(_, kind, job)| {
            let name = job["metadata"]["name"].to_string();
            if *kind == "DELETED" || finished(job) {
                under_way.remove(&name);
            } else {
                under_way.insert(name);
            }
            under_way.len()
        })
        .max()
        .unwrap_or(0)
    }

    /// Until a request with these parts, divided by `?`, has come.
    pub(crate) fn wait_for(&self, request: &str) {
        self.wait(|state| {
            state.requests.iter().any(|seen| request.split('?').all(|part| seen.contains(part))).then_some(())
        });
    }

    pub(crate) fn wait<T>(&self, ready: impl Fn(&State) -> Option<T>) -> T {
        let mut state = self.state.0.lock().unwrap();
        loop {
            if let Some(found) = ready(&state) {
                return found;
            }
            state = self.state.1.wait_timeout(state, Duration::from_secs(60)).unwrap().0;
        }
    }
}
