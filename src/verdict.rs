//! The last word of a run, for Kubernetes' termination message.

use std::fs::OpenOptions;
use std::io::Write as _;

use serde::Serialize;

use crate::config::Environment;

/// Kubernetes keeps so many bytes of a termination message:
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>.
const LIMIT: usize = 4096;

/// Writes the verdict where kubelet reads it. Only in a cluster: elsewhere the file is not ours.
pub fn leave<T: Serialize>(environment: &Environment, verdict: &T, message: &str) {
    if !environment.is_in_cluster() {
        return;
    }
    let path = environment.text("TERMINATION_MESSAGE_PATH").unwrap_or("/dev/termination-log");
    let text = within_limit(verdict, message);
    // The file is kubelet's: it is there already, or there is nobody to read it.
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::debug!("no verdict left at {path}: {error}");
    }
}

#[derive(Serialize)]
struct Document<'a, T> {
    #[serde(flatten)]
    verdict: &'a T,
    message: &'a str,
}

/// Cuts the message until the whole fits; what is cut is its end.
fn within_limit<T: Serialize>(verdict: &T, message: &str) -> String {
    let mut keep = message.len();
    loop {
        while !message.is_char_boundary(keep) {
            keep -= 1;
        }
        let message = &message[..keep];
        let text = serde_json::to_string(&Document { verdict, message }).unwrap_or_default();
        if text.len() <= LIMIT || keep == 0 {
            return text;
        }
        keep = keep.saturating_sub((text.len() - LIMIT).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Code {
        exit_code: u8,
    }

    #[test]
    fn fits() {
        for message in ["short".to_owned(), "ü\"\n\u{1}".repeat(3000)] {
            let text = within_limit(&Code { exit_code: 5 }, &message);
            assert!(text.len() <= LIMIT, "{}", text.len());
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["exit_code"], 5);
            assert!(message.starts_with(value["message"].as_str().unwrap()));
        }
    }
}
