//! Running a command for its time, its memory, and nothing else.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// No further command is begun: the measurement fails, and what it has started is taken down on the way out.
pub(super) fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Wall time in milliseconds. A command that fails has nothing to say about time.
pub(super) fn time(command: &mut Command) -> anyhow::Result<f64> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let took = start.elapsed();
    if !output.status.success() {
        let said = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        bail!("{} failed ({}): {}", command.get_program().display(), output.status, said.join("\n").trim());
    }
    Ok(took.as_secs_f64() * 1000.0)
}

/// The most memory a command has had resident, in bytes. The kernel keeps the maximum, so looking often is only needed
/// to look once near the end. (`ru_maxrss` of a child would begin with our own.)
pub(super) fn peak_memory(command: &mut Command) -> anyhow::Result<u64> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run the job")?;
    let mut peak = 0;
    while child.try_wait().context("cannot wait for the job")?.is_none() {
        peak = peak.max(high_water(&child));
        std::thread::sleep(Duration::from_micros(300));
    }
    let status = child.wait().context("cannot wait for the job")?;
    if peak == 0 || !status.success() {
        bail!("the job's memory can't be measured: it ended with {status}, and /proc said {peak} bytes");
    }
    Ok(peak)
}

fn high_water(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    kilobytes(&status).unwrap_or_default() * 1024
}

fn kilobytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_high_water_mark_is_read() {
        assert_eq!(super::kilobytes("Name:\ta\nVmHWM:\t    5120 kB\nVmRSS:\t  10 kB\n"), Some(5120));
        assert_eq!(super::kilobytes("Name:\ta\n"), None);
    }
}
