//! Where in a text some pattern may stand: nearly all of a text holds no beginning of any pattern, and is passed over at
//! a fifth of its bytes.
//!
//! Every pattern has at least [`HEAD`] bytes. Whatever five neighbouring places a pattern begins at, one of them is a
//! multiple of five, and the four bytes there lie inside the pattern's first eight. So looking at every fifth place misses
//! none. What looks right there is compared by its eight bytes; what can follow from those is then searched or compared.

use std::collections::HashMap;
use std::ops::Range;

use crate::redact::redactor::SECRET_BYTES_MIN;

/// Bytes of a pattern that are compared here.
pub(super) const HEAD: usize = SECRET_BYTES_MIN;
/// Bytes of a pattern that the automaton searches, some 40 bytes of memory each: tokens and lines of keys in all forms. Longer
/// ones, whole keys and documents, are compared where their heads stand.
pub(super) const SHORT_BYTES_MAX: usize = 512;
/// Bytes that are looked at at each place.
const BLOCK: usize = 4;
/// From one place to the next: any further, and a pattern could begin and fit between two.
const STEP: usize = HEAD - BLOCK + 1;
/// Bits of a table for each entry: two in a hundred looks are in vain, at 2 KiB for a secret with its forms.
const BITS_PER_ENTRY: usize = 64;

/// The beginnings of a set of patterns.
#[derive(Default)]
pub(super) struct Filter {
    /// The blocks inside each pattern's head.
    blocks: Bits,
    /// The heads, so that few wrong ones are looked up.
    heads: Bits,
    /// What is known of the patterns that have each head.
    lengths: HashMap<[u8; HEAD], Lengths>,
}

/// How long the patterns of a head are.
#[derive(Clone, Copy, Default)]
struct Lengths {
    longest: usize,
    /// The longest of those that are not long; 0 if all are.
    short: usize,
}

/// Where patterns may stand.
#[derive(Default)]
pub(super) struct Regions {
    /// The parts outside which no short pattern stands, in their order and apart from each other.
    pub short: Vec<Range<usize>>,
    /// Where a long one may begin.
    pub long: Vec<usize>,
}

impl Filter {
    /// Looks for `patterns`, none of which is shorter than [`HEAD`].
    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p [u8]>) -> Filter {
        let mut lengths: HashMap<[u8; HEAD], Lengths> = HashMap::new();
        for pattern in patterns {
            let head = pattern.first_chunk().expect("forms and markers have at least eight bytes");
            let lengths = lengths.entry(*head).or_default();
            lengths.longest = pattern.len().max(lengths.longest);
            if pattern.len() <= SHORT_BYTES_MAX {
                lengths.short = pattern.len().max(lengths.short);
            }
        }
        let mut blocks = Bits::with_room_for(lengths.len() * STEP);
        let mut heads = Bits::with_room_for(lengths.len());
        for head in lengths.keys() {
            heads.set(u64::from_le_bytes(*head));
            for block in head.windows(BLOCK) {
                blocks.set(block_at(block, 0));
            }
        }
        Filter { blocks, heads, lengths }
    }

    /// Where in `text` patterns may stand.
    pub(super) fn regions(&self, text: &[u8]) -> Regions {
        let mut regions = Regions::default();
        for at in (0..text.len().saturating_sub(BLOCK - 1)).step_by(STEP) {
            if !self.blocks.has(block_at(text, at)) {
                continue;
            }
            for start in at.saturating_sub(HEAD - BLOCK)..=at {
                let Some(lengths) = self.lengths_at(&text[start..]) else { continue };
                if lengths.longest > SHORT_BYTES_MAX {
                    regions.long.push(start);
                }
                let end = (start + lengths.short).min(text.len());
                match regions.short.last_mut() {
                    _ if lengths.short == 0 => {}
                    Some(region) if region.end >= start => region.end = region.end.max(end),
                    _ => regions.short.push(start..end),
                }
            }
        }
        regions
    }

    /// The length of the longest pattern that begins as `text` does; `None` if none does, or fewer than [`HEAD`] bytes are
    /// there to tell.
    pub(super) fn longest_at(&self, text: &[u8]) -> Option<usize> {
        self.lengths_at(text).map(|lengths| lengths.longest)
    }

    fn lengths_at(&self, text: &[u8]) -> Option<Lengths> {
        let head: &[u8; HEAD] = text.first_chunk()?;
        if !self.heads.has(u64::from_le_bytes(*head)) {
            return None;
        }
        self.lengths.get(head).copied()
    }
}

