//! The layers of an image on their way to a registry: a bar for each on a terminal, a line for each elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::docker::image::Layer;
use crate::docker::push::Event;
use crate::ui;

/// What is known of the layers so far.
pub(crate) struct Layers {
    /// By the daemon's short name: what is in it, and how much that is before compression.
    known: BTreeMap<String, (&'static str, u64)>,
    bars: BTreeMap<String, ProgressBar>,
    all: Option<MultiProgress>,
    /// Those the daemon will try again.
    waiting: BTreeSet<String>,
    pushed: Vec<String>,
    existing: usize,
    order: Vec<String>,
}

impl Layers {
    pub(crate) fn new(layers: &[Layer]) -> Self {
        let short = |digest: &str| digest.trim_start_matches("sha256:").chars().take(12).collect::<String>();
        let contents = ["binary", "migrations"].into_iter().chain(std::iter::repeat("layer"));
        let order = layers.iter().map(|layer| short(&layer.digest)).collect();
        let known =
            layers.iter().zip(contents).map(|(layer, content)| (short(&layer.digest), (content, layer.size)));
        Self {
            known: known.collect(),
            bars: BTreeMap::new(),
            all: std::io::stderr().is_terminal().then(MultiProgress::new),
            waiting: BTreeSet::new(),
            pushed: Vec::new(),
            existing: 0,
            order,
        }
    }

    /// Which layers went up, by their place in the image, and how many were there.
    pub(crate) fn result(&self) -> (Vec<usize>, usize) {
        let places = self.order.iter().zip(0..).filter(|(layer, _)| self.pushed.contains(layer));
        (places.map(|(_, place)| place).collect(), self.existing)
    }

    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Pushing { layer, done, total } => {
                self.waiting.remove(layer);
                self.advance(layer, *done, *total);
            }
            Event::Pushed { layer } => {
                self.pushed.push(layer.clone());
                self.end("Pushed", layer);
            }
            Event::Exists { layer } => {
                self.existing += 1;
                self.end("In registry", layer);
            }
            // It comes once a second while the daemon waits.
            Event::Retrying { layer } => {
                if self.waiting.insert(layer.clone()) {
                    self.end("Again", layer);
                }
            }
            Event::Digest(_) | Event::Error(_) | Event::Nothing => {}
        }
    }

    fn advance(&mut self, layer: &str, done: u64, total: u64) {
        let Some(all) = &self.all else { return };
        let (name, size) = self.known.get(layer).copied().unwrap_or(("layer", total));
        let bar = self.bars.entry(layer.to_owned()).or_insert_with(|| {
            let bar = ProgressBar::new(size.max(total)).with_message(name);
            let template = "     Pushing {msg:<10} [{bar:24.cyan}] {bytes:>9} of {total_bytes}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            all.add(bar)
        });
        bar.set_position(done);
    }

    fn end(&mut self, verb: &str, layer: &str) {
        if let Some(bar) = self.bars.remove(layer) {
            bar.finish_and_clear();
        }
        let (name, size) = self.known.get(layer).copied().unwrap_or(("layer", 0));
        let line = || ui::done(verb, format!("{name:<10} {layer} {:>8}", ui::size(size)));
        match &self.all {
            Some(all) => all.suspend(line),
            None => line(),
        }
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        for bar in self.bars.values() {
            bar.finish_and_clear();
        }
    }
}
