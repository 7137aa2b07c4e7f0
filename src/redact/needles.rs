//! The search for all forms of all secrets at once, over whole text or over a stream.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::redact::filter::{Filter, HEAD, SHORT_BYTES_MAX};
use crate::redact::gaps::{self, Run, Squeezed};

/// Bytes of a long text that are looked at together: what is made of them stays in the processor's caches, and in memory that
/// is handed out again at once.
const SLICE_BYTES: usize = 64 * 1024;

/// All texts to look for, compiled.
#[derive(Default)]
pub(super) struct Needles {
    /// Passes over what holds nothing.
    filter: Filter,
    /// Searches the rest for the short patterns; built when there first is some.
    automaton: OnceLock<AhoCorasick>,
    /// The bytes of each pattern and what it is; sorted by the bytes.
    patterns: Vec<(Vec<u8>, Kind)>,
    /// The numbers of the short ones, by their numbers in the automaton.
    short: Vec<usize>,
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
pub(super) struct Scanned<'t> {
    /// Borrowed if nothing was taken out.
    pub written: Cow<'t, [u8]>,
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
        let longest = patterns.iter().map(|(bytes, _)| bytes.len()).max().unwrap_or(0);
        let filter = Filter::new(patterns.iter().map(|(bytes, _)| bytes.as_slice()));
        let short = (0..patterns.len()).filter(|number| patterns[*number].0.len() <= SHORT_BYTES_MAX).collect();
        Needles { filter, automaton: OnceLock::new(), patterns, short, longest }
    }

    fn automaton(&self) -> &AhoCorasick {
        self.automaton.get_or_init(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(self.short.iter().map(|number| &self.patterns[*number].0))
                .expect("secrets are far smaller than the 2 GiB an automaton can hold")
        })
    }

    /// Every place in `text` where a pattern stands, also where they overlap.
    fn found<'n>(&'n self, text: &[u8], mut each: impl FnMut(Range<usize>, &'n Kind)) {
        let regions = self.filter.regions(text);
        for region in regions.short {
            for found in self.automaton().find_overlapping_iter(&text[region.clone()]) {
                let kind = &self.patterns[self.short[found.pattern().as_usize()]].1;
                each(region.start + found.start()..region.start + found.end(), kind);
            }
        }
        for start in regions.long {
            let rest = &text[start..];
            let first = self.patterns.partition_point(|(bytes, _)| bytes[..HEAD] < rest[..HEAD]);
            for (bytes, kind) in self.patterns[first..].iter().take_while(|(bytes, _)| bytes[..HEAD] == rest[..HEAD]) {
                if bytes.len() > SHORT_BYTES_MAX && rest.starts_with(bytes) {
                    each(start..start + bytes.len(), kind);
                }
            }
        }
    }

    /// The names of the secrets in `text`, with gaps or without.
    pub(super) fn names(&self, text: &[u8]) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let squeezed = gaps::squeeze(text, Run::default(), true);
        for text in [Some(text), squeezed.as_ref().map(|squeezed| squeezed.bytes.as_slice())].into_iter().flatten() {
            self.found(text, |_, kind| {
                if let Kind::Secret(name) = kind {
                    names.insert(name.as_str());
                }
            });
        }
        names
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

    /// `text` without secrets; borrowed if there was none.
    pub(super) fn redact<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut redacted: Option<Vec<u8>> = None;
        let (mut at, mut carry, mut take) = (0, Carry::default(), SLICE_BYTES);
        while at < text.len() {
            let end = text.len().min(at + take);
            let scanned = self.scan(&text[at..end], carry, end == text.len());
            if scanned.consumed == 0 {
                // A pattern that is longer than the slice may have begun.
                take *= 2;
                continue;
            }
            let whole = matches!(scanned.written, Cow::Borrowed(_)) && scanned.written.len() == scanned.consumed;
            if redacted.is_some() || !whole {
                redacted.get_or_insert_with(|| text[..at].to_vec()).extend_from_slice(&scanned.written);
            }
            (at, carry, take) = (at + scanned.consumed, scanned.carry, SLICE_BYTES);
        }
        redacted.map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Redacts `text`. Unless it has `ended`, the last bytes are kept back if what they are depends on
    /// what follows.
    pub(super) fn scan<'t>(&self, text: &'t [u8], carry: Carry, ended: bool) -> Scanned<'t> {
        if self.patterns.is_empty() {
            return Scanned { written: Cow::Borrowed(text), consumed: text.len(), carry: Carry::default() };
        }
        let mut secrets: Vec<(Range<usize>, &str)> = Vec::new();
        let mut markers: Vec<Range<usize>> = Vec::new();
        self.found(text, |range, kind| match kind {
            Kind::Secret(name) => secrets.push((range, name)),
            Kind::Marker => markers.push(range),
        });
        let squeezed = gaps::squeeze(text, carry.run, ended);
        if let Some(squeezed) = &squeezed {
            self.found(&squeezed.bytes, |range, kind| {
                if let Kind::Secret(name) = kind {
                    secrets.push((squeezed.origin(range.start)..squeezed.origin(range.end - 1) + 1, name));
                }
            });
        }
        if carry.shielded > 0 {
            markers.push(0..carry.shielded);
        }
        let consumed = if ended { text.len() } else { self.settled(text, squeezed.as_ref(), &secrets) };
        // A range takes the name of its leftmost, then longest match: known before the rest is.
        secrets.sort_by(|(a, an), (b, bn)| (a.start, b.end, an).cmp(&(b.start, a.end, bn)));
        markers.sort_by_key(|marker| marker.start);

        // What begins inside a marker, or is to be looked at again, is left alone.
        secrets.retain(|(range, _)| range.start < consumed && !overlaps_any(&markers, range));
        let (written, range_end) = replaced(&text[..consumed], carry.covered, &secrets);
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
        // Most tails are told by their first bytes.
        let heads = text.len().saturating_sub(HEAD - 1);
        let mut open = (first..text.len()).filter(|start| {
            *start >= heads
                || self.filter.longest_at(&text[*start..]).is_some_and(|longest| longest > text.len() - start)
        });
        open.find(|start| self.begins_a_pattern(&text[*start..])).unwrap_or(text.len())
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

/// `text` with a marker for each of `secrets`, sorted by where they begin, and where the last of them ends. Of its first
/// bytes, `covered` belong to one whose marker has been written.
fn replaced<'t>(text: &'t [u8], covered: usize, secrets: &[(Range<usize>, &str)]) -> (Cow<'t, [u8]>, usize) {
    if secrets.is_empty() {
        return (Cow::Borrowed(&text[covered.min(text.len())..]), covered);
    }
    let mut written = Vec::with_capacity(text.len());
    let mut at = covered.min(text.len());
    let mut range_end = covered;
    for (range, name) in secrets {
        if range.start >= range_end {
            written.extend_from_slice(&text[at..range.start]);
            written.extend_from_slice(marker(name).as_bytes());
        }
        range_end = range_end.max(range.end);
        at = range_end.min(text.len());
    }
    written.extend_from_slice(&text[at..]);
    (Cow::Owned(written), range_end)
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
