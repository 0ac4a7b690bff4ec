//! Whole conversations with the API server, request by request.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock::{self, Handle};

use super::cluster::{Cluster, Start};
use super::fixtures::{JOB_NAME, JOB_UID, Story, terminated, waiting};
use super::follow::{FollowEnd, follow};
use super::manifest::Manifest;
use workspace::process::Signals;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;
type Server = Handle<Request<Body>, Answer>;

fn cluster() -> (Cluster, Server) {
    let (service, server) = mock::pair::<Request<Body>, Answer>();
    let client = Client::new(service, "site");
    (Cluster { client, namespace: "site".to_owned(), name: "test".to_owned() }, server)
}

fn response(code: u16, text: impl Into<Bytes>) -> Answer {
    let body = Full::new(text.into()).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(code).body(body).unwrap()
}

fn refusal(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason})
}

/// Answers each request in turn; a request that differs from the expected one fails the test.
async fn converse(mut server: Server, turns: Vec<(&'static str, u16, Value)>) -> Vec<Value> {
    let mut bodies = Vec::new();
    for (expected, code, answer) in turns {
        let (request, send) = server.next_request().await.expect("there is another request");
        let path = request.uri().path().trim_start_matches("/apis/batch/v1/namespaces/site/");
        assert_eq!(format!("{} {path}", request.method()), expected);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        bodies.push(serde_json::from_slice(&body).unwrap_or_default());
        send.send_response(response(code, answer.to_string()));
    }
    bodies
}

#[tokio::test]
async fn a_job_is_created_attached_to_or_replaced() {
    let get = "GET jobs/migrate-upgrade-0123456789";
    let delete = "DELETE jobs/migrate-upgrade-0123456789";
    let absent = || (get, 404, refusal(404, "NotFound"));
    let running = || Story::new().pod("a").running().job();
    let finished = || Story::new().pod("a").ended(terminated(0, "Completed", "")).complete().job();
    for (turns, start) in [
        (vec![absent(), ("POST jobs", 201, running())], Start::Created),
        (vec![(get, 200, running())], Start::Attached),
        (
            vec![
                (get, 200, finished()),
                (delete, 200, finished()),
                (get, 200, finished()),
                absent(),
                absent(),
                ("POST jobs", 201, running()),
            ],
            Start::Replaced,
        ),
        // somebody else was quicker
        (
            vec![absent(), ("POST jobs", 409, refusal(409, "AlreadyExists")), (get, 200, running())],
            Start::Attached,
        ),
        // on its way out
        (
            vec![(get, 200, Story::new().leaving().job()), absent(), absent(), ("POST jobs", 201, running())],
            Start::Created,
        ),
    ] {
        let (cluster, server) = cluster();
        let server = tokio::spawn(converse(server, turns));
        let manifest = Manifest { name: JOB_NAME.to_owned(), job: running() };
        let (_, found) = cluster.start(&manifest).await.unwrap();
        assert_eq!(found, start);
        let bodies = server.await.unwrap();
        if start == Start::Replaced {
            assert_eq!(
                bodies[1]["preconditions"]["uid"], JOB_UID,
                "this very one, and not another of its name"
            );
            assert_eq!(bodies[1]["propagationPolicy"], "Foreground");
        }
    }
}

#[tokio::test]
async fn a_refused_job_is_explained() {
    for (code, said, expected) in [
        (403, "User \"ci\" cannot create resource \"jobs\"", "not allowed to create jobs"),
        (403, "exceeded quota: small", "raise the ResourceQuota"),
        (403, "violates the policy of the cluster", "an admission rule"),
        (422, "spec.template: invalid", "finds the Job wrong"),
    ] {
        let (cluster, server) = cluster();
        let turns = vec![
            ("GET jobs/migrate-upgrade-0123456789", 404, refusal(404, "NotFound")),
            ("POST jobs", code, refusal(code, said)),
        ];
        let server = tokio::spawn(converse(server, turns));
        let manifest = Manifest { name: JOB_NAME.to_owned(), job: Story::new().job() };
        let error = cluster.start(&manifest).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(said), "{error}");
        server.await.unwrap();
    }
}

/// Answers lists with the story, watches with nothing to come, logs with a line.
async fn tell(mut server: Server, story: Story) {
    while let Some((request, send)) = server.next_request().await {
        let (path, query) =
            (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
        let answer = if query.contains("watch=true") {
            let never = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
            Response::new(StreamBody::new(never).boxed_unsync())
        } else if path.ends_with("/log") {
            response(200, "2026-11-23T12:00:07.000000001Z said\n")
        } else {
            match story.answer(&path) {
                Some(body) => response(200, body.to_string()),
                None => response(404, refusal(404, "NotFound").to_string()),
            }
        };
        send.send_response(answer);
    }
}

async fn told(story: Story) -> String {
    let (cluster, server) = cluster();
    let job = serde_json::from_value(story.job()).unwrap();
    let server = tokio::spawn(tell(server, story));
    let mut signals = Signals::listen().unwrap();
    let end = follow(&cluster, job, Duration::from_secs(300), &mut signals).await.unwrap();
    server.abort();
    match end {
        FollowEnd::Finished { outcome, log } => {
            format!("{} {log:?} {}", outcome.exit_code, outcome.failure.unwrap_or_default())
        }
        FollowEnd::Stuck(trouble) => trouble.to_string(),
        FollowEnd::Deleted(last) => format!("deleted: {last}"),
        FollowEnd::Left(signal) => format!("left: {signal:?}"),
    }
}

#[tokio::test]
async fn each_failure_ends_the_following() {
    let verdict = r#"{"exit_code":5,"message":"no"}"#;
    let pod = || Story::new().pod("a");
    let waits = |reason: &str, message: &str| pod().on_node().state(waiting(reason, message));
    for (story, expected) in [
        (pod().ended(terminated(0, "Completed", r#"{"exit_code":0}"#)).complete(), "0 Whole "),
        (
            pod().ended(terminated(5, "Error", verdict)).failed("PodFailurePolicy", ""),
            "5 Whole the job ended with exit code 5",
        ),
        (
            pod().ended(terminated(143, "Error", "")).failed("DeadlineExceeded", ""),
            "143 Whole the run took longer",
        ),
        (Story::new().failed("DeadlineExceeded", ""), "1 Torn the run took longer"),
        (pod().ended(terminated(137, "OOMKilled", "")), "the job was killed for want of memory"),
        (waits("ErrImagePull", "not found"), "the image can't be pulled (ErrImagePull): not found"),
        (waits("ImagePullBackOff", "401 Unauthorized"), "the image can't be pulled (ImagePullBackOff): 401"),
        (
            waits("CreateContainerConfigError", "secret \"x\" not found"),
            "the container can't be configured: secret",
        ),
        (waits("RunContainerError", "exec format error"), "the container can't start: exec format error"),
        // the story began longer ago than patience lasts
        (pod().unscheduled("0/3 nodes are available"), "no node takes the pod: 0/3 nodes are available"),
        (
            Story::new().job_event("FailedCreate", "is forbidden: exceeded quota: q"),
            "no pod can be made: is forbidden: exceeded",
        ),
        (
            Story::new().job_event("FailedCreate", "violates PodSecurity \"restricted\""),
            "no pod can be made: violates",
        ),
        (pod().ended(terminated(143, "Error", "")).deleted(), "deleted: "),
    ] {
        let text = told(story).await;
        assert!(text.starts_with(expected), "{text}");
    }
}
