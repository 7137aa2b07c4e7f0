//! What people read of backups, restores and migrations: for `transcripts`.

use super::kit::Shop;
use super::mongo::Mongo;
use super::rollback::migrated;
use crate::transcripts::Transcript;

/// Each rehearsed and run, and what was printed kept; the names of those whose tools are missing here.
pub fn all() -> Vec<&'static str> {
    let mongo = Mongo::open("");
    Transcript::begun(|args| mongo.ask(args), "backup-mongodb", &[], &[0]).ends();
    let drill = ["drill=true".to_owned()];
    Transcript::begun(|args| mongo.ask(args), "restore-mongodb", &drill, &[0]).ends();
    let mut missing = Vec::new();
    match Shop::open("told") {
        None => missing.extend(["backup-postgres", "restore-postgres", "database-down"]),
        Some(shop) => {
            Transcript::begun(|args| shop.place.ask(args), "backup-postgres", &[], &[0]).ends();
            Transcript::begun(|args| shop.place.ask(args), "restore-postgres", &drill, &[0]).ends();
            let ask = |args: &[&str]| shop.place.ask(args);
            Transcript::begun(ask, "database-down", &[], &[0]).ends();
        }
    }
    match migrated("told_back") {
        None => missing.push("rollback-database"),
        Some(shop) => back(&shop),
    }
    missing
}

/// A migration that goes back, with all that is asked on the way.
fn back(shop: &Shop) {
    let ask = |args: &[&str]| shop.place.ask(args);
    let mut told = Transcript::begun(ask, "rollback-database", &[], &[13]);
    told.goes_on(ask, &["answer", "@last", "asked=it does"], &[0]);
    told.goes_on(ask, &["resume", "@last"], &[13]);
    shop.approve("schema");
    told.goes_on(ask, &["resume", "@last"], &[0]);
    told.ends();
}
