//! One upload, as often as it takes: a new token once, pauses where the fault may pass, an end where it can't. The loop
//! is by hand, because a new token is no retry: it takes neither a pause nor an attempt from the table.

use std::time::Duration;

use anyhow::bail;

use crate::layers::LayerProgress;
use docker::Docker;
use docker::push::PushFailure;
use image::archive::Layer;
use image::name::{Digest, Tag};
use image::reference::TaggedReference;
use registry::Ecr;
use registry::images::Found;
use registry::session::Session;
use workspace::ui;

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

/// Whose token the registry was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// What docker has stored, which may be of somebody else, with fewer rights.
    Dockers,
    /// ECR's, which may have expired while something was built.
    Ecrs,
    /// ECR's, of this moment: if that won't do, none will.
    New,
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
    reference: &TaggedReference,
    layers: &[Layer],
    session: &mut Session,
) -> anyhow::Result<Upload> {
    let mut token = if session.is_dockers() { Token::Dockers } else { Token::Ecrs };
    let mut pauses = 0;
    loop {
        let mut shown = LayerProgress::new(layers);
        let authorization = session.credentials().header(&ecr.registry);
        let pushed = docker.push(reference, &authorization, |event| shown.show(event)).await?;
        let failure = match pushed {
            Ok(digest) => {
                let (pushed, existing) = shown.result();
                return Ok(Upload::Done { digest, pushed, existing });
            }
            Err(failure) => failure,
        };
        drop(shown);
        match next(failure.kind, token, pauses) {
            Next::NewToken => {
                session.renew(ecr, &failure.said).await?;
                token = Token::New;
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
            Next::GiveUp => {
                bail!("the image was not pushed{}: {failure}", after(failure.kind, token, pauses))
            }
        }
    }
}

fn after(kind: PushFailure, token: Token, pauses: usize) -> String {
    match (kind, token) {
        (PushFailure::Passing | PushFailure::Ended, _) => format!(", in {} attempts", pauses + 1),
        (PushFailure::Authentication | PushFailure::Denied, Token::New) => {
            ", not with a new token either".to_owned()
        }
        _ => String::new(),
    }
}

fn next(kind: PushFailure, token: Token, pauses: usize) -> Next {
    let pause = PAUSES.get(pauses).copied().map(Duration::from_secs);
    match (kind, pause) {
        (PushFailure::Authentication, _) if token != Token::New => Next::NewToken,
        (PushFailure::Denied, _) if token == Token::Dockers => Next::NewToken,
        (PushFailure::Passing, Some(pause)) => Next::Pause(pause),
        (PushFailure::Ended, Some(pause)) => Next::AskForRepository(pause),
        (PushFailure::NoRepository, _) => Next::NoRepository,
        (PushFailure::Immutable, _) => Next::Taken,
        (PushFailure::Authentication | PushFailure::Denied | PushFailure::Lasting, _)
        | (PushFailure::Passing | PushFailure::Ended, None) => Next::GiveUp,
    }
}

async fn is_missing(ecr: &Ecr) -> anyhow::Result<bool> {
    Ok(ecr.by_tag(&Tag::latest()).await? == Found::NoRepository)
}

pub(super) fn no_repository(ecr: &Ecr) -> anyhow::Error {
    anyhow::anyhow!("there is no repository {}; {}", ecr.name(), ecr.how_to_create())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        let pause = |seconds| Duration::from_secs(seconds);
        for (kind, token, pauses, expected) in [
            (PushFailure::Authentication, Token::Dockers, 0, Next::NewToken),
            (PushFailure::Authentication, Token::Ecrs, 0, Next::NewToken),
            (PushFailure::Authentication, Token::New, 0, Next::GiveUp),
            (PushFailure::Denied, Token::Dockers, 0, Next::NewToken),
            (PushFailure::Denied, Token::Ecrs, 0, Next::GiveUp),
            (PushFailure::Denied, Token::New, 0, Next::GiveUp),
            (PushFailure::Passing, Token::Ecrs, 0, Next::Pause(pause(1))),
            (PushFailure::Passing, Token::New, 3, Next::Pause(pause(20))),
            (PushFailure::Passing, Token::Dockers, 4, Next::GiveUp),
            (PushFailure::Ended, Token::Ecrs, 1, Next::AskForRepository(pause(3))),
            (PushFailure::Ended, Token::Ecrs, 4, Next::GiveUp),
            (PushFailure::NoRepository, Token::Dockers, 0, Next::NoRepository),
            (PushFailure::Immutable, Token::Ecrs, 0, Next::Taken),
            (PushFailure::Lasting, Token::Dockers, 0, Next::GiveUp),
        ] {
            assert_eq!(next(kind, token, pauses), expected, "{kind:?} {token:?} {pauses}");
        }
    }
}
