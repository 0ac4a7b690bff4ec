//! The one client of the API server: which cluster, which namespace, and the few requests a run makes.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, GetParams, ListParams, LogParams, PostParams, Preconditions};
use kube::config::KubeConfigOptions;
use kube::{Client, Config, Error, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::api_error::{explain, may_pass};
use super::job_state::is_finished;
use super::manifest::Manifest;
use super::pod::container;
use super::same_run::{Difference, MANAGER, difference, other_creator};

/// How long a finished Job may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(120);

/// How long one answer may take, what kube itself repeats included.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Which of our runs has made a Job.
const INVOCATION: &str = "run-migrations/invocation";

/// The next step where admission rules stand in the way.
const ASK_WHO_CHANGES: &str = "find the rule in `kubectl get mutatingwebhookconfigurations`, or among the policies that \
                               the cluster's administrator keeps, and have it leave Jobs of this namespace alone, or \
                               write the change into the overlay";

/// Between attempts at what may pass; an API server that restarts takes some seconds.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    pub namespace: String,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Created,
    /// It was under way.
    Attached,
    /// A finished one made room: it says nothing about the database's present.
    Replaced,
}

/// What the API server thinks of a Job.
#[derive(Debug)]
pub enum Validity {
    Accepted,
    Refused(anyhow::Error),
}

impl Cluster {
    /// The namespace of a context, of which nothing else is asked.
    pub async fn namespace_of(context: Option<&str>) -> anyhow::Result<String> {
        match config(context).await {
            Ok(config) => Ok(config.default_namespace),
            Err(error) if context.is_some() => Err(error),
            // There is no cluster yet.
            Err(_) => Ok("default".to_owned()),
        }
    }

    /// Reads the kubeconfig as kubectl does; in a pod, what kubelet has put there.
    pub async fn connect(context: Option<&str>, namespace: Option<&str>) -> anyhow::Result<Self> {
        let config = config(context).await?;
        let name = context.map_or_else(|| config.cluster_url.to_string(), str::to_owned);
        let namespace = namespace.map_or_else(|| config.default_namespace.clone(), str::to_owned);
        let client = Client::try_from(config).context("the kubeconfig can't be used")?;
        Ok(Self { client, namespace, name })
    }

    pub(super) fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn explain(&self, error: Error, what: &str) -> anyhow::Error {
        explain(error, what, &self.namespace)
    }

    /// Has the API server check a Job without making it.
    ///
    /// # Errors
    /// When it does not get to it.
    pub async fn validate(&self, manifest: &Manifest) -> anyhow::Result<Validity> {
        let parameters = PostParams { dry_run: true, ..parameters() };
        match patiently(|| self.post(&manifest.job, &parameters)).await {
            Ok(held) => Ok(difference(&manifest.job, &held).map_or(Validity::Accepted, |difference| {
                Validity::Refused(anyhow!(
                    "the cluster changes the Job {}: {difference}; next: {ASK_WHO_CHANGES}",
                    manifest.name
                ))
            })),
            // It is there already, so it was valid once.
            Err(Error::Api(status)) if status.code == 409 => Ok(Validity::Accepted),
            Err(error) => {
                let is_of_this_job = matches!(&error, Error::Api(status)
                    if (400..500).contains(&status.code) && ![401, 404, 429].contains(&status.code));
                let why = self.explain(error, "create jobs");
                if is_of_this_job { Ok(Validity::Refused(why)) } else { Err(why) }
            }
        }
    }

    /// Sent as it was rendered: fields that are newer than this program stay.
    async fn post(&self, job: &Value, parameters: &PostParams) -> Result<Value, Error> {
        let path = Job::url_path(&(), Some(&self.namespace));
        let body = serde_json::to_vec(job).map_err(Error::SerdeError)?;
        let request = kube::core::Request::new(path).create(parameters, body).map_err(Error::BuildRequest)?;
        self.client.request(request).await
    }

    /// Creates the Job, or finds it under way, or puts it in the place of a finished one.
    ///
    /// # Errors
    /// Also when what is under way under this name is another run, or the cluster has made another one of what was sent.
    pub async fn start(&self, manifest: &Manifest) -> anyhow::Result<(Job, Start)> {
        let mut start = Start::Created;
        // What tells it from one of the same name that others make; an answer may not reach us.
        let own = format!("{:x}-{:x}", std::process::id(), Timestamp::now().as_nanosecond());
        let mut body = manifest.job.clone();
        body["metadata"]["annotations"][INVOCATION] = json!(own);
        // Another one may create or delete the Job between two of our requests.
        for _ in 0..5 {
            match self.held(&manifest.name).await? {
                Some((job, held)) if job.annotations().get(INVOCATION) == Some(&own) => {
                    return self.unchanged(manifest, &held, job).await.map(|job| (job, start));
                }
                Some((job, _)) if job.metadata.deletion_timestamp.is_some() => {
                    self.wait_until_gone(&job).await?;
                }
                Some((job, _)) if is_finished(&job) => {
                    self.delete(&job).await?;
                    self.wait_until_gone(&job).await?;
                    start = Start::Replaced;
                }
                Some((job, held)) => {
                    if let Some(other) = difference(&manifest.job, &held).or_else(|| other_creator(&held)) {
                        return Err(self.not_this_run(&manifest.name, &other));
                    }
                    return Ok((job, Start::Attached));
                }
                None => {
                    let parameters = parameters();
                    match patiently(|| self.post(&body, &parameters)).await {
                        Ok(held) => {
                            let job = parsed(&held).map_err(|error| self.explain(error, "create jobs"))?;
                            return self.unchanged(manifest, &held, job).await.map(|job| (job, start));
                        }
                        Err(Error::Api(status)) if status.code == 409 => {}
                        Err(error) => return Err(self.explain(error, "create jobs")),
                    }
                }
            }
        }
        bail!(
            "the Job {} is created and deleted by somebody else at the same time; run this again",
            manifest.name
        )
    }

