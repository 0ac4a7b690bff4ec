//! What has been seen of one Job: the Job itself, its pods, and what was said about them. Fed by watches, which repeat
//! themselves and leave out what happened while they were cut.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::Timestamp;

use super::foreign::{Foreign, PodStage};
use super::pod::{controller, has_ended, has_started, uid};
use super::same_pod::difference_of_pod;

/// How long a pod may take to be seen to have ended after its Job was.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(super) enum Update<T> {
    /// All there is, in place of what was known.
    All(Vec<T>),
    One(Box<T>),
    Gone(Box<T>),
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Job(Update<Job>),
    Pod(Update<Pod>),
    Event(Update<Event>),
}

/// How far a Job's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    NotYet,
    /// It is finished, and a pod of it was not seen to be.
    Settling,
    Over,
}

#[derive(Debug, Clone)]
pub(super) struct JobState {
    uid: String,
    job: Option<Job>,
    /// When the Job was first looked at and found finished.
    finished: Option<Instant>,
    has_listed_pods: bool,
    /// Since when it was looked at and had no pod that could get further.
    without_pod: Option<Timestamp>,
    /// By UID: a replaced pod may have its predecessor's name.
    pods: BTreeMap<String, Pod>,
    /// By UID: pods that are said to be this Job's, and do not run what it says.
    foreign: BTreeMap<String, Foreign>,
    events: BTreeMap<String, Event>,
}

