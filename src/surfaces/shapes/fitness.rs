//! Whether a machine or a server is fit, as a list of what was looked at. Additive only.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::runs::{Checkup, Fitness, Runs, RunsError};
use crate::surfaces::schedules;

/// Every state with its word.
const WORDS: [(Fitness, &str); 3] =
    [(Fitness::Well, "well"), (Fitness::Doubtful, "doubtful"), (Fitness::Broken, "broken")];

/// How a thing is, for programs.
pub fn word(fitness: Fitness) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == fitness).map_or("broken", |(_, word)| word)
}

/// What a run needs here, and when what starts by itself comes next.
///
/// # Errors
/// If there is no such target, or it can't be read.
pub fn of_machine(runs: &Runs, target: Option<&str>) -> Result<Vec<Checkup>, RunsError> {
    let mut seen = runs.checkup(target)?;
    seen.extend(schedules::checkup(runs, Timestamp::now()));
    Ok(seen)
}

/// What was looked at as plain objects, with whether a run would fail for any of it.
pub fn of_checkups(seen: &[Checkup]) -> Json {
    let worst = seen.iter().map(|item| item.fitness).max().unwrap_or(Fitness::Well);
    let checks = seen
        .iter()
        .map(|item| json!({ "what": item.what, "state": word(item.fitness), "says": item.says, "hint": item.hint }));
    json!({ "fit": worst != Fitness::Broken, "checks": checks.collect::<Vec<_>>() })
}

/// The same again; what is in a state that nobody knows here is told as doubtful.
pub fn to_checkups(json: &Json) -> Vec<Checkup> {
    let text = |json: &Json| json.as_str().map(str::to_owned);
    let of = |json: &Json| {
        let known = WORDS.iter().find(|(_, word)| json["state"] == *word);
        Checkup {
            what: text(&json["what"]).unwrap_or_default(),
            fitness: known.map_or(Fitness::Doubtful, |(fitness, _)| *fitness),
            says: text(&json["says"]).unwrap_or_default(),
            hint: text(&json["hint"]),
        }
    };
    json["checks"].as_array().into_iter().flatten().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_comes_back_as_it_was() {
        let seen = [
            Checkup::new("a", Fitness::Well, "x"),
            Checkup::new("b", Fitness::Doubtful, "y").hint("z"),
            Checkup::new("c", Fitness::Broken, ""),
        ];
        let json = of_checkups(&seen);
        assert_eq!((to_checkups(&json).as_slice(), &json["fit"]), (seen.as_slice(), &json!(false)));
        assert_eq!(of_checkups(&seen[..2])["fit"], true);
        let newer = to_checkups(&json!({ "checks": [{ "what": "d", "state": "sleepy", "says": "?" }] }));
        assert_eq!(newer, [Checkup::new("d", Fitness::Doubtful, "?")]);
    }
}
