//! The number in front of a script's name: the time it was written (UTC), above every other.

/// The version that a file name begins with.
pub(crate) fn of(name: &str) -> Option<i64> {
    name.strip_suffix(".sql")?.split_once('_')?.0.parse().ok()
}

/// The time, or what follows the newest version when a clock elsewhere was ahead of ours.
pub(crate) fn next(newest: i64, now: u64) -> i64 {
    let mut seconds = now;
    while timestamp(seconds) <= newest && seconds < now + 86_400 {
        seconds += 1;
    }
    timestamp(seconds).max(newest.saturating_add(1))
}

/// Seconds since 1970 as the number YYYYMMDDHHMMSS in UTC (the calendar is Howard Hinnant's `civil_from_days`).
fn timestamp(seconds: u64) -> i64 {
    let (days, second) = ((seconds / 86_400) as i64 + 719_468, (seconds % 86_400) as i64);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = (year * 100 + month) * 100 + day;
    ((date * 100 + second / 3600) * 100 + second / 60 % 60) * 100 + second % 60
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
