//! The moments of a run at which a fault can come: around every message between the job and the server.

use std::fmt;
use std::str::FromStr;

use super::wire::Speaker;

/// Counted from 1, over all connections of a run and both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// The message was sent and has not arrived.
    Before(usize),
    /// It has just arrived, and its receiver sets to work.
    After(usize),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(message) => write!(f, "{message}"),
            Self::After(message) => write!(f, "{message}+"),
        }
    }
}

impl FromStr for Moment {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let number =
            |text: &str| text.parse().map_err(|_| anyhow::anyhow!("{text:?} is not a message's number"));
        match text.strip_suffix('+') {
            Some(text) => number(text).map(Self::After),
            None => number(text).map(Self::Before),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its connection, counted from 0.
    pub(super) link: usize,
    pub(super) speaker: Speaker,
    pub(super) tag: Option<u8>,
    /// A query that commits.
    pub(super) commits: bool,
    /// A query that builds or drops an index while others work on the table.
    pub(super) concurrent: bool,
}

/// Every moment of a run that is worth a try. After an answer of the server nobody works before the next message, so
/// that moment is the one before it; and of the settings that a server tells one after the other, the first will do.
pub(super) fn all(seen: &[Seen]) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut before = None;
    for (message, number) in seen.iter().zip(1..) {
        let repeats =
            message.tag == Some(b'S') && message.speaker == Speaker::Server && before == Some(*message);
        before = Some(*message);
        if !repeats {
            moments.push(Moment::Before(number));
        }
        if message.speaker == Speaker::Client {
            moments.push(Moment::After(number));
        }
    }
    moments
}

/// The moments while a commit is under way: from the query that holds it to the server's last answer.
pub(super) fn of_commits(seen: &[Seen]) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut committing = None;
    for (message, number) in seen.iter().zip(1..) {
        if message.commits {
            committing = Some(message.link);
            moments.extend([Moment::Before(number), Moment::After(number)]);
        } else if committing == Some(message.link) {
            moments.push(Moment::Before(number));
            if message.tag == Some(b'Z') {
                committing = None;
            }
        }
    }
    moments
}

/// Whether something may have been committed at a moment of which the job heard no more: from the first query that
/// commits to the answer to the last. Between two of them stand the statements of a script without a
/// transaction, or nothing.
pub(super) fn is_in_doubt(seen: &[Seen], moment: Moment) -> bool {
    let (Moment::Before(at) | Moment::After(at)) = moment;
    let commits = |message: &Seen| message.commits;
    let (Some(first), Some(last)) = (seen.iter().position(commits), seen.iter().rposition(commits)) else {
        return false;
    };
    let is_answer = |message: &Seen| message.link == seen[last].link && message.tag == Some(b'Z');
    let answered = seen.iter().skip(last).position(is_answer).map_or(seen.len(), |after| last + after);
    (first + 1..=answered + 1).contains(&at)
}

/// The moments at which an index begins to be built or dropped while others work on the table.
pub(super) fn of_builds(seen: &[Seen]) -> Vec<Moment> {
    let builds = seen.iter().zip(1..).filter(|(message, _)| message.concurrent);
    builds.map(|(_, number)| Moment::Before(number)).collect()
}

/// At most so many, spread over all of them; which ones depends on the seed.
pub(super) fn spread(moments: &[Moment], most: usize, seed: u64) -> Vec<Moment> {
    if moments.len() <= most {
        return moments.to_vec();
    }
    let offset = pseudo_random(seed) % moments.len() as u64;
    let place = |index: usize| (index * moments.len() / most + offset as usize) % moments.len();
    let mut chosen: Vec<_> = (0..most).filter_map(|index| moments.get(place(index)).copied()).collect();
    chosen.sort();
    chosen
}

/// A number that looks random, from one that does not: <https://prng.di.unimi.it/splitmix64.c>.
pub(super) fn pseudo_random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<Seen> {
        // `>` the client, `<` the server, `!` a query that commits.
        let message = |word: &str| Seen {
            link: 0,
            speaker: if word.starts_with('<') { Speaker::Server } else { Speaker::Client },
            tag: word.bytes().last(),
            commits: word.starts_with('!'),
            concurrent: word.starts_with('^'),
        };
        text.split_whitespace().map(message).collect()
    }

    fn words(moments: &[Moment]) -> String {
        moments.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn moments_are_found() {
        let run = seen(">p <S <S <S <Z >Q <C <Z !Q <C <C <Z >X");
        assert_eq!(words(&all(&run)), "1 1+ 2 5 6 6+ 7 8 9 9+ 10 11 12 13 13+");
        assert_eq!(words(&of_commits(&run)), "9 9+ 10 11 12");
        assert_eq!(words(&of_builds(&seen(">p <Z ^Q <C <Z ^Q"))), "3 6");
    }

    #[test]
    fn what_is_in_doubt_is_known() {
        let in_doubt = |run: &str| {
            let seen = seen(run);
            words(&all(&seen).into_iter().filter(|moment| is_in_doubt(&seen, *moment)).collect::<Vec<_>>())
        };
        assert_eq!(in_doubt(">p <Z >Q <C <Z !Q <C <Z >X"), "6 6+ 7 8");
        assert_eq!(in_doubt(">p <Z !Q <Z ^Q <Z !Q <Z >Q <Z"), "3 3+ 4 5 5+ 6 7 7+ 8");
        assert_eq!(in_doubt(">p <Z >Q <Z"), "");
    }

    #[test]
    fn moments_are_read_as_written() {
        for text in ["1", "27+"] {
            assert_eq!(text.parse::<Moment>().unwrap().to_string(), text);
        }
        assert!("+".parse::<Moment>().is_err());
    }

    #[test]
    fn a_sample_is_spread_and_depends_on_the_seed() {
        let moments: Vec<_> = (1..=100).map(Moment::Before).collect();
        let first = spread(&moments, 10, 1);
        assert_eq!(first.len(), 10);
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(first, spread(&moments, 10, 1));
        assert_ne!(first, spread(&moments, 10, 2));
        assert_eq!(spread(&moments[..3], 10, 1), moments[..3]);
    }
}
