//! The search for all forms of all secrets at once, over whole text or over a stream.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::redact::gaps::{self, Run, Squeezed};

/// All texts to look for, compiled.
#[derive(Default)]
pub(super) struct Needles {
    automaton: Option<AhoCorasick>,
    /// What each pattern is, by its number in the automaton, and its bytes; sorted by the bytes.
    patterns: Vec<(Vec<u8>, Kind)>,
    longest: usize,
}

/// What a pattern stands for.
#[derive(Clone, Debug)]
enum Kind {
    /// A form of the secret of this name.
    Secret(String),
    /// The text that replaces a secret. Found in the input it is left alone, also by secrets that happen
    /// to overlap it: without that, redacting twice would not be the same as once.
    Marker,
}

/// What is known of the bytes at the start of a stream's buffer from what went before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carry {
    /// So many bytes belong to a secret whose replacement has been written.
    covered: usize,
    /// So many bytes belong to a marker.
    shielded: usize,
    /// The gap they begin in.
    run: Run,
}

/// The result of a scan: what to write for the first `consumed` bytes.
pub(super) struct Scanned {
    pub written: Vec<u8>,
    pub consumed: usize,
    pub carry: Carry,
}

impl Needles {
    /// Compiles `forms` (form to name).
    pub(super) fn new(forms: &BTreeMap<String, String>) -> Needles {
        let mut patterns: BTreeMap<Vec<u8>, Kind> =
            forms.iter().map(|(form, name)| (form.clone().into_bytes(), Kind::Secret(name.clone()))).collect();
        patterns.extend(forms.values().map(|name| (marker(name).into_bytes(), Kind::Marker)));
        let patterns: Vec<(Vec<u8>, Kind)> = patterns.into_iter().collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(patterns.iter().map(|(bytes, _)| bytes))
            .expect("secrets are far smaller than the 2 GiB an automaton can hold");
        let longest = patterns.iter().map(|(bytes, _)| bytes.len()).max().unwrap_or(0);
        Needles { automaton: Some(automaton), patterns, longest }
    }

