//! The layers of an image on their way to a registry: a bar for each on a terminal, a line for each elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use docker::push::PushEvent;
use image::archive::Layer;
use image::name::Digest;
use workspace::ui;

/// What is known of the layers so far.
pub(crate) struct LayerProgress {
    layers: Vec<Layer>,
    bars: BTreeMap<String, ProgressBar>,
    all: Option<MultiProgress>,
    /// Those the daemon will try again.
    waiting: BTreeSet<String>,
    pushed: Vec<String>,
    existing: usize,
}

impl LayerProgress {
    pub(crate) fn new(layers: &[Layer]) -> Self {
        Self {
            layers: layers.to_vec(),
            bars: BTreeMap::new(),
            all: std::io::stderr().is_terminal().then(MultiProgress::new),
            waiting: BTreeSet::new(),
            pushed: Vec::new(),
            existing: 0,
        }
    }

    /// Which layers went up, by their place in the image, and how many were there.
    pub(crate) fn result(&self) -> (Vec<usize>, usize) {
        let is_pushed = |layer: &Layer| self.pushed.iter().any(|name| is_called(layer, name));
        let places = self.layers.iter().zip(0..).filter(|(layer, _)| is_pushed(layer));
        (places.map(|(_, place)| place).collect(), self.existing)
    }

    /// What is in a layer, and how much that is before compression.
    fn known(&self, name: &str) -> Option<(&'static str, u64)> {
        let layer = self.layers.iter().find(|layer| is_called(layer, name))?;
        Some((layer.name, layer.size))
    }

    pub(crate) fn show(&mut self, event: &PushEvent) {
        match event {
            PushEvent::Pushing { layer, done, total } => {
                self.waiting.remove(layer);
                self.advance(layer, *done, *total);
            }
            PushEvent::Pushed { layer } => {
                self.pushed.push(layer.clone());
                self.end("Pushed", layer);
            }
            PushEvent::Exists { layer } => {
                self.existing += 1;
                self.end("In registry", layer);
            }
            // It comes once a second while the daemon waits.
            PushEvent::Retrying { layer } => {
                if self.waiting.insert(layer.clone()) {
                    self.end("Again", layer);
                }
            }
            PushEvent::Digest(_) | PushEvent::Error(_) | PushEvent::Nothing => {}
        }
    }

    fn advance(&mut self, layer: &str, done: u64, total: u64) {
        let Some(all) = &self.all else { return };
        let (name, size) = self.known(layer).unwrap_or(("layer", total));
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
        let (name, size) = self.known(layer).unwrap_or(("layer", 0));
        let line = || ui::done(verb, format!("{name:<10} {layer} {:>8}", ui::size(size)));
        match &self.all {
            Some(all) => all.suspend(line),
            None => line(),
        }
    }
}

impl Drop for LayerProgress {
    fn drop(&mut self) {
        for bar in self.bars.values() {
            bar.finish_and_clear();
        }
    }
}

/// The engine's own store calls a layer by its content, containerd's by what it keeps and uploads of it.
fn is_called(layer: &Layer, name: &str) -> bool {
    let starts = |digest: &Digest| digest.encoded().starts_with(name);
    !name.is_empty() && (starts(&layer.digest) || starts(&layer.blob))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_by_content_and_by_blob() {
        let layer = |name, content: &[u8], blob: &[u8]| Layer {
            name,
            digest: Digest::of(content),
            size: 9,
            blob: Digest::of(blob),
        };
        let layers = [layer("binary", b"a", b"packed a"), layer("migrations", b"b", b"packed b")];
        let short = |bytes: &[u8]| Digest::of(bytes).encoded()[..12].to_owned();
        for (pushed, existing, expected) in [
            (vec![short(b"a"), short(b"b")], vec![], (vec![0, 1], 0)),
            (vec![short(b"packed b")], vec![short(b"packed a")], (vec![1], 1)),
            (vec![short(b"b")], vec![short(b"a")], (vec![1], 1)),
            (vec![short(b"another")], vec![], (vec![], 0)),
            (vec![String::new()], vec![], (vec![], 0)),
        ] {
            let mut shown = LayerProgress::new(&layers);
            pushed.into_iter().for_each(|layer| shown.show(&PushEvent::Pushed { layer }));
            existing.into_iter().for_each(|layer| shown.show(&PushEvent::Exists { layer }));
            assert_eq!(shown.result(), expected);
        }
    }
}