    /// The Job that was made just now, if it is still what was sent. An admission rule may have put another image, or its
    /// own program, into it; then it goes before it gets further.
    async fn unchanged(&self, manifest: &Manifest, held: &Value, job: Job) -> anyhow::Result<Job> {
        let Some(difference) = difference(&manifest.job, held) else { return Ok(job) };
        let changed = anyhow!("the cluster changed the Job {}: {difference}", manifest.name);
        if let Err(error) = self.delete(&job).await {
            bail!("{changed}, and it could not be deleted ({error:#}); next: {ASK_WHO_CHANGES}");
        }
        bail!("{changed}; it was deleted at once; next: {ASK_WHO_CHANGES}")
    }

    fn not_this_run(&self, name: &str, other: &Difference) -> anyhow::Error {
        let namespace = &self.namespace;
        anyhow!(
            "the Job {name} is under way and is not this run: {other}; nothing was started. See who made it with `kubectl \
             get job {name} --namespace {namespace} --show-managed-fields --output yaml`, and run this again when it has \
             ended or was deleted"
        )
    }

    pub(super) async fn find(&self, name: &str) -> anyhow::Result<Option<Job>> {
        Ok(self.held(name).await?.map(|(job, _)| job))
    }

    /// The same, and all that the API server holds of it: fields that are newer than this program too.
    async fn held(&self, name: &str) -> anyhow::Result<Option<(Job, Value)>> {
        let get = || async {
            let path = Job::url_path(&(), Some(&self.namespace));
            let request = kube::core::Request::new(path)
                .get(name, &GetParams::default())
                .map_err(Error::BuildRequest)?;
            match self.client.request::<Value>(request).await {
                Ok(held) => Ok(Some((parsed(&held)?, held))),
                Err(Error::Api(status)) if status.code == 404 => Ok(None),
                Err(error) => Err(error),
            }
        };
        patiently(get).await.map_err(|error| self.explain(error, "get jobs"))
    }

    /// With its pods; this very one, and not another of its name. One that is gone is deleted enough.
    pub async fn delete(&self, job: &Job) -> anyhow::Result<()> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let exactly = Preconditions { uid: job.metadata.uid.clone(), resource_version: None };
        let parameters = DeleteParams::foreground().preconditions(exactly);
        let jobs = self.jobs();
        match patiently(|| jobs.delete(name, &parameters)).await {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
            Err(error) => Err(self.explain(error, "delete jobs")),
        }
    }

    async fn wait_until_gone(&self, job: &Job) -> anyhow::Result<()> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let deadline = Instant::now() + GONE_WITHIN;
        while Instant::now() < deadline {
            if self.find(name).await?.is_none_or(|found| found.metadata.uid != job.metadata.uid) {
                return Ok(());
            }
            sleep(Duration::from_millis(300)).await;
        }
        bail!(
            "the old Job {name} is still being deleted after two minutes: one of its pods does not end; look at it with \
             `kubectl get pods --selector job-name={name} --namespace {}`",
            self.namespace
        )
    }

    /// What the job said last in a pod; nothing where that is not to be had.
    pub(super) async fn last_line(&self, pod: &Pod) -> Option<String> {
        let name = pod.metadata.name.as_deref()?;
        let container = container(pod).map(|status| status.name.clone());
        let parameters = LogParams { container, tail_lines: Some(1), ..LogParams::default() };
        let pods = self.pods();
        patiently(|| pods.logs(name, &parameters)).await.ok()
    }

    /// The pods as they are now, whatever the watch has delivered so far.
    pub(super) async fn pods_of(&self, uid: &str) -> Result<Vec<Pod>, Error> {
        let parameters = ListParams::default().labels(&selector(uid));
        let pods = self.pods();
        Ok(patiently(|| pods.list(&parameters)).await?.items)
    }
}

/// Jobs are written under our own name, by which they are told from those of other tools.
fn parameters() -> PostParams {
    PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) }
}

fn parsed(held: &Value) -> Result<Job, Error> {
    serde::Deserialize::deserialize(held).map_err(Error::SerdeError)
}

async fn config(context: Option<&str>) -> anyhow::Result<Config> {
    let Some(name) = context else {
        return Config::infer().await.context(
            "there is no cluster to run in: no kubeconfig in KUBECONFIG or ~/.kube/config, and this is no pod",
        );
    };
    let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
    let config = Config::from_kubeconfig(&options).await;
    config.with_context(|| format!("the kubeconfig has no usable context {name:?}"))
}

/// Asks again, after a pause, where there is no answer, or one that may become another.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = PAUSES.into_iter();
    loop {
        let answer = timeout(ANSWERED_WITHIN, ask()).await;
        let silent =
            || Err(Error::Service(format!("no answer within {} s", ANSWERED_WITHIN.as_secs()).into()));
        match (answer.unwrap_or_else(|_| silent()), pauses.next()) {
            (Err(error), Some(pause)) if may_pass(&error) => sleep(pause).await,
            (end, _) => return end,
        }
    }
}

/// A Job's pods are found by its UID: one of the same name may have left some behind.
pub(super) fn selector(uid: &str) -> String {
    format!("batch.kubernetes.io/controller-uid={uid}")
}
