//! Whatever is typed for a revision: it is read or refused, what is read is what is printed, and it names the place that
//! counting on one's fingers names.

#![expect(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that can't go on has failed; what it stands on is shared"
)]
#![expect(clippy::print_stdout, reason = "shown where a test has failed")]

use migration_core::revision::{Offset, resolve};
use migration_core::{History, Position, Range, Revision, Version};

use directory::Directory;
use random::{Random, many_times};

#[path = "../../../tests/job/support/directory.rs"]
mod directory;
#[path = "../../../tests/job/support/random.rs"]
mod random;

const PIECES: &[&str] = &[
    "head",
    "base",
    "current",
    "+",
    "-",
    "1",
    "2",
    "0",
    "20",
    "202601",
    "add",
    "_",
    " ",
    ":",
    "ä",
    "\u{301}",
    "\t",
    "\0",
    "--",
    "+1",
    "-1",
    "+18446744073709551616",
    "phone",
    "9223372036854775808",
    "2026-11-05",
    "\"",
    "€",
];

#[test]
fn what_is_read_is_what_is_printed() {
    many_times(20_000, |random| {
        let text = random.text(6, PIECES);
        if let Ok(revision) = text.parse::<Revision>() {
            let printed = revision.to_string();
            assert_eq!(printed.parse(), Ok(revision), "{text:?} {printed:?}");
        }
        if let Ok(Range { from, to }) = text.parse::<Range>() {
            assert_eq!(format!("{from}:{to}").parse(), Ok(Range { from, to }), "{text:?}");
        }
    });
}

#[test]
fn a_walk_of_walks_has_an_end() {
    for text in ["+1".repeat(100_000), "a".repeat(100_000), "head-1".repeat(20_000)] {
        let problem = text.parse::<Revision>().unwrap_err();
        assert_eq!(problem, "is longer than 300 bytes, which no file's name is");
    }
}

const WORDS: &[&str] = &["a", "add", "add phone", "20", "v-2", "x+1", "head"];

/// Some migrations, few enough to count.
fn history(random: &Random) -> (Directory, Vec<(i64, String)>) {
    let directory = Directory::with(&[]);
    let mut migrations = std::collections::BTreeMap::new();
    for _ in 0..=random.below(6) {
        let version =
            i64::try_from([1 + random.below(30), 20_260_101 + random.below(20)][random.below(2)]).unwrap();
        migrations.entry(version).or_insert_with(|| random.of(WORDS).to_owned());
    }
    for (version, description) in &migrations {
        directory.write(&format!("{version}_{}.sql", description.replace(' ', "_")), "SELECT 1;");
    }
    (directory, migrations.into_iter().collect())
}

#[test]
fn a_revision_names_the_place_that_counting_names() {
    let found = std::cell::Cell::new([0; 2]);
    many_times(1_500, |random| {
        let (directory, migrations) = history(random);
        let history = History::read(&directory.migrations()).unwrap();
        let applied: Vec<_> =
            migrations.iter().filter(|_| !random.one_in(3)).map(|(version, _)| Version(*version)).collect();
        for _ in 0..8 {
            let mut text = random.of(&["head", "base", "current", "2", "20260", "add", "v", ""]).to_owned();
            if random.one_in(2) {
                let (version, description) = &migrations[random.below(migrations.len())];
                text = if random.one_in(2) { version.to_string() } else { description.replace(' ', "_") };
            }
            if random.one_in(2) {
                text = format!("{text}{}{}", random.of(&["+", "-"]), 1 + random.below(4));
            }
            let Ok(revision) = text.parse::<Revision>() else { continue };
            let is = resolve(&revision, &history, Some(&applied)).ok();
            assert_eq!(
                is,
                counted(&revision, &migrations, &applied),
                "{text} in {migrations:?}, applied {applied:?}"
            );
            let mut counts = found.get();
            counts[usize::from(is.is_some())] += 1;
            found.set(counts);
        }
    });
    assert!(found.get().iter().all(|&count| count > 1_000), "{:?}", found.get());
}

/// As slowly and plainly as it can be said.
fn counted(revision: &Revision, migrations: &[(i64, String)], applied: &[Version]) -> Option<Position> {
    let called = |name: &str| {
        let mut same = migrations.iter().filter(|(_, description)| *description == name.replace('_', " "));
        let first = same.next()?;
        same.next().is_none().then_some(Position::At(Version(first.0)))
    };
    match revision {
        Revision::Base => Some(Position::Base),
        Revision::Head => migrations.last().map(|(version, _)| Position::At(Version(*version))),
        Revision::Current => Some(applied.last().map_or(Position::Base, |version| Position::At(*version))),
        Revision::Named(name) => {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            let whole = migrations.iter().find(|(version, _)| version.to_string() == *name);
            let begins: Vec<_> = migrations
                .iter()
                .filter(|(version, _)| is_number && version.to_string().starts_with(name.as_str()))
                .collect();
            match (whole, begins.as_slice()) {
                (Some((version, _)), _) | (None, [(version, _)]) => Some(Position::At(Version(*version))),
                (None, []) => called(name),
                (None, _) => None,
            }
        }
        Revision::Offset(from, offset) => {
            if **from != Revision::Current
                && let Some(place) = called(&revision.to_string())
            {
                return Some(place);
            }
            let mut place = counted(from, migrations, applied)?;
            let all: Vec<_> = migrations.iter().map(|(version, _)| Position::At(Version(*version))).collect();
            let down: Vec<_> = if from.is_relative_to_current() {
                applied.iter().map(|version| Position::At(*version)).collect()
            } else {
                all.clone()
            };
            let (steps, up) = match offset {
                Offset::Up(steps) => (steps.get(), true),
                Offset::Down(steps) => (steps.get(), false),
            };
            for _ in 0..steps {
                place = match (up, place) {
                    (true, _) => all.iter().copied().find(|next| *next > place)?,
                    (false, Position::Base) => return None,
                    (false, _) => down.iter().copied().rfind(|next| *next < place).unwrap_or(Position::Base),
                };
            }
            Some(place)
        }
    }
}
