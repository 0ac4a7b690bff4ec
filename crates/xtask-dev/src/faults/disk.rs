//! A small disk of a server's own, in memory, that can be filled. Mounting takes root.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use workspace::{process, ui};

/// Unmounted when dropped.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
}

/// A cluster of the newest version, its log and the databases of the campaign need two thirds of it.
const SIZE: &str = "size=300m,mode=0711";

impl Disk {
    /// Whether one can be had here.
    pub(super) fn can_be_had() -> bool {
        cfg!(target_os = "linux") && rustix::process::geteuid().is_root() && process::find("mount").is_some()
    }

    pub(super) fn mount(path: &Path) -> anyhow::Result<Self> {
        process::output(Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(path))
            .context("cannot mount a small disk")?;
        Ok(Self { path: path.to_owned() })
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Leaves no room at all.
    pub(super) fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.ballast()).context("cannot fill the disk")?;
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(())
    }

    /// Takes that back.
    pub(super) fn relieve(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.ballast()).context("cannot make room on the disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = process::output(Command::new("umount").arg("--lazy").arg(&self.path)) {
            ui::warning(format!("{error:#}"));
        }
    }
}
