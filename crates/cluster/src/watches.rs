//! The watches of a run as one stream of changes. What is cut is listed anew, for as long as it takes.

use futures_util::stream::{Stream, StreamExt, select};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Error};

use super::cluster::{Cluster, selector};
use super::job_state::{Change, Update};

/// A watch that could not be kept, and what it was of.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) what: &'static str,
    pub(super) error: Error,
}

const JOBS: &str = "list and watch jobs";
const PODS: &str = "list and watch pods";
pub(super) const EVENTS: &str = "list and watch events";

impl Change {
    /// The watch that told it, as a cut names it.
    pub(super) fn told_by(&self) -> &'static str {
        match self {
            Self::Job(_) => JOBS,
            Self::Pod(_) => PODS,
            Self::Event(_) => EVENTS,
        }
    }
}

/// Of one Job, its pods, and the events around them.
pub(super) fn of_job(
    cluster: &Cluster,
    name: &str,
    uid: &str,
) -> impl Stream<Item = Result<Change, Cut>> + use<> {
    let jobs = Config::default().fields(&format!("metadata.name={name}"));
    watch(cluster, jobs, Config::default().labels(&selector(uid)))
}

/// Of all Jobs with these labels, which their pods have too.
pub(super) fn of_fleet(cluster: &Cluster, labels: &str) -> impl Stream<Item = Result<Change, Cut>> + use<> {
    watch(cluster, Config::default().labels(labels), Config::default().labels(labels))
}

fn watch(cluster: &Cluster, jobs: Config, pods: Config) -> impl Stream<Item = Result<Change, Cut>> + use<> {
    let events = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let jobs = changes(watcher(cluster.jobs(), jobs).default_backoff(), JOBS, Change::Job);
    let pods = changes(watcher(cluster.pods(), pods).default_backoff(), PODS, Change::Pod);
    let events = changes(watcher(events, Config::default()).default_backoff(), EVENTS, Change::Event);
    select(select(jobs, pods), events)
}

fn changes<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    what: &'static str,
    change: fn(Update<K>) -> Change,
) -> impl Stream<Item = Result<Change, Cut>> {
    let mut listed = Vec::new();
    events.filter_map(move |event| {
        let seen = match event {
            Ok(Event::Init) => {
                listed.clear();
                None
            }
            Ok(Event::InitApply(object)) => {
                listed.push(object);
                None
            }
            Ok(Event::InitDone) => Some(Ok(Update::All(std::mem::take(&mut listed)))),
            Ok(Event::Apply(object)) => Some(Ok(Update::One(Box::new(object)))),
            Ok(Event::Delete(object)) => Some(Ok(Update::Gone(Box::new(object)))),
            Err(error) => cause(error).map(|error| Err(Cut { what, error })),
        };
        std::future::ready(seen.map(|seen| seen.map(change)))
    })
}

/// A watch that is too old is listed anew at once, which is nothing to speak of.
fn cause(error: watcher::Error) -> Option<Error> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        watcher::Error::WatchError(status) if status.code == 410 => None,
        watcher::Error::WatchError(status) => Some(Error::Api(status)),
        watcher::Error::NoResourceVersion => None,
    }
}
