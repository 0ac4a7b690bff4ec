//! Runs a fleet: starts what the schedule says, and learns from one watch how each Job ends. Of a database that does not
//! run now nothing is kept but its name and status.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::databases::Database;
use super::schedule::Schedule;
use super::status::DatabaseStatus;
use crate::cluster::{Cluster, Start};
use crate::diagnosis::{Trouble, diagnose};
use crate::job_state::{Change, Ending, JobState, Update};
use crate::manifest::Template;
use crate::outage::Outages;
use crate::outcome::{self, Outcome};
use crate::pod::{controller, digest_reported, reported_digest};
use crate::watches;
use workspace::process::Signals;
use workspace::ui::{self, Waiting};

pub struct Fleet<'a> {
    pub cluster: &'a Cluster,
    pub template: &'a Template<'a>,
    pub databases: &'a [Database],
    /// Of the Jobs, in the order of the databases.
    pub jobs: &'a [String],
    pub patience: Duration,
}

/// How it stood when it was over, or left.
pub struct FleetEnd {
    pub all: Vec<DatabaseStatus>,
    pub schedule: Schedule,
    pub left: Option<Left>,
}

/// Why what runs was not followed to its end.
pub enum Left {
    Asked(Signal),
    /// The API server was lost, or forbids it.
    Lost(anyhow::Error),
}

/// What a request that was made beside the watch came to.
enum FleetStep {
    Started(anyhow::Result<(Job, Start, Vec<Pod>)>),
    /// A Job that a list left out, which may be older than the Job.
    Found(anyhow::Result<Option<Job>>),
    Ended(DatabaseStatus),
}

/// A database that runs now.
struct DatabaseRun {
    /// What the watch said before the answer to our request came.
    early: Vec<Change>,
    job_state: Option<JobState>,
    is_ours: bool,
    is_ending: bool,
}

struct Driver<'a> {
    fleet: Fleet<'a>,
    schedule: Schedule,
    all: Vec<DatabaseStatus>,
    by_job: BTreeMap<&'a str, usize>,
    running: BTreeMap<usize, DatabaseRun>,
    steps: JoinSet<(usize, FleetStep)>,
    status: Waiting,
    outages: Outages,
}

pub async fn drive(fleet: Fleet<'_>, schedule: Schedule, signals: &mut Signals) -> anyhow::Result<FleetEnd> {
    let mut changes = Box::pin(watches::of_fleet(fleet.cluster, &fleet.template.selector()));
    let mut driver = Driver {
        all: vec![DatabaseStatus::Waiting; fleet.databases.len()],
        by_job: fleet.jobs.iter().map(String::as_str).zip(0..).collect(),
        status: ui::waiting("Running", format!("{} databases", fleet.databases.len())),
        fleet,
        schedule,
        running: BTreeMap::new(),
        steps: JoinSet::new(),
        outages: Outages::default(),
    };
    let (mut sees_jobs, mut sees_pods) = (false, false);
    // What only time tells: patience that runs out.
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let left = loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(change)) => {
                    sees_jobs |= matches!(change, Change::Job(_));
                    sees_pods |= matches!(change, Change::Pod(_));
                    driver.take(change);
                }
                Some(Err(cut)) => match driver.outages.cut(driver.fleet.cluster, cut) {
                    Ok(said) => said.into_iter().for_each(|said| driver.status.aside(|| ui::warning(said))),
                    Err(error) => break Some(Left::Lost(error)),
                },
                None => bail!("the watches of the fleet ended"),
            },
            Some(step) = driver.steps.join_next() => {
                let (index, step) = step.context("a request of xtask panicked")?;
                driver.step(index, step);
            }
            signal = signals.next() => break Some(Left::Asked(signal)),
            _ = seconds.tick() => {
                for index in driver.running.keys().copied().collect::<Vec<_>>() {
                    driver.look(index);
                }
            }
        }
        // A right that is missing shows before anything was started.
        if sees_jobs && sees_pods {
            driver.start();
        }
        if driver.schedule.is_over() {
            break None;
        }
    };
    Ok(FleetEnd { all: driver.all, schedule: driver.schedule, left })
}