fn block_at(text: &[u8], at: usize) -> u64 {
    let block: [u8; BLOCK] = text[at..at + BLOCK].try_into().expect("it has that many bytes");
    u64::from(u32::from_le_bytes(block))
}

/// A set of numbers that may say yes for one that isn't in it, and never no for one that is.
#[derive(Default)]
struct Bits {
    words: Vec<u64>,
    /// How far a hash is shifted to become the number of a bit.
    shift: u32,
}

impl Bits {
    fn with_room_for(entries: usize) -> Bits {
        let bits = (entries * BITS_PER_ENTRY).next_power_of_two().max(64);
        Bits { words: vec![0; bits / 64], shift: 64 - bits.trailing_zeros() }
    }

    fn place(&self, number: u64) -> (usize, u64) {
        // The odd number nearest to 2^64 divided by the golden ratio: its high bits depend on all bits of the factor.
        let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        (usize::try_from(hash / 64).unwrap_or(usize::MAX), 1 << (hash % 64))
    }

    fn set(&mut self, number: u64) {
        let (word, bit) = self.place(number);
        self.words[word] |= bit;
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = self.place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_at_every_place_and_nothing_else_is() {
        let patterns: [&[u8]; 3] = [b"abcdefgh", b"abcdefghijkl", b"zyxwvutsrq"];
        let filter = Filter::new(patterns.into_iter());
        for before in 0..20 {
            for after in 0..20 {
                let text = [vec![b'.'; before], b"abcdefgh".to_vec(), vec![b'.'; after]].concat();
                let end = (before + 12).min(text.len());
                let found = filter.regions(&text).short;
                assert!(found.len() == 1 && found[0] == (before..end), "{before} {after}: {found:?}");
            }
        }
        for nothing in ["", "a", "abcdefg", "abcdefgabcdefg", "bcdefghijkl", "zyxwvutabcde"] {
            assert!(filter.regions(nothing.as_bytes()).short.is_empty(), "{nothing}");
        }
        assert!(Filter::default().regions(b"abcdefgh").short.is_empty());
    }

    #[test]
    fn regions_are_apart_and_in_order() {
        let filter = Filter::new([b"aaaaaaaaaa".as_slice(), b"bbbbbbbb"].into_iter());
        // A region goes as far as a pattern that begins in it could.
        let text = b"aaaaaaaaaaaaaa......bbbbbbbbbaaaaaaaa";
        assert_eq!(filter.regions(text).short, [0..16, 20..37]);
    }

    #[test]
    fn a_long_pattern_is_named_by_its_place_and_widens_no_region() {
        let long = ["abcdefgh", &"x".repeat(SHORT_BYTES_MAX)].concat();
        let filter = Filter::new([long.as_bytes(), b"abcdefghij", b"long-one"].into_iter());
        let regions = filter.regions(&[b"..", long.as_bytes(), b"..abcdefgh.."].concat());
        assert_eq!(regions.long, [2, long.len() + 4]);
        assert_eq!(regions.short, [2..12, long.len() + 4..long.len() + 14]);
        let alone = Filter::new([long.as_bytes()].into_iter()).regions(long.as_bytes());
        assert!(alone.short.is_empty() && alone.long == [0]);
    }
}
