//! `cargo xtask images`: what the repository in ECR holds.

use xtask::cli::images::Arguments;

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use image::identity::Identity;
use registry::Ecr;
use registry::session::Session;
use settings::{ImageFlags, Settings};
use workspace::project::Project;
use workspace::ui;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    tags: Vec<String>,
    digest: String,
    size: Option<u64>,
    pushed_at: Option<String>,
    platform: Option<String>,
    commit: Option<String>,
    identity: Option<String>,
    media_type: String,
}

pub(crate) async fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let (_, settings) = Settings::read_with_ecr(&ImageFlags::default(), &arguments.ecr, project)?;
    let ecr = Ecr::connect(&settings).await?;
    let Some(images) = ecr.list().await? else {
        bail!("there is no repository {}; {}", ecr.name(), ecr.how_to_create());
    };
    let session = Session::open(&ecr).await?;
    let (ecr, session) = (&ecr, &session);
    let rows: Vec<Row> = futures_util::stream::iter(images)
        .map(|image| async move {
            let described = ecr.describe(&image.digest, session).await?;
            let (config, size) = described.map_or((None, None), |(config, size)| (Some(config), Some(size)));
            let (identities, tags): (Vec<_>, Vec<_>) =
                image.tags.into_iter().partition(|tag| Identity::is_one(tag));
            anyhow::Ok(Row {
                tags,
                digest: image.digest.as_str().to_owned(),
                size,
                pushed_at: image.pushed.map(|time| humantime::format_rfc3339_seconds(time).to_string()),
                platform: config.as_ref().map(|config| config.platform.clone()),
                commit: config.and_then(|config| config.commit),
                identity: identities.into_iter().next(),
                media_type: image.media_type,
            })
        })
        .buffered(8)
        .try_collect()
        .await?;
    if arguments.json {
        ui::document(&serde_json::to_string_pretty(&rows).context("the list can't be written")?);
    } else {
        ui::result(&table(&rows));
    }
    Ok(())
}

/// Columns as wide as what is in them. Digests are whole: they are there to be copied.
fn table(rows: &[Row]) -> String {
    let or_dash = |text: Option<&str>, length: usize| {
        text.map_or_else(|| "–".to_owned(), |text| text.get(..length).unwrap_or(text).to_owned())
    };
    let heading = ["TAGS", "DIGEST", "SIZE", "PUSHED AT", "COMMIT", "IDENTITY"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(heading)
        .chain(rows.iter().map(|row| {
            [
                if row.tags.is_empty() { "–".to_owned() } else { row.tags.join(", ") },
                row.digest.clone(),
                row.size.map_or_else(|| "–".to_owned(), ui::size),
                or_dash(row.pushed_at.as_deref(), 20),
                or_dash(row.commit.as_deref(), 12),
                or_dash(row.identity.as_deref(), 19),
            ]
        }))
        .collect();
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let padded = lines.iter().map(|line| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    padded.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = Row {
            tags: vec!["latest".to_owned(), "v1".to_owned()],
            digest: "sha256:ab".to_owned(),
            size: Some(1_900_000),
            pushed_at: None,
            platform: None,
            commit: Some("0123456789abcdef".to_owned()),
            identity: None,
            media_type: String::new(),
        };
        assert_eq!(
            table(&[row]),
            "TAGS        DIGEST     SIZE    PUSHED AT  COMMIT        IDENTITY\n\
             latest, v1  sha256:ab  1.9 MB  –          0123456789ab  –"
        );
    }
}
