//! `cargo xtask sbom`: what the image and its binary are made of, by digest.

mod document;
mod runtime;

use anyhow::Context;

use crate::tasks::build_image;
use docker::Docker;
use document::{Bill, Origin};
use image::archive::Layers;
use image::binary::{self, Compiler};
use image::name::Digest;
use image::provenance::Provenance;
use image::reference::PinnedReference;
use image::sealed::Sealed;
use image::sealed::closure::{Closure, Which};
use settings::{ImageFlags, PostgresFlags, Settings};
use workspace::git::git;
use workspace::given::Mistakes;
use workspace::project::Project;
use workspace::{process, ui};

/// Print the bill of materials of the image, in SPDX 2.3
///
/// Every crate that is linked into the binary for the image's platform, with version, licence and checksum; Rust's
/// standard library, the libc and the compiler's library; and the digests of the binary, of the layers, and of the image
/// if it is named. Compiles the binary unless that is done. The same commit gives the same document.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask sbom > run-migrations.spdx.json
  cargo xtask sbom \"$(cargo xtask push-image)\" > run-migrations.spdx.json

Environment: DOCKER_DEFAULT_PLATFORM, the platform of the image.")]
pub struct Arguments {
    /// Image that the document is to name, by digest: `repository@sha256:…`
    #[arg(value_name = "REFERENCE")]
    reference: Option<String>,
    #[command(flatten)]
    image: ImageFlags,
}

pub(crate) async fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let mut mistakes = Mistakes::default();
    let reference = arguments.reference.as_deref().map(PinnedReference::parse);
    let reference = reference.and_then(|reference| mistakes.found("REFERENCE", reference));
    let settings = Settings::gather(&arguments.image, &PostgresFlags::default(), project, &mut mistakes)?;
    let settings = mistakes.or(settings)?;
    let platform = settings.platform;
    let sealed = Sealed::of(project)?;
    let (binary, runtime, target) = match Compiler::choose(project, platform) {
        Compiler::Host { target } => {
            let binary = binary::compile(project, &target).await?;
            (binary, runtime::of_host(sealed.toolchain(), &target)?, target)
        }
        Compiler::Docker { why } => {
            ui::note("Compiling", format!("in Docker: {why}"));
            let docker = Docker::connect().await.context("the binary is compiled in Docker here")?;
            let (stage, binary) = build_image::compile_in(&docker, project, platform).await?;
            let runtime = runtime::of_stage(&docker, &stage, platform).await?;
            (binary, runtime, format!("{}-unknown-linux-gnu", platform.rust()))
        }
    };
    let digest = Digest::of(&binary);
    let layers = Layers::of(project, platform, binary)?;
    let closure = sealed.closure(Which::Linked, &[target])?;
    let bill = Bill {
        origin: origin(project)?,
        image: reference.as_ref(),
        binary: digest,
        layers: vec![("binary", Digest::of(&layers.program)), ("migrations", Digest::of(&layers.scripts))],
        checksums: checksums(&sealed, &closure)?,
        closure: &closure,
        runtime,
    };
    let document = document::write(&bill);
    ui::document(&serde_json::to_string_pretty(&document).context("the document can't be written")?);
    Ok(())
}

fn origin(project: &Project) -> anyhow::Result<Origin> {
    let show = |format: &str| {
        let mut git = git(project.root());
        git.env("TZ", "UTC0");
        git.args(["show", "--no-patch", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", format, "HEAD"]);
        process::output(&mut git).map(|said| said.trim().to_owned()).context("git does not tell the commit")
    };
    let repository = Some(Provenance::read(project).source).filter(|source| source != "unknown");
    Ok(Origin { commit: show("--format=%H")?, time: show("--format=%cd")?, repository })
}

/// Of what is downloaded, by name and version.
fn checksums(
    sealed: &Sealed,
    closure: &Closure,
) -> anyhow::Result<std::collections::BTreeMap<(String, String), String>> {
    let mut checksums = std::collections::BTreeMap::new();
    for one in &closure.crates {
        if let Some(checksum) = &sealed.locked(&one.name, &one.version)?.checksum {
            checksums.insert((one.name.clone(), one.version.clone()), checksum.clone());
        }
    }
    Ok(checksums)
}
