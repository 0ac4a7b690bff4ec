//! The image that was verified before it is promoted.

use anyhow::bail;

use image::name::Digest;
use registry::Ecr;
use registry::images::Found;

/// The image must still be there. What takes its place was verified by nobody.
pub(super) async fn still_there(ecr: &Ecr, digest: &Digest) -> anyhow::Result<()> {
    let Found::Image(_) = ecr.by_digest(digest).await? else {
        bail!(
            "nothing is pushed and no tag is given: {} no longer holds {digest}, the image that was verified; find out who \
             deleted it, then run this again from the verification on",
            ecr.name()
        );
    };
    Ok(())
}
