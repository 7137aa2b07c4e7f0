//! `atlas.*`: snapshots and restores of a cluster that keeps what it was told: whatever breaks, each is made once, and no secret
//! is written down.

use std::path::Path;

use rerail::engine::outcome::RunOutcome;
use rerail::runs::{Left, Why};
use serde_json::{Value as Json, json};

use crate::contracts::assert_described;
use crate::incidents::sweep::Needles;
use crate::railway::kit::{error, given};
use crate::runbooks::{Place, ended, outcome};
use crate::world::atlas::{Atlas, CLIENT, PROJECT, SECRET, token};
use crate::world::faults::Fault;
use crate::world::served::{Calls, Served};

/// More than a run asks for.
const TOKENS: usize = 40;

fn served() -> Served<Atlas> {
    Served::with(Atlas::new(), &Calls::default())
}

fn target(atlas: &Served<Atlas>, keys: &Path) -> String {
    std::fs::write(keys.join("atlas"), SECRET).unwrap();
    format!(
        "version: 1\ntitle: Here\nsecrets:\n  ATLAS_SECRET: {{ from: file, path: {}/atlas, hosts: [127.0.0.1] }}\nproviders:\n  atlas:\n    \
         main: {{ project: {PROJECT}, cluster: shop, client_id: {CLIENT}, client_secret: \"${{{{ secrets.ATLAS_SECRET }}}}\", api: \"{}\" }}\n",
        keys.display(),
        atlas.url()
    )
}

/// A snapshot and its end, then the cluster put back to it.
const ALL: &str = "version: 1\ntitle: There and back\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  \
    - id: take\n    uses: atlas.snapshot\n    with: { description: before-it, grace: 50ms }\n  \
    - id: taken\n    uses: atlas.wait\n    with: { snapshot: \"${{ steps.take.outputs.snapshot }}\", every: 1ms, within: 20s }\n  \
    - id: back\n    uses: atlas.restore\n    with: { snapshot: \"${{ steps.take.outputs.snapshot }}\", grace: 50ms }\n  \
    - id: over\n    uses: atlas.wait\n    with: { restore: \"${{ steps.back.outputs.restore }}\", every: 1ms, within: 20s }\n";

fn run(atlas: &Served<Atlas>) -> Left {
    let keys = tempfile::tempdir().unwrap();
    let place = Place::new().target(&target(atlas, keys.path()));
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/all.yaml"), ALL).unwrap();
    let left = place.run("all", &[]);
    let tokens = (1..=TOKENS).map(token);
    let secrets: Vec<String> = tokens.chain([SECRET.to_owned()]).collect();
    Needles::new(&secrets).assert_none_below(place.root());
    left
}

#[test]
fn a_snapshot_is_taken_and_the_cluster_put_back_to_it() {
    let atlas = served();
    let facts = ended(run(&atlas));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(given(&facts, "over"), json!({ "state": "done" }));
    let state = atlas.state();
    assert_eq!((state.effects["snapshot"], state.effects["restore"]), (1, 1));
    assert_eq!(state.restores[0].snapshot, state.snapshots[1].id);
    let asked: Vec<_> = state.heard.iter().filter(|request| !request.path.ends_with("/oauth/token")).cloned().collect();
    assert_described("atlas/atlas-backups-reduced.openapi.json", &asked);
    let body: Json = serde_json::from_str(&asked.iter().find(|one| one.method == "POST").unwrap().body).unwrap();
    assert_eq!(body, json!({ "description": "before-it", "retentionInDays": 7 }));
}

#[test]
fn whatever_becomes_of_an_answer_each_is_made_once() {
    let names = {
        let atlas = served();
        run(&atlas);
        atlas.calls().names()
    };
    std::thread::scope(|scope| {
        for (number, call) in names.iter().enumerate() {
            // A read or a token that is lost is asked for again: one way to break the first of its kind is enough.
            let is_write = call.starts_with("POST ") && !call.ends_with("/token");
            let faults: &[Fault] = if is_write { &Fault::ALL } else { &[Fault::LostAnswer] };
            if !is_write && names[..number].contains(call) {
                continue;
            }
            // Side by side: each waits for the pause before its next attempt.
            for fault in faults {
                scope.spawn(move || {
                    let atlas = served();
                    atlas.calls().breaks(number, *fault);
                    let left = run(&atlas);
                    let effects = atlas.state().effects.clone();
                    let once = effects.len() == 2 && effects.values().all(|times| *times == 1);
                    assert!(once, "{fault:?} at {number}, {call}: {effects:?}");
                    let end = left.facts.finished.as_ref().map(|end| end.outcome);
                    assert_eq!(
                        (left.why, end),
                        (Why::Ended, Some(RunOutcome::Success)),
                        "{fault:?} at {number}, {call}"
                    );
                });
            }
        }
    });
}

#[test]
fn a_restore_that_fails_is_no_success() {
    let atlas = served();
    atlas.state().restores_fail = true;
    let facts = ended(run(&atlas));
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert!(error(&facts).contains("`fail_if`"), "{}", error(&facts));
}

#[test]
fn a_secret_that_is_wrong_is_told_at_the_login() {
    let atlas = served();
    let keys = tempfile::tempdir().unwrap();
    let target = target(&atlas, keys.path());
    std::fs::write(keys.path().join("atlas"), "another-secret-example").unwrap();
    let place = Place::new().target(&target);
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/all.yaml"), ALL).unwrap();
    let facts = ended(place.run("all", &[]));
    assert!(error(&facts).contains("401"), "{}", error(&facts));
    assert!(atlas.state().effects.is_empty());
}
