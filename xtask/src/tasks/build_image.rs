//! `cargo xtask build-image`: the binary, the scripts, one image.

use anyhow::Context;

use docker::build::Build;
use docker::{Docker, ImageStore};
use image::archive::{Archive, Contents, Layer, Layers, Packing};
use image::binary::{self, Compiler};
use image::context;
use image::name::{Digest, Tag};
use image::platform::Platform;
use image::provenance::Provenance;
use image::reference::TaggedReference;
use settings::{ImageFlags, PostgresFlags, Settings};
use workspace::given::Mistakes;
use workspace::project::Project;
use workspace::ui;

/// Build the image of the job
///
/// Prints the reference of the image on stdout. After a change to migrations/ alone nothing is compiled, and the
/// binary's layer stays the same bit for bit.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask build-image
  cargo xtask build-image --tag v1.2.0
  docker run --rm \"$(cargo xtask build-image)\" --help

Environment: IMAGE and DOCKER_DEFAULT_PLATFORM as above; DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS, \
DOCKER_TLS_VERIFY, XDG_RUNTIME_DIR and DOCKER_BUILDKIT (0 or 1: which builder) as the docker CLI reads them.

The binary is compiled here where a static program links (a musl target, or gcc and glibc's static library), else \
inside Docker.")]
pub struct Arguments {
    /// Tag of the image
    #[arg(long, default_value = "latest")]
    tag: String,
    /// Say what would be built and how, build nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    flags: ImageFlags,
}

pub(crate) async fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let mut mistakes = Mistakes::default();
    let settings = Settings::gather(&arguments.flags, &PostgresFlags::default(), project, &mut mistakes)?;
    let tag = mistakes.found("--tag", Tag::parse(&arguments.tag));
    let (settings, tag) = mistakes.or(settings.zip(tag))?;
    let reference = settings.image.clone().tagged(tag);
    let docker = Docker::connect().await;
    if arguments.dry_run {
        let how = match Compiler::choose(project, settings.platform) {
            Compiler::Host { target } => format!("compiled here for {target}"),
            Compiler::Docker { why } => format!("compiled in Docker: {why}"),
        };
        let docker = docker.map_or_else(
            |error| format!("no Docker: {error:#}"),
            |docker| format!("Docker {}", docker.daemon.version),
        );
        ui::note(
            "Would build",
            format!("{reference} for {}, the binary {how}, by {docker}", settings.platform.name()),
        );
        return Ok(());
    }
    let docker = docker.context("no image can be built without Docker")?;
    let image = build(project, &settings, &docker, &reference).await?;
    summarize(&reference, &image);
    ui::result(&reference.to_string());
    Ok(())
}

/// An image that the local Docker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    pub id: String,
    pub contents: Contents,
}

/// The image of this tree, byte for byte.
pub async fn pack(
    project: &Project,
    settings: &Settings,
    docker: &Docker,
    reference: &TaggedReference,
) -> anyhow::Result<Archive> {
    let platform = settings.platform;
    let binary = match Compiler::choose(project, platform) {
        Compiler::Host { target } => binary::compile(project, &target).await?,
        Compiler::Docker { why } => {
            ui::note("Compiling", format!("in Docker: {why}"));
            compile_in(docker, project, platform).await?.1
        }
    };
    let layers = Layers::of(project, platform, binary)?;
    Archive::pack(reference, platform, &Provenance::read(project), layers, packing(docker.daemon.store))
}

/// The image that the stage `compile` becomes, and the binary in it.
pub(super) async fn compile_in(
    docker: &Docker,
    project: &Project,
    platform: Platform,
) -> anyhow::Result<(String, Vec<u8>)> {
    let context = context::compile(project)?;
    let stage = docker.build(Build { target: "compile", platform: platform.name(), context }).await?;
    let binary = docker.file_of(&stage, platform.name(), "/run-migrations").await?;
    Ok((stage, binary))
}

/// Builds under a reference and makes sure of what was built.
pub async fn build(
    project: &Project,
    settings: &Settings,
    docker: &Docker,
    reference: &TaggedReference,
) -> anyhow::Result<BuiltImage> {
    let Archive { contents, tar } = pack(project, settings, docker, reference).await?;
    let waiting = ui::waiting("Loading", "image");
    let id = Digest::of(&contents.config).to_string();
    // What is there already is not sent again.
    if docker.id_of(&reference.to_string()).await?.as_ref() != Some(&id) {
        docker.load(tar).await?;
    }
    drop(waiting);
    let name = match docker.daemon.store {
        ImageStore::Own => id,
        ImageStore::Containerd => reference.to_string(),
    };
    let id = docker
        .id_of(&name)
        .await?
        .with_context(|| format!("Docker took the image in, but knows no {name}"))?;
    Ok(BuiltImage { id, contents })
}

/// What an engine uploads as it got it had better be small.
fn packing(store: ImageStore) -> Packing {
    match store {
        ImageStore::Own => Packing::Plain,
        ImageStore::Containerd => Packing::Gzip,
    }
}

pub fn summarize(reference: &TaggedReference, image: &BuiltImage) {
    let layers = &image.contents.layers;
    let size: u64 = layers.iter().map(|layer| layer.size).sum();
    ui::done("Built", format!("{reference}, {} in {} layers", ui::size(size), layers.len()));
    for Layer { name, digest, size, .. } in layers {
        ui::note(name, format!("{} {:>8}", short(digest), ui::size(*size)));
    }
    ui::note("image", &image.id);
}

/// Enough of a digest to compare by eye.
fn short(digest: &Digest) -> &str {
    digest.as_str().get(..19).unwrap_or(digest.as_str())
}
