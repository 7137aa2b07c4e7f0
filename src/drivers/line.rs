//! Groups that called runbooks need: asked for, waited for in line, given up.
//!
//! A group is claimed under the run's fence, before the event that says so: a crash between the two leaves a row that
//! an open run holds, and asking again finds it. A place in line is worth as much as the process that renews it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::drivers::clock::now;
use crate::drivers::local::{Lost, lost_by};
use crate::drivers::occupant::Occupant;
use crate::engine::event::Queued;
use crate::engine::machine::Machine;
use crate::engine::machine::groups::{Standing, Wanted};
use crate::journal::{Claim, Drive, Error as JournalError, Store, Taker, Waiting};
use crate::runbook::model::IfBusy;

/// How often a place in line is renewed; well inside a lease. Between, one read tells whether it is our turn.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// The lines this run stands in, by group: when its place was renewed last.
#[derive(Default)]
pub(super) struct Lines(BTreeMap<String, Instant>);

impl Lines {
    /// Asks for every group that is wanted and leaves the lines for those that no longer are; true if the run has
    /// something new to decide on.
    pub(super) async fn ask(
        &mut self,
        store: &Store,
        drive: &Arc<Drive>,
        machine: &mut Machine,
        wanted: &[Wanted],
    ) -> Result<bool, Lost> {
        let mut heard = false;
        for wanted in wanted {
            let before = machine.facts().step(&wanted.step).and_then(|record| record.queued.clone());
            let standing = match self.asked(store, drive, wanted, before.as_ref()).await {
                Ok(Some(standing)) => standing,
                Ok(None) => continue,
                // Another process had the store locked for a moment: asked again in the next round.
                Err(JournalError::Locked { .. }) => continue,
                Err(error) => return Err(lost_by(error)),
            };
            if standing == Standing::Held {
                self.0.remove(&wanted.group);
            }
            heard |= machine.stand(wanted, standing, now());
        }
        let left: Vec<String> =
            self.0.keys().filter(|group| !wanted.iter().any(|wanted| wanted.group == **group)).cloned().collect();
        for group in left {
            self.0.remove(&group);
            if !machine.facts().holds(&group) {
                // If this fails the place is lost with the lease.
                store.release(drive.run(), drive.fence(), &group).await.ok();
            }
        }
        Ok(heard)
    }

    /// What came of asking; nothing if it stands as it did `before`.
    async fn asked(
        &mut self,
        store: &Store,
        drive: &Arc<Drive>,
        wanted: &Wanted,
        before: Option<&Queued>,
    ) -> Result<Option<Standing>, JournalError> {
        let Wanted { group, if_busy, .. } = wanted;
        let renewed = self.0.get(group).is_some_and(|at| at.elapsed() < RENEW_EVERY);
        if renewed && let Some(taker) = store.taker(drive.run(), group)? {
            return Ok(news(store, &taker, before));
        }
        let queue = *if_busy == IfBusy::Wait;
        match store.claim(drive.run(), drive.fence(), group, queue).await? {
            Claim::Taken | Claim::Kept => {
                crate::failpoint::hit("driver.group");
                Ok(Some(Standing::Held))
            }
            Claim::Busy(taker) => {
                if queue && taker.circle.is_empty() {
                    self.0.insert(group.clone(), Instant::now());
                }
                Ok(news(store, &taker, before))
            }
        }
    }
}

/// Who has it, if that is not who had it `before`: looking a long run up is work.
fn news(store: &Store, taker: &Taker, before: Option<&Queued>) -> Option<Standing> {
    let circle = !taker.circle.is_empty();
    let queued = |said| Queued { run: taker.run, said, ahead: taker.ahead, circle };
    if before.is_some_and(|before| before.is_same(&queued(String::new()))) {
        return None;
    }
    let mut said = match taker.run {
        Some(run) => format!("is held by {}", Occupant::of(store, run).said),
        None => "is free, but others came first and wait for it".to_owned(),
    };
    for (at, Waiting { group, .. }) in taker.circle.iter().enumerate() {
        let has = match taker.circle.get(at + 1) {
            Some(next) => format!("held by {}", Occupant::of(store, next.run).said),
            None => "held by this run, so neither would ever go on".to_owned(),
        };
        said.push_str(&format!("; it waits for `{group}`, {has}"));
    }
    Some(Standing::Busy(queued(said)))
}
