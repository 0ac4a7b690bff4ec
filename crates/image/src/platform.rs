//! The platforms that the job is built for.

use anyhow::bail;

/// A platform the job can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Amd64,
    Arm64,
}

impl Platform {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        match text {
            "linux/amd64" => Ok(Self::Amd64),
            "linux/arm64" | "linux/arm64/v8" => Ok(Self::Arm64),
            other => bail!("platform {other:?} is not supported; use linux/amd64 or linux/arm64"),
        }
    }

    /// The one a measurement runs on.
    pub fn of_this_machine() -> anyhow::Result<Self> {
        Self::parse(&format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }))
    }

    /// As Docker writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }

    /// The architecture as Docker names it in an image's config.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture as Rust names it.
    pub fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}
