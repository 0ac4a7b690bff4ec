//! What the API server does not do for us, and what to do about it.

use anyhow::anyhow;
use kube::Error;

/// What the API server says where k8s/admission refuses a Job.
const OUR_POLICY: &str = "ValidatingAdmissionPolicy 'run-migrations-release'";

/// The sentence for a request that failed. `what` is verb and resource, as the Role has them.
pub(super) fn explain(error: Error, what: &str, namespace: &str) -> anyhow::Error {
    let Error::Api(status) = &error else {
        return anyhow::Error::from(error).context(format!("cannot {what}: the API server does not answer"));
    };
    let said = status.message.trim();
    match status.code {
        403 | 422 if said.contains(OUR_POLICY) => anyhow!(
            "cannot {what}: {said}; k8s/admission says which Jobs are admitted: run what its parameters name, or have an \
             administrator change the ConfigMap run-migrations-release of namespace {namespace}"
        ),
        401 => anyhow!(
            "cannot {what}: the cluster does not accept these credentials ({said}); sign in again, or choose another \
             --context"
        ),
        403 if said.contains("exceeded quota") => {
            anyhow!(
                "cannot {what}: {said}; raise the ResourceQuota of namespace {namespace}, or delete old Jobs"
            )
        }
        403 if said.contains(" cannot ") => anyhow!(
            "not allowed to {what}: {said}; an administrator gives that right with `kubectl apply -k k8s/release \
             --namespace {namespace}`, after naming this identity in k8s/release/role-binding.yaml"
        ),
        403 => anyhow!("cannot {what}: {said}; an admission rule of the cluster refuses it"),
        404 if said.starts_with("namespaces ") => {
            anyhow!(
                "cannot {what}: {said}; make it with `kubectl create namespace {namespace}`, or name another one"
            )
        }
        422 => anyhow!("cannot {what}: the API server finds the Job wrong: {said}"),
        code => anyhow!("cannot {what}: the API server says {code}: {said}"),
    }
}

/// Whether a repetition may be answered otherwise: the server stumbles, or was not reached. That it is busy (429, 503,
/// 504) kube itself waits out.
pub(super) fn may_pass(error: &Error) -> bool {
    match error {
        Error::Api(status) => status.code >= 500 && ![503, 504].contains(&status.code),
        Error::HyperError(_) | Error::Service(_) => true,
        _ => false,
    }
}

/// Whether a repetition would be answered the same.
pub(super) fn is_final(error: &Error) -> bool {
    matches!(error, Error::Api(status) if [401, 403, 404].contains(&status.code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn what_may_pass_is_no_refusal() {
        for (code, expected) in
            [(401, false), (403, false), (404, false), (422, false), (429, false), (500, true), (503, false)]
        {
            let status = Status { code, ..Status::default() };
            assert_eq!(may_pass(&Error::Api(Box::new(status))), expected, "{code}");
        }
        assert!(may_pass(&Error::Service("connection refused".into())));
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (code, said, expected) in [
            (
                403,
                "jobs.batch is forbidden: User \"ci\" cannot create resource \"jobs\" in API group \"batch\" in the \
                 namespace \"site\"",
                "not allowed to create jobs: jobs.batch is forbidden: User \"ci\" cannot create resource \"jobs\" in API \
                 group \"batch\" in the namespace \"site\"; an administrator gives that right with `kubectl apply -k \
                 k8s/release --namespace site`",
            ),
            (
                403,
                "jobs.batch \"a\" is forbidden: exceeded quota: q",
                "cannot create jobs: jobs.batch \"a\" is forbidden: exceeded quota: q; raise",
            ),
            (
                403,
                "admission webhook \"w\" denied the request: no",
                "cannot create jobs: admission webhook \"w\" denied the request: no; an admission rule",
            ),
            (
                403,
                "jobs.batch \"a\" is forbidden: ValidatingAdmissionPolicy 'run-migrations-release' with binding \
                 'run-migrations-release' denied request: the image must be a",
                "cannot create jobs: jobs.batch \"a\" is forbidden: ValidatingAdmissionPolicy 'run-migrations-release' with \
                 binding 'run-migrations-release' denied request: the image must be a; k8s/admission says which Jobs",
            ),
            (
                422,
                "ValidatingAdmissionPolicy 'run-migrations-release' denied request: no params found",
                "cannot create jobs: ValidatingAdmissionPolicy 'run-migrations-release' denied request: no params found; \
                 k8s/admission says which Jobs are admitted",
            ),
            (
                401,
                "Unauthorized",
                "cannot create jobs: the cluster does not accept these credentials (Unauthorized); sign in",
            ),
            (
                404,
                "namespaces \"site\" not found",
                "cannot create jobs: namespaces \"site\" not found; make it with `kubectl create namespace site`",
            ),
            (
                404,
                "the server could not find the requested resource",
                "cannot create jobs: the API server says 404: the server could",
            ),
            (
                422,
                "Job.batch \"a\" is invalid: x",
                "cannot create jobs: the API server finds the Job wrong: Job.batch",
            ),
            (500, "etcd", "cannot create jobs: the API server says 500: etcd"),
        ] {
            let status = Status { code, message: said.to_owned(), ..Status::default() };
            let text = explain(Error::Api(Box::new(status)), "create jobs", "site").to_string();
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
