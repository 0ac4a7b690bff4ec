//! What the user sees: results on stdout; steps, notes and errors on stderr, in cargo's own shape. Whatever others have
//! written in it, a daemon, a server, a pod, is shown as text.

use anyhow::Context;
use std::io::IsTerminal;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use foreign_text::styled;
use foreign_text::{json, lines, one_line};
use indicatif::{ProgressBar, ProgressStyle};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// The result of a task, alone on stdout, for a person. A reader that has gone away (`| head`) is not an error.
pub fn result(text: &str) {
    exact(&lines(text));
}

/// A result that is a JSON document.
pub fn document(text: &str) {
    exact(&json(text));
}

/// A result that a program reads, byte for byte: a token, a script, a manifest.
pub fn exact(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A command to GitHub's runner.
pub fn command(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A result with colours, where those are wanted.
pub fn table(text: &str) {
    use std::io::Write;
    let _ = anstream::stdout().lock().write_all(styled(text).as_bytes());
}

/// What clap has to say; words that were typed are shown as text.
pub fn usage(error: &clap::Error) -> std::process::ExitCode {
    let text = error.to_string();
    if lines(&text) == text {
        // A reader that has gone away has seen enough.
        let _ = error.print();
    } else {
        anstream::eprintln!("{}", lines(&text));
    }
    std::process::ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

pub fn done(verb: &str, what: impl std::fmt::Display) {
    line(GOOD, verb, &what.to_string());
}

/// Something the user may want to know or paste.
pub fn note(label: &str, what: impl std::fmt::Display) {
    line(NOTE, label, &what.to_string());
}

/// What is lost may be data: a person says yes, here or in the command.
pub fn confirm(what: &str) -> anyhow::Result<()> {
    use std::io::BufRead;
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("stdin is not a terminal, so nobody can be asked whether to {what}; pass --yes");
    }
    note("Really", format!("{what}? yes or no"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != "yes" {
        anyhow::bail!("aborted: not confirmed");
    }
    Ok(())
}

/// Something did not go as usual; the task goes on.
pub fn warning(what: impl std::fmt::Display) {
    line(WARNING, "Warning", &what.to_string());
}

/// Output of another program, as it comes.
pub(crate) fn passed_on(text: &str) {
    for text in text.lines() {
        anstream::eprintln!("{:>12} {}", "", lines(text));
    }
}

/// A line of the job's log, as the job writes it on a terminal.
pub fn logged(level: &str, text: &str) {
    let style = match level {
        "ERROR" => ERROR,
        "WARN" => WARNING,
        _ => GOOD,
    };
    anstream::eprintln!("{style}{:>5}{style:#} {}", one_line(level), continued(text));
}

/// The one place where an error is shown: the sentence, then what caused it.
pub fn error(error: &anyhow::Error) {
    anstream::eprintln!("{ERROR}error{ERROR:#}: {}", continued(&error.to_string()));
    for cause in causes(error) {
        anstream::eprintln!("  {NOTE}because{NOTE:#} {}", continued(&cause));
    }
}

/// Below the sentence; a cause that the one before has quoted already says nothing new.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let told: Vec<_> = error.chain().map(ToString::to_string).collect();
    let new = told.windows(2).filter(|pair| !pair[0].contains(&pair[1]));
    new.map(|pair| pair[1].clone()).collect()
}

fn line(style: Style, label: &str, text: &str) {
    anstream::eprintln!("{style}{:>12}{style:#} {}", one_line(label), continued(text));
}

/// Text whose further lines begin with white space, and so are none of our own.
fn continued(text: &str) -> String {
    let text = lines(text);
    let mut parts = text.split('\n');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(if part.is_empty() || part.starts_with(' ') { "\n" } else { "\n  " });
        shown.push_str(part);
    }
    shown
}

/// Whether both streams of a program whose output passes through us may have colours.
pub fn colours() -> bool {
    let wanted = |choice| choice != anstream::ColorChoice::Never;
    wanted(anstream::AutoStream::choice(&std::io::stdout()))
        && wanted(anstream::AutoStream::choice(&std::io::stderr()))
}

/// A spinner on a terminal, one plain line elsewhere; gone when dropped.
pub struct Waiting(Option<ProgressBar>);

/// Says what is being waited for until the returned value is dropped.
pub fn waiting(verb: &str, what: impl std::fmt::Display) -> Waiting {
    if !std::io::stderr().is_terminal() {
        note(verb, what);
        return Waiting(None);
    }
    let bar = ProgressBar::new_spinner().with_message(one_line(&format!("{verb:>11} {what}")));
    if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan}{msg} {elapsed:.dim}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    Waiting(Some(bar))
}

/// The same, with nothing printed where there is no terminal: for what reports itself when it is done.
pub fn quietly_waiting(what: impl std::fmt::Display) -> Waiting {
    if std::io::stderr().is_terminal() { waiting("Checking", what) } else { Waiting(None) }
}

impl Waiting {
    /// Output of another program, as it comes, above the spinner.
    pub fn print(&self, text: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| passed_on(text)),
            None => passed_on(text),
        }
    }

    /// Prints with the spinner out of the way.
    pub fn aside(&self, print: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// A step of the work: what the spinner says from now on, a line elsewhere.
    pub fn step(&self, text: &str) {
        match &self.0 {
            Some(_) => self.say(text),
            None => passed_on(text),
        }
    }

    /// Replaces what the spinner says; elsewhere nothing is printed, since such lines come by the hundred.
    pub fn say(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(one_line(what));
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Bytes as people read them.
pub fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["kB", "MB", "GB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cause_is_told_once() {
        let chain = |texts: &[&str]| {
            let (first, others) = texts.split_first().unwrap();
            others.iter().fold(anyhow::anyhow!("{first}"), |error, text| error.context((*text).to_owned()))
        };
        for (texts, expected) in [
            (&["a"][..], &[][..]),
            (&["no such file", "cannot read it"], &["no such file"]),
            (&["no such file", "read: no such file", "cannot start"], &["read: no such file"]),
            (&["c", "b", "a: b"], &["c"]),
        ] {
            assert_eq!(super::causes(&chain(texts)), expected);
        }
    }

    /// A kubelet's sentence, or a program's, looked like a line of ours.
    #[test]
    fn what_others_say_stays_what_they_say() {
        for (text, shown) in [
            ("a", "a"),
            ("a\n  b: c\n\n", "a\n  b: c\n\n"),
            ("no\rok\ndone: it is at 999", "no\\rok\n  done: it is at 999"),
            (
                "a\n::add-mask::x ##[add-mask]y\x1b[2J",
                "a\n  \\u{3a}:add-mask::x #\\u{23}[add-mask]y\\u{1b}[2J",
            ),
        ] {
            assert_eq!(super::continued(text), shown);
        }
    }

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (3_400_000, "3.4 MB"),
            (5_000_000_000_000, "5000.0 GB"),
        ] {
            assert_eq!(super::size(bytes), text);
        }
    }
}
