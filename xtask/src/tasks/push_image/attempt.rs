//! One upload, as often as it takes: a new token once, pauses where the fault may pass, an end where it can't.

use std::time::Duration;

use anyhow::bail;

use crate::docker::Docker;
use crate::docker::image::Description;
use crate::docker::login::credentials::Credentials;
use crate::docker::push::{Failure, Kind};
use crate::ecr::Ecr;
use crate::ecr::images::Found;
use crate::image::name::{Digest, Tag};
use crate::ui;
use crate::ui::layers::Layers;

/// How an upload ended; of the layers, which went up and how many were there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upload {
    Done {
        digest: Digest,
        pushed: Vec<usize>,
        existing: usize,
    },
    /// The tag has an image already, and it may not be moved.
    Taken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    NewToken,
    Pause(Duration),
    /// A missing repository looks like a cut connection.
    AskForRepository(Duration),
    NoRepository,
    Taken,
    GiveUp,
}

/// The pauses before the second attempt and those after it.
const PAUSES: [u64; 4] = [1, 3, 9, 20];

pub(super) async fn push(
    docker: &Docker,
    ecr: &Ecr,
    image: &Description,
    tag: &Tag,
    credentials: &mut Credentials,
) -> anyhow::Result<Upload> {
    let (mut new_tokens, mut pauses) = (0, 0);
    loop {
        let mut layers = Layers::new(&image.layers);
        let pushed = docker.push(&ecr.name, tag, credentials, |event| layers.show(event)).await?;
        let failure = match pushed {
            Ok(digest) => {
                let (pushed, existing) = layers.result();
                return Ok(Upload::Done { digest, pushed, existing });
            }
            Err(failure) => failure,
        };
        drop(layers);
        match next(failure.kind, new_tokens, pauses) {
            Next::NewToken => {
                ui::note("Refreshing", format!("the token, which the registry did not take: {failure}"));
                *credentials = ecr.token().await?.credentials;
                new_tokens += 1;
            }
            Next::AskForRepository(_) if is_missing(ecr).await? => return Err(no_repository(ecr)),
            Next::Pause(pause) | Next::AskForRepository(pause) => {
                let attempt = format!("{} of {}", pauses + 2, PAUSES.len() + 1);
                ui::note("Retrying", format!("in {} s ({attempt}): {failure}", pause.as_secs()));
                tokio::time::sleep(pause).await;
                pauses += 1;
            }
            Next::NoRepository => return Err(no_repository(ecr)),
            Next::Taken => return Ok(Upload::Taken),
            Next::GiveUp => bail!("the image was not pushed{}: {failure}", after(&failure, pauses)),
        }
    }
}

fn after(failure: &Failure, pauses: usize) -> String {
    match failure.kind {
        Kind::Passing | Kind::Ended => format!(", in {} attempts", pauses + 1),
        Kind::Authentication => ", not with a new token either".to_owned(),
        _ => String::new(),
    }
}

fn next(kind: Kind, new_tokens: usize, pauses: usize) -> Next {
    let pause = PAUSES.get(pauses).copied().map(Duration::from_secs);
    match (kind, pause) {
        (Kind::Authentication, _) if new_tokens == 0 => Next::NewToken,
        (Kind::Passing, Some(pause)) => Next::Pause(pause),
        (Kind::Ended, Some(pause)) => Next::AskForRepository(pause),
        (Kind::NoRepository, _) => Next::NoRepository,
        (Kind::Immutable, _) => Next::Taken,
        (Kind::Authentication | Kind::Lasting, _) | (Kind::Passing | Kind::Ended, None) => Next::GiveUp,
    }
}

async fn is_missing(ecr: &Ecr) -> anyhow::Result<bool> {
    let tag = Tag::parse("latest")?;
    Ok(ecr.by_tag(&tag).await? == Found::NoRepository)
}

pub(super) fn no_repository(ecr: &Ecr) -> anyhow::Error {
    anyhow::anyhow!("there is no repository {}; {}", ecr.name, ecr.how_to_create())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        let pause = |seconds| Duration::from_secs(seconds);
        for (kind, new_tokens, pauses, expected) in [
            (Kind::Authentication, 0, 0, Next::NewToken),
            (Kind::Authentication, 1, 0, Next::GiveUp),
            (Kind::Passing, 0, 0, Next::Pause(pause(1))),
            (Kind::Passing, 1, 3, Next::Pause(pause(20))),
            (Kind::Passing, 0, 4, Next::GiveUp),
            (Kind::Ended, 0, 1, Next::AskForRepository(pause(3))),
            (Kind::Ended, 0, 4, Next::GiveUp),
            (Kind::NoRepository, 0, 0, Next::NoRepository),
            (Kind::Immutable, 0, 0, Next::Taken),
            (Kind::Lasting, 0, 0, Next::GiveUp),
        ] {
            assert_eq!(next(kind, new_tokens, pauses), expected, "{kind:?} {new_tokens} {pauses}");
        }
    }
}
