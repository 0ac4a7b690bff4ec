//! What is typed after `ecr-login`.

use settings::ecr::EcrFlags;

/// Put an ECR token where Docker looks for it
///
/// Does what `aws ecr get-login-password | docker login` does, without either CLI: asks ECR for a token (good for
/// 12 hours), tries it on the registry, and stores it with docker's credential helper, or in its config.json. A push
/// with `cargo xtask push-image` does not need this.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask ecr-login
  cargo xtask ecr-login --region eu-west-1 --profile release
  cargo xtask ecr-login --password-stdout | podman login --username AWS --password-stdin HOST

Environment: AWS_REGION or AWS_DEFAULT_REGION, ECR_ACCOUNT, ECR_REGISTRY, ECR_REPOSITORY, AWS_PROFILE as above; every \
variable of the AWS SDK for credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, \
AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, …), AWS_ENDPOINT_URL, \
AWS_ENDPOINT_URL_ECR, AWS_CA_BUNDLE, HTTPS_PROXY, NO_PROXY; DOCKER_CONFIG and DOCKER_AUTH_CONFIG as the docker CLI reads \
them; RUST_LOG (the SDK's log, without secrets).")]
pub struct Arguments {
    /// Print the password alone on stdout and store nothing; the user is AWS
    #[arg(long)]
    pub password_stdout: bool,
    /// Say where the token would go, ask nobody for one
    #[arg(long, conflicts_with = "password_stdout")]
    pub dry_run: bool,
    #[command(flatten)]
    pub ecr: EcrFlags,
}
