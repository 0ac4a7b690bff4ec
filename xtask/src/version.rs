//! The number in front of a script's name: the time it was written (UTC), above every other.

use std::time::{Duration, UNIX_EPOCH};

use migration_core::file_name::FileName;

/// The version that a file name begins with.
pub(crate) fn of(name: &str) -> Option<i64> {
    Some(FileName::parse(name).ok()?.version.0)
}

/// The time, or what follows the newest version when a clock elsewhere was ahead of ours.
pub(crate) fn next(newest: i64, now: u64) -> i64 {
    let mut seconds = now;
    while timestamp(seconds) <= newest && seconds < now + 86_400 {
        seconds += 1;
    }
    timestamp(seconds).max(newest.saturating_add(1))
}

/// Seconds since 1970 as the number YYYYMMDDHHMMSS in UTC.
fn timestamp(seconds: u64) -> i64 {
    let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    date.bytes().filter(u8::is_ascii_digit).fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_utc_timestamps() {
        for (seconds, version) in [
            (0, 19_700_101_000_000),
            (951_782_399, 20_000_228_235_959),
            (951_782_400, 20_000_229_000_000),
            (1_709_210_096, 20_240_229_123_456),
            (1_798_761_599, 20_261_231_235_959),
            (4_107_542_400, 21_000_301_000_000),
        ] {
            assert_eq!(timestamp(seconds), version);
        }
    }

    #[test]
    fn a_version_is_above_every_other() {
        for (newest, version) in [
            (0, 20_240_229_123_456),
            (20_240_101_000_000, 20_240_229_123_456),
            (20_240_229_123_456, 20_240_229_123_457),
            (20_240_229_123_459, 20_240_229_123_500),
            (20_300_101_000_000, 20_300_101_000_001),
        ] {
            assert_eq!(next(newest, 1_709_210_096), version, "{newest}");
        }
    }

    #[test]
    fn only_scripts_have_a_version() {
        for (name, version) in
            [("1_a.up.sql", Some(1)), ("99999999999999.txt", None), ("x_y.sql", None), ("1_a.txt", None)]
        {
            assert_eq!(of(name), version);
        }
    }
}
