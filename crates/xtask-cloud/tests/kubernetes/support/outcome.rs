//! How a program went.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::io::Read;
use std::process::Child;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// How long a program may take that has nothing to wait for but us.
const LONGEST: Duration = Duration::from_secs(240);

pub(crate) fn wait(mut child: Child) -> Run {
    let stdout = child.stdout.take().map(read);
    let stderr = child.stderr.take().map(read);
    let start = Instant::now();
    let mut is_stuck = false;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        is_stuck = start.elapsed() > LONGEST;
        if is_stuck {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = |reader: Option<JoinHandle<String>>| reader.unwrap().join().unwrap();
    let run = Run { stdout: text(stdout), stderr: text(stderr), code };
    assert!(!is_stuck, "it did not end: {run:#?}");
    run
}

fn read(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

/// As Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
}

impl Run {
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn said(self, said: &[&str]) -> Self {
        for said in said {
            assert!(self.stderr.contains(said), "{said:?} is not in:\n{}", self.stderr);
        }
        self
    }

    #[track_caller]
    pub(crate) fn printed(self, stdout: &str) -> Self {
        assert_eq!(self.stdout, stdout, "stderr:\n{}", self.stderr);
        self
    }
}
