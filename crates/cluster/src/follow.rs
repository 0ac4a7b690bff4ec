//! Following a run as it happens, until it ends, gets stuck, is deleted, or somebody stops following.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use foreign_text::one_line;
use futures_util::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use rustix::process::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::cluster::Cluster;
use super::diagnosis::{Trouble, diagnose};
use super::job_state::{Change, Ending, JobState, Update};
use super::log_line::LogLine;
use super::logs::{self, Said};
use super::outage::Outages;
use super::outcome::{self, Outcome};
use super::phase::{Phase, phase};
use super::pod::{container, digest_reported, disruption, has_started, reported_digest, uid};
use super::watches;
use workspace::github::fence::Fence;
use workspace::process::Signals;
use workspace::ui::{self, Waiting};

/// How long the last lines may take after the run has ended.
const LAST_LINES: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub enum FollowEnd {
    Finished {
        outcome: Box<Outcome>,
        log: Log,
    },
    Stuck(Trouble),
    /// Somebody deleted the Job; what it was doing then.
    Deleted(String),
    /// We were asked to stop following.
    Left(Signal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    Whole,
    Torn,
}

pub async fn follow(
    cluster: &Cluster,
    job: Job,
    patience: Duration,
    signals: &mut Signals,
) -> anyhow::Result<FollowEnd> {
    let name = job.metadata.name.clone().context("the Job has no name")?;
    let mut follower = Follower::new(cluster, job, &name, Fence::begin()?);
    let mut changes = Box::pin(watches::of_job(cluster, &name, follower.job_state.uid()));
    // What only time tells: patience that runs out.
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(change)) => follower.take(change),
                Some(Err(cut)) => {
                    if let Some(said) = follower.outages.cut(cluster, cut)? {
                        follower.status.aside(|| ui::warning(said));
                    }
                }
                None => bail!("the watches of {name} ended"),
            },
            Some(said) = follower.said.recv() => follower.say(said),
            signal = signals.next() => return Ok(FollowEnd::Left(signal)),
            _ = seconds.tick() => {}
        }
        follower.look();
        let Some(job) = follower.job_state.job().cloned() else {
            let last = follower.last_phase();
            follower.drain(signals).await;
            return Ok(FollowEnd::Deleted(last));
        };
        match follower.job_state.ending(std::time::Instant::now()) {
            Ending::Over => return follower.finish(job, signals).await,
            Ending::Settling => continue,
            Ending::NotYet => {}
        }
        if let Some(trouble) = diagnose(&mut follower.job_state, Timestamp::now(), patience) {
            follower.drain(signals).await;
            return Ok(FollowEnd::Stuck(trouble));
        }
    }
}

struct Follower<'a> {
    cluster: &'a Cluster,
    job_state: JobState,
    progress: Option<String>,
    phase: Option<Phase>,
    status: Waiting,
    said: mpsc::Receiver<Said>,
    sender: mpsc::Sender<Said>,
    readers: JoinSet<()>,
    /// Pods whose log is or was read.
    read: BTreeSet<String>,
    /// Readers that have not said their last.
    open: usize,
    /// Pods whose log is not whole.
    torn: BTreeSet<String>,
    last_line: Option<String>,
    /// What was told already: pods that ended, warnings.
    told: BTreeSet<String>,
    outages: Outages,
    /// Whether the run is, for the readers.
    over: watch::Sender<bool>,
    /// As long as the log is followed.
    _fence: Fence,
}

impl<'a> Follower<'a> {
    fn new(cluster: &'a Cluster, job: Job, name: &str, fence: Fence) -> Self {
        let (sender, said) = mpsc::channel(256);
        Self {
            cluster,
            job_state: JobState::of(job),
            progress: None,
            phase: None,
            status: ui::waiting("Following", name),
            said,
            sender,
            readers: JoinSet::new(),
            read: BTreeSet::new(),
            open: 0,
            torn: BTreeSet::new(),
            last_line: None,
            told: BTreeSet::new(),
            outages: Outages::default(),
            over: watch::Sender::new(false),
            _fence: fence,
        }
    }

    fn take(&mut self, change: Change) {
        self.outages.restored(change.told_by());
        self.job_state.take(change);
    }