    /// Whether anything of `text` would be replaced; cheap when not.
    pub(super) fn touches(&self, text: &[u8]) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        automaton.is_match(text)
            || gaps::squeeze(text, Run::default(), true).is_some_and(|squeezed| automaton.is_match(&squeezed.bytes))
    }

    /// Where the last bytes of `text` begin that are the beginning of a form and not all of it, at least `bytes_min` of
    /// them: what is left of a secret where a text was cut.
    pub(super) fn cut(&self, text: &[u8], bytes_min: usize) -> Option<usize> {
        let first = self.first_open(text);
        (first..=text.len().checked_sub(bytes_min)?).find(|start| {
            let tail = &text[*start..];
            let at = self.patterns.partition_point(|(bytes, _)| bytes.as_slice() < tail);
            let longer = self.patterns[at..].iter().take_while(|(bytes, _)| bytes.starts_with(tail));
            longer.into_iter().any(|(_, kind)| matches!(kind, Kind::Secret(_)))
        })
    }

    /// Redacts `text`. Unless it has `ended`, the last bytes are kept back if what they are depends on
    /// what follows.
    pub(super) fn scan(&self, text: &[u8], carry: Carry, ended: bool) -> Scanned {
        let Some(automaton) = &self.automaton else {
            return Scanned { written: text.to_vec(), consumed: text.len(), carry: Carry::default() };
        };
        let mut secrets: Vec<(Range<usize>, &str)> = Vec::new();
        let mut markers: Vec<Range<usize>> = Vec::new();
        for found in automaton.find_overlapping_iter(text) {
            match &self.patterns[found.pattern().as_usize()].1 {
                Kind::Secret(name) => secrets.push((found.range(), name)),
                Kind::Marker => markers.push(found.range()),
            }
        }
        let squeezed = gaps::squeeze(text, carry.run, ended);
        for found in squeezed.iter().flat_map(|squeezed| automaton.find_overlapping_iter(&squeezed.bytes)) {
            let Some(squeezed) = &squeezed else { break };
            if let Kind::Secret(name) = &self.patterns[found.pattern().as_usize()].1 {
                secrets.push((squeezed.origin(found.start())..squeezed.origin(found.end() - 1) + 1, name));
            }
        }
        if carry.shielded > 0 {
            markers.push(0..carry.shielded);
        }
        let consumed = if ended { text.len() } else { self.settled(text, squeezed.as_ref(), &secrets) };
        // A range takes the name of its leftmost, then longest match: known before the rest is.
        secrets.sort_by(|(a, an), (b, bn)| (a.start, b.end, an).cmp(&(b.start, a.end, bn)));
        markers.sort_by_key(|marker| marker.start);

        let mut written = Vec::with_capacity(consumed);
        let mut at = carry.covered.min(consumed);
        let mut range_end = carry.covered;
        for (range, name) in secrets {
            if range.start >= consumed || overlaps_any(&markers, &range) {
                continue;
            }
            if range.start >= range_end {
                written.extend_from_slice(&text[at..range.start]);
                written.extend_from_slice(marker(name).as_bytes());
            }
            range_end = range_end.max(range.end);
            at = range_end.min(consumed);
        }
        written.extend_from_slice(&text[at..consumed]);
        let shielded = markers.iter().filter(|marker| marker.start < consumed).map(|marker| marker.end).max();
        let carry = Carry {
            covered: range_end.saturating_sub(consumed),
            shielded: shielded.unwrap_or(0).saturating_sub(consumed),
            run: match &squeezed {
                Some(squeezed) => squeezed.run_at(consumed, carry.run),
                None if consumed == 0 => carry.run,
                None => Run::default(),
            },
        };
        Scanned { written, consumed, carry }
    }

    /// How much of `text` is decided whatever follows: up to the first place where a pattern may have begun, with
    /// gaps or without, not into a match that a marker beginning there could shield, and not into a gap.
    fn settled(&self, text: &[u8], squeezed: Option<&Squeezed>, secrets: &[(Range<usize>, &str)]) -> usize {
        let mut open = self.begun(text);
        if let Some(squeezed) = squeezed {
            open = open.min(squeezed.origin(self.begun(&squeezed.bytes))).min(squeezed.open);
        }
        let crossing = secrets.iter().filter(|(range, _)| range.start < open && range.end > open);
        let decided = crossing.map(|(range, _)| range.start).min().unwrap_or(open);
        squeezed.map_or(decided, |squeezed| squeezed.outside(decided))
    }

    /// The first place where a pattern may have begun whose end isn't there; the end if there is none.
    fn begun(&self, text: &[u8]) -> usize {
        let first = self.first_open(text);
        (first..text.len()).find(|start| self.begins_a_pattern(&text[*start..])).unwrap_or(text.len())
    }

    fn first_open(&self, text: &[u8]) -> usize {
        text.len().saturating_sub(self.longest.saturating_sub(1))
    }

    /// Whether some pattern is longer than `tail` and starts with it.
    fn begins_a_pattern(&self, tail: &[u8]) -> bool {
        let at = self.patterns.partition_point(|(bytes, _)| bytes.as_slice() <= tail);
        self.patterns.get(at).is_some_and(|(bytes, _)| bytes.starts_with(tail))
    }
}

/// Whether `range` shares a byte with one of `sorted`, which don't overlap each other: a marker has one `[`,
/// at its start.
fn overlaps_any(sorted: &[Range<usize>], range: &Range<usize>) -> bool {
    let after = sorted.partition_point(|marker| marker.start < range.end);
    sorted[..after].last().is_some_and(|marker| marker.end > range.start)
}

/// The text that replaces the secret `name`.
pub(super) fn marker(name: &str) -> String {
    let plain: String = name.chars().map(|c| if matches!(c, '[' | ']') { '_' } else { c }).collect();
    format!("[redacted:{plain}]")
}
