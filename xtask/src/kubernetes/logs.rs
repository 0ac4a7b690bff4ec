//! A pod's log, from its first line to its last, over as many streams as that takes.

use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use kube::Error;
use kube::api::LogParams;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::cluster::Cluster;
use super::cursor::Cursor;
use super::refusal::is_final;
use super::sight::{container, has_ended};

/// What a log says.
#[derive(Debug)]
pub(super) enum Said {
    Line(String),
    /// Nothing more will come, and nothing is missing.
    End,
    /// Nothing more will come of this pod, and something may be missing.
    Lost {
        pod: String,
        error: Error,
    },
}

/// Reads until the container has ended and all was read. A receiver that is gone ends it too.
pub(super) async fn read(cluster: Cluster, pod: String, said: Sender<Said>) {
    let end = match follow(&cluster, &pod, &said).await {
        Ok(()) => Said::End,
        Err(error) => Said::Lost { pod, error },
    };
    // Nobody listens any more.
    let _ = said.send(end).await;
}

async fn follow(cluster: &Cluster, pod: &str, said: &Sender<Said>) -> Result<(), Error> {
    let mut cursor = Cursor::default();
    let mut failures = 0;
    loop {
        // Asked before the stream begins: what the container wrote until then is in it.
        let (ended, container) = match cluster.pods().get_opt(pod).await {
            Ok(Some(pod)) => (has_ended(&pod), container(&pod).map(|status| status.name.clone())),
            Ok(None) => return Err(gone(pod)),
            Err(error) if is_final(&error) => return Err(error),
            Err(_) => (false, None),
        };
        let parameters = LogParams {
            container,
            follow: !ended,
            since_time: cursor.resume(),
            timestamps: true,
            ..LogParams::default()
        };
        match stream(cluster, pod, &parameters, &mut cursor, said).await {
            Ok(()) if ended => return Ok(()),
            Ok(()) => failures = 0,
            Err(error) if is_final(&error) || said.is_closed() => return Err(error),
            // The container has ended, and its node may be gone for good.
            Err(error) if ended && failures >= 5 => return Err(error),
            Err(_) => failures += 1,
        }
        sleep(Duration::from_millis(300)).await;
    }
}

async fn stream(
    cluster: &Cluster,
    pod: &str,
    parameters: &LogParams,
    cursor: &mut Cursor,
    said: &Sender<Said>,
) -> Result<(), Error> {
    let mut lines = cluster.pods().log_stream(pod, parameters).await?.lines();
    while let Some(line) = lines.try_next().await.map_err(Error::ReadEvents)? {
        if let Some(text) = cursor.take(&line) {
            // A receiver that is gone is noticed by the caller.
            let _ = said.send(Said::Line(text.to_owned())).await;
        }
    }
    Ok(())
}

fn gone(pod: &str) -> Error {
    let status = kube::core::Status::failure(&format!("pods {pod:?} not found"), "NotFound").with_code(404);
    Error::Api(Box::new(status))
}
