//! An engine that says it keeps images in containerd's store, as Engine 29 does. What it then answers to a push is in the
//! tables of `docker/push.rs`; here it is our side that counts.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::support::emulator::{Repository, address};
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::run;
use crate::{IMAGE, Push, docker};

const SOCKET: &str = "/var/run/docker.sock";

/// What the engine says of itself.
fn info() -> Value {
    let mut stream = UnixStream::connect(SOCKET).unwrap();
    stream.write_all(b"GET /info HTTP/1.0\r\nhost: docker\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A push through an engine that calls its store so; the size of the archive it was given, and the image's config.
fn pushed(push: &Push, test: &str, store: &Value) -> (usize, String) {
    let repository = Repository::created(test, "MUTABLE");
    let mut info = info();
    info["DriverStatus"] = store.clone();
    let fault = Fault::Answer { status: 200, kind: "application/json", body: info.to_string() };
    let rule = Rule { holding: "GET /info", times: 9, fault };
    let proxy = Proxy::start(Server::Unix(SOCKET.to_owned()), vec![rule]);
    // Whatever was built before is not sent again.
    let _ = run(std::process::Command::new("docker").args(["image", "rm", IMAGE]));
    let mut command = push.command("--json", &address());
    command.env("DOCKER_HOST", format!("tcp://{}", proxy.address)).env("ECR_REPOSITORY", repository.0);
    let out = run(&mut command).succeeded().said(&[" binary ", " migrations ", "Verified"]);
    let result: Value = serde_json::from_str(&out.stdout).unwrap();
    // The engine remembers what it has pushed to this registry.
    let count = |name: &str| result["action"][name].as_u64().unwrap();
    assert_eq!(count("layersPushed") + count("layersInRegistry"), 2, "{result}");
    let heads = proxy.heads();
    let load = heads.iter().find(|head| head.starts_with("POST /images/load")).unwrap();
    let length = load.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    (length.parse().unwrap(), docker(&["image", "inspect", "--format", "{{.Id}}", IMAGE]))
}

#[test]
fn an_engine_that_uploads_layers_as_it_got_them_gets_them_small() {
    let push = Push::to(Repository::named("unused"));
    let (plain, image) = pushed(&push, "own-store", &json!([["Backing Filesystem", "extfs"]]));
    let store = json!([["driver-type", "io.containerd.snapshotter.v1"]]);
    let (small, same) = pushed(&push, "containerd-store", &store);
    assert!(small < plain / 2, "{small} of {plain}");
    assert_eq!(image, same, "it is one image, however it is packed");
}
