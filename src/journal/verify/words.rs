//! What a report means, in words: what it proves, and what nothing here can prove.

use crate::journal::checkpoint::Claim;
use crate::journal::verify::{Kept, Report};

impl Report {
    /// What a clean report proves; nothing is proven by one that isn't.
    pub fn proven(&self) -> Vec<String> {
        if !self.is_clean() {
            return Vec::new();
        }
        let mut proven = vec![
            "every event fits the hash of the one before: none was changed, swapped, moved or taken out of the middle, \
             unless all hashes behind it were computed anew"
                .to_owned(),
        ];
        if self.run.is_none() {
            proven.push(
                "every run comes after the one before: none was taken out of the middle, put in or reordered"
                    .to_owned(),
            );
            proven.push("the texts runs are pinned to, and all other blobs, are the bytes that were stored".to_owned());
        }
        if self.pruned > 0 {
            proven.push(format!("runs pruned with `store.key`, as their tombstones say: {}", self.pruned));
        }
        if self.checkpoints > 0 && self.key.is_some() {
            proven.push(format!(
                "signed checkpoints that fit: {}; what they cover was not rewritten without `store.key`",
                self.checkpoints
            ));
        }
        for Claim { number, run, events, at, .. } in self.held().map(|kept| &kept.checkpoint.claim) {
            let before = if self.run.is_none() { ", nor anything signed before" } else { "" };
            proven.push(format!(
                "checkpoint {number}, signed {at} and kept elsewhere: nobody, with the key or without, has changed, cut \
                 off or replaced the {events} events of run {run}{before}"
            ));
        }
        proven
    }

    /// What it doesn't prove, clean or not.
    pub fn not_proven(&self) -> Vec<String> {
        let never =
            "anything about signals not yet taken up by a driver, or about leases: they aren't evidence".to_owned();
        if !self.is_clean() {
            let named = "anything of what is marked above: it is not what was written or signed, and nothing here says who changed it";
            return vec![named.to_owned(), never];
        }
        let newest = self.held().map(|kept| &kept.checkpoint.claim).max_by_key(|claim| claim.number);
        let tail = match newest {
            Some(claim) => format!(
                "anything after checkpoint {}: who holds `store.key` can have rewritten it, and anybody can have cut it \
                 off; keep a newer line, `rerail checkpoint` prints it",
                claim.number
            ),
            None => {
                "that nobody cut off the newest events and runs with all that counts them, put back an older copy, \
                     or rewrote and signed everything anew: only a line kept elsewhere shows that, given by \
                     --checkpoint"
                    .to_owned()
            }
        };
        vec![tail, never]
    }

    /// Lines from outside that the store has stood up to; of another run than the checked one they say nothing.
    fn held(&self) -> impl Iterator<Item = &Kept> {
        let checked = |kept: &&Kept| self.run.is_none_or(|run| run == kept.checkpoint.claim.run);
        self.kept.iter().filter(|kept| kept.why.is_empty()).filter(checked)
    }
}