impl JobState {
    pub(super) fn of(job: Job) -> Self {
        Self {
            uid: job.metadata.uid.clone().unwrap_or_default(),
            job: Some(job),
            finished: None,
            has_listed_pods: false,
            without_pod: None,
            pods: BTreeMap::new(),
            foreign: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    /// Takes in what concerns this Job. A Job of the same name with another UID is another one.
    pub(super) fn take(&mut self, change: Change) {
        match change {
            Change::Job(Update::All(jobs)) => {
                let found = jobs.into_iter().find(|job| self.is_ours(job));
                self.job = found.or_else(|| self.job.take().filter(is_finished));
            }
            Change::Job(Update::One(job)) if self.is_ours(&job) => self.job = Some(*job),
            // How it ended stays true.
            Change::Job(Update::Gone(job)) if self.is_ours(&job) => self.job = Some(*job).filter(is_finished),
            Change::Job(_) => {}
            Change::Pod(Update::All(pods)) => {
                self.has_listed_pods = true;
                self.pods.retain(|_, pod| has_ended(pod));
                self.foreign.values_mut().for_each(leave);
                pods.into_iter().for_each(|pod| self.take_pod(pod));
            }
            Change::Pod(Update::One(pod)) => self.take_pod(*pod),
            // What its job left as verdict stays true. Past its deadline a Job deletes its pods before it is finished.
            Change::Pod(Update::Gone(pod)) if has_ended(&pod) => self.take_pod(*pod),
            Change::Pod(Update::Gone(pod)) => {
                self.pods.remove(&uid(&pod));
                self.foreign.get_mut(&uid(&pod)).into_iter().for_each(leave);
            }
            Change::Event(Update::All(events)) => events.into_iter().for_each(|event| self.take_event(event)),
            Change::Event(Update::One(event)) => self.take_event(*event),
            // Events expire; what they said stays true.
            Change::Event(Update::Gone(_)) => {}
        }
    }

    fn is_ours(&self, job: &Job) -> bool {
        job.metadata.uid.as_ref() == Some(&self.uid)
    }

    /// Labels are anybody's; the Job's controller names the Job as the one controller of its pods. Whoever may create
    /// pods can write that too, so what runs in it has to be what the Job says.
    fn take_pod(&mut self, pod: Pod) {
        if controller(&pod).is_none_or(|owner| owner.uid != self.uid) {
            return;
        }
        // What ran something else once is not believed again.
        if let Some(known) = self.foreign.get_mut(&uid(&pod)) {
            known.stage = PodStage::of(&pod);
            return;
        }
        match self.job.as_ref().and_then(|job| difference_of_pod(job, &pod)) {
            Some(difference) => {
                self.pods.remove(&uid(&pod));
                self.foreign.insert(uid(&pod), Foreign::new(&pod, difference));
            }
            None => {
                self.pods.insert(uid(&pod), pod);
            }
        }
    }

    /// Pods that are not to be believed.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &Foreign> {
        self.foreign.values()
    }

    /// What is to be said of those that nobody was told of yet.
    pub(super) fn untold(&mut self) -> Vec<String> {
        let untold = self.foreign.values_mut().filter(|foreign| !foreign.is_told);
        untold
            .map(|foreign| {
                foreign.is_told = true;
                foreign.warning()
            })
            .collect()
    }

    /// Whether a container runs in which migrations may be under way, be it in a pod that is not to be believed.
    pub(super) fn is_at_work(&self) -> bool {
        self.pods.values().any(|pod| has_started(pod) && !has_ended(pod))
            || self.foreign().any(|foreign| foreign.stage == PodStage::AtWork)
    }

    /// Events of the namespace come by unfiltered, and may come before what they are about.
    fn take_event(&mut self, event: Event) {
        let about = event.involved_object.uid.as_deref().unwrap_or_default();
        let name = self.job.as_ref().and_then(|job| job.metadata.name.as_deref()).unwrap_or_default();
        // A pod of an earlier Job of the same name is told by its time alone.
        let created = self.job.as_ref().and_then(|job| job.metadata.creation_timestamp.as_ref());
        let is_older = time_of(&event) < created.map(|time| time.0);
        let about_pod = !is_older
            && event.involved_object.kind.as_deref() == Some("Pod")
            && event.involved_object.name.as_deref().is_some_and(|pod| pod.starts_with(&format!("{name}-")));
        if about == self.uid || self.pods.contains_key(about) || about_pod {
            self.events.insert(event.metadata.name.clone().unwrap_or_default(), event);
        }
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// Nothing once it was deleted.
    pub(super) fn job(&self) -> Option<&Job> {
        self.job.as_ref()
    }

    /// How far its end has come. The watch of the Job may be ahead of that of its pods.
    pub(super) fn ending(&mut self, now: Instant) -> Ending {
        if !self.job.as_ref().is_some_and(is_finished) {
            return Ending::NotYet;
        }
        let since = *self.finished.get_or_insert(now);
        let is_settled = self.pods.values().all(has_ended);
        if is_settled || now.duration_since(since) >= SETTLED_WITHIN {
            Ending::Over
        } else {
            Ending::Settling
        }
    }

    /// Since when it is seen to have no pod that has not ended, and not only none that was heard of yet.
    pub(super) fn without_pod_since(&mut self, now: Timestamp) -> Option<Timestamp> {
        if !self.has_listed_pods || !self.pods.values().all(has_ended) || self.is_at_work() {
            self.without_pod = None;
            return None;
        }
        Some(*self.without_pod.get_or_insert(now))
    }

    /// The oldest first.
    pub(super) fn pods(&self) -> Vec<&Pod> {
        let mut pods: Vec<_> = self.pods.values().collect();
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        pods
    }

    /// What went wrong on the way, the latest last.
    pub(super) fn warnings(&self) -> Vec<&Event> {
        let mut events: Vec<_> =
            self.events.values().filter(|event| event.type_.as_deref() == Some("Warning")).collect();
        events.sort_by_key(|event| time_of(event));
        events
    }

    /// What was said about the Job or one of its pods, the latest last.
    pub(super) fn events_of(&self, uid: &str) -> Vec<&Event> {
        let about = |event: &&Event| event.involved_object.uid.as_deref() == Some(uid);
        let mut events: Vec<_> = self.events.values().filter(about).collect();
        events.sort_by_key(|event| time_of(event));
        events
    }
}

fn leave(foreign: &mut Foreign) {
    if foreign.stage != PodStage::Ended {
        foreign.stage = PodStage::Gone;
    }
}

fn time_of(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// One of the conditions that stand.
pub(super) fn condition<'a>(job: &'a Job, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")?;
    Some((found.reason.as_deref().unwrap_or_default(), found.message.as_deref().unwrap_or_default()))
}

/// Whether the Job will start nothing more.
pub(super) fn is_finished(job: &Job) -> bool {
    condition(job, "Complete").is_some() || condition(job, "Failed").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::{Story, terminated};
    use super::*;

    #[test]
    fn a_finished_job_is_over_once_its_pods_have_ended_or_had_their_time() {
        let running = Story::new().pod("a").running();
        let ended = running.clone().ended(terminated(0, "Completed", ""));
        // The Job is ahead: as it stands with a pod that ended, and the pod as it stood before.
        let ahead = || {
            let mut job_state = running.job_state();
            let job = serde_json::from_value(json!(ended.clone().complete().job())).unwrap();
            job_state.take(Change::Job(Update::One(Box::new(job))));
            job_state
        };
        let start = Instant::now();
        for (mut job_state, looks) in [
            (running.job_state(), &[(0, Ending::NotYet), (60, Ending::NotYet)][..]),
            (ended.clone().complete().job_state(), &[(0, Ending::Over)]),
            (ahead(), &[(0, Ending::Settling), (4, Ending::Settling), (5, Ending::Over)]),
            (running.clone().deleted().job_state(), &[(0, Ending::NotYet)]),
        ] {
            for (seconds, expected) in looks {
                assert_eq!(job_state.ending(start + Duration::from_secs(*seconds)), *expected, "{seconds}");
            }
        }
    }
}
