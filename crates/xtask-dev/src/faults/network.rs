//! Another node: a network namespace, and a cable to it. Making it takes root and iproute2.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};

use workspace::{process, ui};

/// Gone when dropped, with the cable.
#[derive(Debug)]
pub(super) struct Network {
    /// Of the namespace.
    name: String,
    /// Its end of the cable.
    cable: String,
    /// The first three numbers of the addresses, of which this end has 1 and the other one 2.
    prefix: String,
}

impl Network {
    pub(super) fn make() -> anyhow::Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        if !rustix::process::geteuid().is_root() || process::find("ip").is_none() {
            bail!("another node takes root and the program ip (Debian, Ubuntu: apt-get install iproute2)");
        }
        let id = std::process::id();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("run-migrations-{id}-{number}");
        let prefix = format!("10.{}.{}", 200 + id % 50, (id / 50 + number as u32) % 256);
        let network = Self { name, cable: format!("rm{id}n{number}"), prefix };
        ip(&["netns", "add", &network.name])?;
        let ours = format!("rm{id}h{number}");
        ip(&["link", "add", &ours, "type", "veth", "peer", "name", &network.cable, "netns", &network.name])?;
        ip(&["addr", "add", &format!("{}/30", network.here()), "dev", &ours])?;
        ip(&["link", "set", &ours, "up"])?;
        ip(&["-n", &network.name, "link", "set", &network.cable, "up"])?;
        network.find_again()?;
        Ok(network)
    }

    /// Where the other node finds us.
    pub(super) fn here(&self) -> String {
        format!("{}.1", self.prefix)
    }

    pub(super) fn there(&self) -> String {
        format!("{}.2", self.prefix)
    }

    /// The same command on the other node, where the server is at our address.
    pub(super) fn on_node(&self, command: &Command) -> anyhow::Result<Command> {
        let mut far = Command::new(process::find("ip").context("ip is gone")?);
        far.args(["netns", "exec", &self.name])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear();
        far.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        far.env("POSTGRES_HOST", self.here());
        if let Some(directory) = command.get_current_dir() {
            far.current_dir(directory);
        }
        Ok(far)
    }

    /// Whatever is sent to it vanishes; it can't say anything, and not that it is gone.
    pub(super) fn lose(&self) -> anyhow::Result<()> {
        self.address("del")
    }

    pub(super) fn find_again(&self) -> anyhow::Result<()> {
        self.address("add")
    }

    fn address(&self, verb: &str) -> anyhow::Result<()> {
        ip(&["-n", &self.name, "addr", verb, &format!("{}/30", self.there()), "dev", &self.cable])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable goes with its end.
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            ui::warning(format!("{error:#}"));
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    process::output(Command::new("ip").args(arguments)).map(drop).context("another node can't be made")
}
