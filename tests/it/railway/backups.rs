//! Backups of volumes: made once and found again, restored once, and nobody else's staged changes with it.

use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::world::railway_volumes::{Backup, Volume};
use serde_json::{Value as Json, json};

use super::kit::{assert_no_secret_below, broken, error, given, place};
use crate::runbooks::{ended, outcome};
use crate::world::faults::Fault;
use crate::world::railway::{Railway, State, id};

const BACKEND: &str = "service: backend, place: main, every: 1ms";

/// A world whose backend has a volume with two backups.
fn world(change: impl FnOnce(&mut State)) -> Railway {
    let mut state = broken(false);
    let old = |number: u32, name: &str, content: &str| Backup {
        id: id(0xb, 100 + number),
        name: name.to_owned(),
        created: i64::from(number),
        content: content.to_owned(),
    };
    let backups = vec![old(1, "first", "one"), old(2, "second", "two")];
    state.service("backend").volume = Some(Volume { id: id(0x7, 1), content: "now".to_owned(), backups });
    change(&mut state);
    Railway::serve(state)
}

fn act(railway: &Railway, action: &str, with: &str) -> Facts {
    let place = place(railway);
    let text = format!(
        "version: 1\ntitle: One action\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  - id: act\n    uses: railway.{action}\n    with: {{ {with} }}\n"
    );
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/one.yaml"), text).unwrap();
    let facts = ended(place.run("one", &[]));
    assert_no_secret_below(place.root());
    facts
}

fn well(railway: &Railway, action: &str, with: &str) -> Json {
    let facts = act(railway, action, with);
    assert_eq!(outcome(&facts), RunOutcome::Success, "{action}: {:?}", facts.finished);
    given(&facts, "act")
}

fn ill(railway: &Railway, action: &str, with: &str) -> String {
    let facts = act(railway, action, with);
    assert_eq!(outcome(&facts), RunOutcome::Failed, "{action}: {:?}", facts.finished);
    error(&facts)
}

fn volume(railway: &Railway) -> Volume {
    railway.state().service("backend").volume.clone().unwrap()
}

/// The number of the call with this field, in a run without faults.
fn call_of(railway: &Railway, field: &str) -> usize {
    railway.calls().iter().position(|call| call == field).unwrap_or_else(|| panic!("{field}: {:?}", railway.calls()))
}

/// Each fault at the call of this field, side by side.
fn over_every_fault(action: &str, with: &str, field: &str, holds: impl Fn(&Railway, &Json, Fault) + Sync) {
    let clean = world(|_| ());
    well(&clean, action, with);
    let call = call_of(&clean, field);
    std::thread::scope(|scope| {
        for fault in Fault::ALL {
            let holds = &holds;
            scope.spawn(move || {
                let railway = world(|_| ()).breaks(call, fault);
                let given = well(&railway, action, with);
                holds(&railway, &given, fault);
            });
        }
    });
}

#[test]
fn backups_are_listed_newest_first() {
    let railway = world(|_| ());
    let given = well(&railway, "backups", "service: backend, place: main");
    assert_eq!(given["names"], json!(["second", "first"]));
    assert_eq!(given["volume"], json!(id(0x7, 1)));
    let without = world(|state| state.service("backend").volume = None);
    assert!(ill(&without, "backups", "service: backend, place: main").contains("has no volume"));
}

#[test]
fn a_backup_is_made_once_over_every_fault() {
    let with = format!("{BACKEND}, name: before, grace: 20ms");
    over_every_fault("backup", &with, "volumeInstanceBackupCreate", |railway, given, fault| {
        assert_eq!(railway.effects("backup"), 1, "{fault:?}");
        let made = volume(railway).backups.pop().unwrap();
        assert_eq!(
            (given["backup"].as_str(), given["name"].as_str()),
            (Some(made.id.as_str()), Some("before")),
            "{fault:?}"
        );
        assert_eq!(made.content, "now");
    });
}

#[test]
fn a_backup_that_could_not_be_told_from_another_or_fails_is_said() {
    let railway = world(|_| ());
    assert!(
        ill(&railway, "backup", &format!("{BACKEND}, name: first"))
            .contains("there is a backup called \"first\" already")
    );
    assert_eq!(railway.effects("backup"), 0);
    let broken = world(|state| state.volumes.broken = true);
    let said = ill(&broken, "backup", &format!("{BACKEND}, name: before"));
    assert!(said.contains("complete"), "{said}");
}

#[test]
fn a_restore_is_staged_and_committed_once_over_every_fault() {
    let with = format!("{BACKEND}, backup: '{}'", id(0xb, 101));
    for field in ["volumeInstanceBackupRestore", "environmentPatchCommitStaged"] {
        over_every_fault("restore", &with, field, |railway, given, fault| {
            assert_eq!((railway.effects("stage"), railway.effects("commit")), (1, 1), "{field} over {fault:?}");
            let volume = volume(railway);
            assert_eq!((volume.content.as_str(), volume.backups.len()), ("one", 1), "{field} over {fault:?}");
            assert_eq!(given["removed"], json!(["second"]), "the newer one is gone");
            let newest = railway.state().service("backend").deployments[0].id.clone();
            assert_eq!(given["deployment"], json!(newest));
        });
    }
}

#[test]
fn what_others_have_staged_is_not_applied_with_it() {
    let railway = world(|state| state.volumes.foreign = vec!["services".to_owned()]);
    let said = ill(&railway, "restore", &format!("{BACKEND}, backup: '{}'", id(0xb, 101)));
    assert!(said.contains("somebody has staged changes (services)"), "{said}");
    assert_eq!((railway.effects("stage"), railway.effects("commit")), (0, 0));
    let said = ill(&world(|_| ()), "restore", &format!("{BACKEND}, backup: '{}'", id(0xb, 999)));
    assert!(said.contains("there is no backup"), "{said}");
}

#[test]
fn the_plan_of_a_restore_names_the_backups_that_go() {
    let railway = world(|_| ());
    let place = place(&railway);
    let text = format!(
        "version: 1\ntitle: One action\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  - id: act\n    uses: railway.restore\n    with: {{ {BACKEND}, backup: '{}' }}\n",
        id(0xb, 101)
    );
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/one.yaml"), text).unwrap();
    let plan = place.plan("one", &[]);
    let text = format!("{plan:?}");
    assert!(text.contains("newer backups are removed: second"), "{text}");
    assert_eq!(railway.effects("stage"), 0);
}