    /// Starts reading what can be read, and tells what is new.
    fn look(&mut self) {
        for said in self.job_state.untold() {
            self.status.aside(|| ui::warning(said));
        }
        for pod in self.job_state.pods() {
            let name = pod.metadata.name.clone().unwrap_or_default();
            if has_started(pod) && self.read.insert(uid(pod)) {
                self.open += 1;
                let (cluster, over) = (self.cluster.clone(), self.over.subscribe());
                self.readers.spawn(logs::read(cluster, pod.clone(), self.sender.clone(), over));
            }
            if let Some(reported) = reported_digest(pod)
                && self.told.insert(format!("image of {}", uid(pod)))
            {
                let said = digest_reported(pod, reported);
                self.status.aside(|| ui::warning(said));
            }
            let ended = container(pod).and_then(|status| status.state.as_ref()?.terminated.as_ref());
            if let Some(ended) = ended.filter(|ended| ended.exit_code != 0)
                && self.told.insert(format!("end of {}", uid(pod)))
            {
                let why = ended.reason.as_deref().unwrap_or("Error");
                let by =
                    disruption(pod).map(|by| format!(", for it was disrupted: {by}")).unwrap_or_default();
                let text = format!("pod {name} ended with exit code {} ({why}){by}", ended.exit_code);
                self.status.aside(|| ui::note("Attempt", text));
            }
        }
        for event in self.job_state.warnings() {
            let said = one_line(event.message.as_deref().unwrap_or_default());
            let reason = event.reason.as_deref().unwrap_or_default();
            // The same comes again and again under other names.
            if self.told.insert(format!("{reason} {said}")) {
                self.status.aside(|| ui::warning(format!("{reason}: {said}")));
            }
        }
        let phase = phase(&self.job_state);
        if self.phase.as_ref() != Some(&phase) && phase != Phase::Finished && phase != Phase::Deleted {
            self.status.step(&phase.to_string());
            self.phase = Some(phase);
        }
    }

    fn say(&mut self, said: Said) {
        match said {
            Said::LogLine(text) => {
                let line = LogLine::parse(&text);
                self.status.aside(|| match &line {
                    LogLine::Report(text) => ui::result(text),
                    LogLine::Log { level, text } | LogLine::Waiting { level, text } => {
                        ui::logged(level, text);
                    }
                    LogLine::Step(_) => {}
                });
                if let Some(status) = line.status() {
                    self.progress = Some(status.to_owned());
                    self.status.say(status);
                }
                self.last_line = Some(text);
            }
            Said::End => self.open -= 1,
            Said::Lost { pod, error } => {
                self.open -= 1;
                let error = self.cluster.explain(error, "get pods/log");
                self.status.aside(|| ui::warning(format!("the log of {pod} is not whole: {error:#}")));
                self.torn.insert(pod);
            }
        }
    }

    fn last_phase(&self) -> String {
        let phase = self.phase.as_ref().map(ToString::to_string);
        self.progress.clone().or(phase).unwrap_or_default()
    }

    /// Reads what is still to be read, until that takes too long or somebody has seen enough. Whether it was all.
    async fn drain(&mut self, signals: &mut Signals) -> Log {
        self.over.send_replace(true);
        let deadline = Instant::now() + LAST_LINES;
        while self.open > 0 {
            let said = tokio::select! {
                said = timeout_at(deadline, self.said.recv()) => said,
                _ = signals.next() => return Log::Torn,
            };
            match said {
                Ok(Some(said)) => self.say(said),
                Ok(None) | Err(_) => return Log::Torn,
            }
        }
        // Of the pod that had the last word; what became of earlier ones is told.
        let pods = self.job_state.pods();
        let last = pods.last().and_then(|pod| Some((uid(pod), pod.metadata.name.as_deref()?)));
        match last {
            Some((uid, name)) if self.read.contains(&uid) && !self.torn.contains(name) => Log::Whole,
            _ => Log::Torn,
        }
    }

    /// The Job says that it is finished; its pods may not have been seen to be.
    async fn finish(&mut self, job: Job, signals: &mut Signals) -> anyhow::Result<FollowEnd> {
        match self.cluster.pods_of(self.job_state.uid()).await {
            Ok(pods) => self.job_state.take(Change::Pod(Update::All(pods))),
            Err(error) => {
                let error = self.cluster.explain(error, "list pods");
                self.status.aside(|| ui::warning(format!("{error:#}")));
            }
        }
        self.look();
        let log = self.drain(signals).await;
        let outcome = outcome::outcome(&job, &self.job_state, self.last_line.as_deref());
        let outcome = outcome.context("the Job finished without reporting a result")?;
        Ok(FollowEnd::Finished { outcome: Box::new(outcome), log })
    }
}