impl Driver<'_> {
    fn start(&mut self) {
        while let Some(index) = self.schedule.next() {
            let run = DatabaseRun { early: Vec::new(), job_state: None, is_ours: false, is_ending: false };
            self.running.insert(index, run);
            self.all[index] = DatabaseStatus::Running;
            let cluster = self.fleet.cluster.clone();
            let manifest = self.fleet.template.manifest(&self.fleet.databases[index]);
            self.steps.spawn(async move {
                let started = async {
                    let (job, start) = cluster.start(&manifest?).await?;
                    // What the watch said of a run that was under way came before we listened.
                    let pods = match (start, &job.metadata.uid) {
                        (Start::Attached, Some(uid)) => cluster.pods_of(uid).await.unwrap_or_default(),
                        _ => Vec::new(),
                    };
                    Ok((job, start, pods))
                };
                (index, FleetStep::Started(started.await))
            });
        }
        self.status.say(&self.schedule.describe());
    }

    /// Hands each part of a change to the run it is about.
    fn take(&mut self, change: Change) {
        self.outages.restored(change.told_by());
        match change {
            Change::Job(Update::All(jobs)) => {
                let listed: Vec<_> = jobs.iter().filter_map(|job| job.metadata.uid.as_deref()).collect();
                for (index, run) in &self.running {
                    if run.job_state.as_ref().is_some_and(|job_state| !listed.contains(&job_state.uid())) {
                        let (index, cluster) = (*index, self.fleet.cluster.clone());
                        let name = self.fleet.jobs[index].clone();
                        self.steps.spawn(async move { (index, FleetStep::Found(cluster.find(&name).await)) });
                    }
                }
                jobs.into_iter().for_each(|job| self.take(Change::Job(Update::One(Box::new(job)))));
            }
            Change::Job(Update::One(ref job) | Update::Gone(ref job)) => {
                let name = job.metadata.name.clone().unwrap_or_default();
                self.deliver(&name, change);
            }
            Change::Pod(Update::All(pods)) => {
                let mut by_job: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
                for pod in pods {
                    by_job.entry(owner(&pod)).or_default().push(pod);
                }
                for index in self.running.keys().copied().collect::<Vec<_>>() {
                    let name = self.fleet.jobs[index].clone();
                    let pods = by_job.remove(&name).unwrap_or_default();
                    self.deliver(&name, Change::Pod(Update::All(pods)));
                }
            }
            Change::Pod(Update::One(ref pod) | Update::Gone(ref pod)) => self.deliver(&owner(pod), change),
            Change::Event(Update::All(events)) => {
                events.into_iter().for_each(|event| self.take(Change::Event(Update::One(Box::new(event)))));
            }
            Change::Event(Update::One(ref event)) => {
                let about = event.involved_object.name.clone().unwrap_or_default();
                let of_pod = event.involved_object.kind.as_deref() == Some("Pod");
                let name = about.rsplit_once('-').filter(|_| of_pod).map_or(about.as_str(), |(job, _)| job);
                self.deliver(name, change);
            }
            Change::Event(Update::Gone(_)) => {}
        }
    }

    fn deliver(&mut self, job: &str, change: Change) {
        let Some(index) = self.by_job.get(job).copied() else { return };
        let Some(run) = self.running.get_mut(&index) else { return };
        match &mut run.job_state {
            Some(job_state) => job_state.take(change),
            None => run.early.push(change),
        }
        self.look(index);
    }

    fn step(&mut self, index: usize, step: FleetStep) {
        match (step, self.running.get_mut(&index)) {
            (FleetStep::Started(Ok((job, start, pods))), Some(run)) => {
                let mut job_state = JobState::of(job);
                job_state.take(Change::Pod(Update::All(pods)));
                std::mem::take(&mut run.early).into_iter().for_each(|change| job_state.take(change));
                run.job_state = Some(job_state);
                run.is_ours = start != Start::Attached;
                self.look(index);
            }
            (FleetStep::Started(Err(error)), _) => {
                self.end(index, DatabaseStatus::Failed { code: 1, why: format!("{error:#}") });
            }
            (FleetStep::Found(Err(error)), Some(_)) => {
                self.end(index, DatabaseStatus::Failed { code: 1, why: format!("{error:#}") });
            }
            (FleetStep::Found(Ok(found)), Some(run)) => {
                if let Some(job_state) = &mut run.job_state {
                    job_state.take(Change::Job(Update::All(found.into_iter().collect())));
                }
                self.look(index);
            }
            (FleetStep::Ended(status), _) => self.end(index, status),
            (FleetStep::Found(_), None) | (FleetStep::Started(Ok(_)), None) => {}
        }
    }

    /// Whether a run is over, or will not get further by itself.
    fn look(&mut self, index: usize) {
        let Some(run) = self.running.get_mut(&index).filter(|run| !run.is_ending) else { return };
        let Some(job_state) = &mut run.job_state else { return };
        let cluster = self.fleet.cluster.clone();
        let Some(job) = job_state.job().cloned() else {
            let why = "the Job was deleted by somebody else while it ran".to_owned();
            return self.end(index, DatabaseStatus::Failed { code: 1, why });
        };
        for said in job_state.untold() {
            let name = &self.fleet.databases[index].name;
            self.status.aside(|| ui::warning(format!("{name}: {said}")));
        }
        let ending = job_state.ending(Instant::now());
        if ending == Ending::Over {
            run.is_ending = true;
            let mut job_state = job_state.clone();
            for (pod, reported) in
                job_state.pods().into_iter().filter_map(|pod| Some((pod, reported_digest(pod)?)))
            {
                self.status.aside(|| ui::warning(digest_reported(pod, reported)));
            }
            self.steps.spawn(async move {
                // Its pods may not have been seen to be finished.
                if let Ok(pods) = cluster.pods_of(job_state.uid()).await {
                    job_state.take(Change::Pod(Update::All(pods)));
                }
                let outcome = outcome_of(&cluster, &job, &job_state).await;
                let unknown = || DatabaseStatus::Failed {
                    code: 1,
                    why: "the Job finished without reporting a result".to_owned(),
                };
                (index, FleetStep::Ended(outcome.as_ref().map_or_else(unknown, DatabaseStatus::of)))
            });
        } else if ending == Ending::NotYet
            && let Some(trouble) = diagnose(job_state, Timestamp::now(), self.fleet.patience)
        {
            run.is_ending = true;
            let is_ours = run.is_ours;
            self.give_up(index, job, is_ours, &trouble);
        }
    }

    fn give_up(&mut self, index: usize, job: Job, is_ours: bool, trouble: &Trouble) {
        let (cluster, mut why) = (self.fleet.cluster.clone(), trouble.to_string());
        self.steps.spawn(async move {
            // Else it would start by itself whenever somebody mends the cause.
            if is_ours && let Err(error) = cluster.delete(&job).await {
                why = format!("{why} ({error:#})");
            }
            (index, FleetStep::Ended(DatabaseStatus::Failed { code: 1, why }))
        });
    }

    fn end(&mut self, index: usize, status: DatabaseStatus) {
        if self.running.remove(&index).is_none() {
            return;
        }
        self.schedule.ended(status.result());
        let name = &self.fleet.databases[index].name;
        self.status.aside(|| match &status {
            DatabaseStatus::Failed { .. } => ui::warning(format!("{name} {status}")),
            _ => ui::done("Done", format!("{name} {status}")),
        });
        self.all[index] = status;
    }
}

/// A program that can't be executed leaves no verdict, only a line.
async fn outcome_of(cluster: &Cluster, job: &Job, job_state: &JobState) -> Option<Outcome> {
    let pods = job_state.pods();
    let outcome = outcome::outcome(job, job_state, None)?;
    match pods.last() {
        Some(pod) if outcome.failure.is_some() && outcome.verdict.is_none() => {
            outcome::outcome(job, job_state, cluster.last_line(pod).await.as_deref())
        }
        _ => Some(outcome),
    }
}

/// The Job a pod is of.
fn owner(pod: &Pod) -> String {
    controller(pod).map(|owner| owner.name.clone()).unwrap_or_default()
}
