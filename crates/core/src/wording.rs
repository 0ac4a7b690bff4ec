//! Counts and durations, as people read them.

use std::path::Path;
use std::time::Duration;

use foreign_text::one_line;

/// `1 setting is`, `3 settings are`
pub fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// `1 migration`, `2 migrations`
pub fn migrations(count: usize) -> String {
    counted(count, "migration", "migrations")
}

/// Each on a line of its own, as text that is no more than text.
pub fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("\n  {}", one_line(&item.to_string()))).collect()
}

/// The first few, and how many more.
pub fn shortened(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = items.len().saturating_sub(SHOWN);
    let shown = items.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// A file's or a directory's name, which may hold anything.
pub fn path(path: &Path) -> String {
    one_line(&path.display().to_string())
}

/// `200 ms`, `6.6 s`, `1 min 30 s`, `2 h 5 min`; what is finer is cut off.
pub fn duration(duration: Duration) -> String {
    let (milliseconds, seconds) = (duration.as_millis(), duration.as_secs());
    let two = |large: u64, unit: &str, small: u64, smaller: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {smaller}") }
    };
    match seconds {
        0 if milliseconds > 0 => format!("{milliseconds} ms"),
        0..60 => match milliseconds / 100 % 10 {
            0 => format!("{seconds} s"),
            tenths => format!("{seconds}.{tenths} s"),
        },
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        _ => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
    }
}

/// The same without fractions of a second.
pub fn whole_seconds(long: Duration) -> String {
    duration(Duration::from_secs(long.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (milliseconds, text) in [
            (0, "0 s"),
            (999, "999 ms"),
            (1000, "1 s"),
            (6_689, "6.6 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (90_500, "1 min 30 s"),
            (3_600_000, "1 h"),
            (7_530_000, "2 h 5 min"),
            (360_000_000, "100 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
