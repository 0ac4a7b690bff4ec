//! A pod's log, from its first line to its last, over as many streams as that takes.

use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Error;
use kube::api::LogParams;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::time::sleep;

use super::api_error::is_final;
use super::cluster::Cluster;
use super::cursor::Cursor;
use super::pod::{container, has_ended};

#[derive(Debug)]
pub(super) enum Said {
    LogLine(String),
    /// Nothing more will come, and nothing is missing.
    End,
    /// Nothing more will come of this pod, and something may be missing.
    Lost {
        pod: String,
        error: Error,
    },
}

/// How long a stream may be silent when the run is over: the way to a node may have been lost without a word, and what
/// was written since is then asked for anew.
const SILENCE: Duration = Duration::from_secs(3);

/// Reads until the container has ended and all was read. A receiver that is gone ends it too. `over` tells that the
/// run is.
pub(super) async fn read(cluster: Cluster, pod: Pod, said: Sender<Said>, over: watch::Receiver<bool>) {
    let (uid, pod) = (pod.metadata.uid, pod.metadata.name.unwrap_or_default());
    let mut reader = Reader { cluster, pod, uid, said, over, cursor: Cursor::default() };
    let end = match reader.follow().await {
        Ok(()) => Said::End,
        Err(error) => Said::Lost { pod: reader.pod, error },
    };
    // Nobody listens any more.
    let _ = reader.said.send(end).await;
}

struct Reader {
    cluster: Cluster,
    pod: String,
    /// Another pod of this name is another one.
    uid: Option<String>,
    said: Sender<Said>,
    over: watch::Receiver<bool>,
    cursor: Cursor,
}

impl Reader {
    async fn follow(&mut self) -> Result<(), Error> {
        let mut failures = 0;
        loop {
            // Asked before the stream begins: what the container wrote until then is in it.
            let (ended, container) = match self.cluster.pods().get_opt(&self.pod).await {
                Ok(Some(pod)) if pod.metadata.uid == self.uid => {
                    (has_ended(&pod), container(&pod).map(|status| status.name.clone()))
                }
                Ok(_) => return Err(gone(&self.pod)),
                Err(error) if is_final(&error) => return Err(error),
                Err(_) => (false, None),
            };
            let parameters = LogParams {
                container,
                follow: !ended,
                since_time: self.cursor.resume(),
                timestamps: true,
                ..LogParams::default()
            };
            match self.stream(&parameters).await {
                Ok(()) if ended => return Ok(()),
                Ok(()) => failures = 0,
                Err(error) if is_final(&error) || self.said.is_closed() => return Err(error),
                // The container has ended, and its node may be gone for good.
                Err(error) if ended && failures >= 5 => return Err(error),
                Err(_) => failures += 1,
            }
            sleep(Duration::from_millis(300)).await;
        }
    }

    /// To its end, or to where it falls silent.
    async fn stream(&mut self, parameters: &LogParams) -> Result<(), Error> {
        let mut lines = self.cluster.pods().log_stream(&self.pod, parameters).await?.lines();
        loop {
            let line = tokio::select! {
                line = lines.try_next() => line.map_err(Error::ReadEvents)?,
                () = silence(&mut self.over), if parameters.follow => None,
            };
            let Some(line) = line else { return Ok(()) };
            if let Some(text) = self.cursor.take(&line) {
                // A receiver that is gone is noticed by the caller.
                let _ = self.said.send(Said::LogLine(text.to_owned())).await;
            }
        }
    }
}

async fn silence(over: &mut watch::Receiver<bool>) {
    // Nobody follows any more where this fails.
    let _ = over.wait_for(|over| *over).await;
    sleep(SILENCE).await;
}

fn gone(pod: &str) -> Error {
    let status = kube::core::Status::failure(&format!("pods {pod:?} not found"), "NotFound").with_code(404);
    Error::Api(Box::new(status))
}
