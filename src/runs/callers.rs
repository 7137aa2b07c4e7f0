//! Whether those who call a server will be let in: people and their tokens, hooks and their secrets. Looks only, and never at
//! values.

use jiff::civil::Date;

use crate::runs::Runs;
use crate::runs::checkup::{Checkup, Fitness, days_between};

/// Days before the end of a token or a certificate from which somebody should see to the next one: two weeks, with a holiday
/// in them.
pub const ENDS_SOON_DAYS: i64 = 14;

impl Runs {
    /// The people, with those of their tokens for a server that have ended or end soon.
    pub(super) fn people_checkup(&self, today: Date) -> Vec<Checkup> {
        let people = &self.project().settings.people;
        if people.is_single_operator() {
            return Vec::new();
        }
        let named: Vec<_> = people.names().filter_map(|name| Some((name, people.named(name)?))).collect();
        let all = named.iter().flat_map(|(name, person)| person.tokens.iter().map(move |token| (*name, token)));
        let all: Vec<_> = all.collect();
        let first = all.iter().map(|(_, token)| token.expires).filter(|expires| *expires > today).min();
        let ends = first.map(|day| format!("; the next one ends {day}")).unwrap_or_default();
        let says = format!("people: {}, tokens for a server: {}{ends}", named.len(), all.len());
        let mut seen = vec![Checkup::new("people", Fitness::Well, says)];
        for (name, token) in all {
            let days = days_between(today, token.expires);
            let says = match days {
                ..=0 => format!("has expired: {}", token.expires),
                1..=ENDS_SOON_DAYS => format!("expires {}, in days: {days}", token.expires),
                _ => continue,
            };
            let scopes: Vec<String> = token.scopes.iter().map(|scope| format!("--scope {}", scope.word())).collect();
            let hint = format!("rerail token new {name} {}", scopes.join(" "));
            seen.push(Checkup::new(&format!("token {name}/{}", token.name), Fitness::Doubtful, says).hint(hint));
        }
        seen
    }

    /// The hooks, with whether what proves their senders can be read.
    pub(super) fn hooks_checkup(&self) -> Vec<Checkup> {
        let hooks = self.project().settings.hooks.all();
        let look = |(source, hook): &(String, &crate::runbook::hooks::Hook)| {
            let what = format!("hooks.{}", source.replace('/', "."));
            match (self.own_secret(&what, &hook.secret), &hook.acts_as) {
                (Err(error), _) => {
                    Checkup::new(&what, Fitness::Broken, error.message).hint("whatever is sent there is refused")
                }
                (Ok(_), Some(person)) => Checkup::new(&what, Fitness::Well, format!("acts for {person}")),
                (Ok(_), None) => Checkup::new(&what, Fitness::Well, "acts for the one operator"),
            }
        };
        hooks.iter().map(look).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    fn runs(dir: &std::path::Path, yaml: &str) -> Runs {
        std::fs::write(dir.join("rerail.yaml"), format!("version: 1\n{yaml}")).unwrap();
        Runs::open(dir.join("state"), Project::discover(dir).unwrap(), Redactor::new())
    }

    fn told(seen: &[Checkup]) -> Vec<(&str, Fitness, &str)> {
        seen.iter().map(|item| (item.what.as_str(), item.fitness, item.says.as_str())).collect()
    }

    #[test]
    fn a_token_that_ends_soon_is_told_before_it_does_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let token = |name: &str, day: &str| {
            let hash = crate::runs::Token::new().unwrap().hash().text();
            format!("{name}: {{ hash: \"{hash}\", scopes: [read, run], expires: {day} }}")
        };
        let yaml = format!(
            "people:\n  ana: {{ tokens: {{ {}, {}, {} }} }}\n  ben: {{ os_user: ben }}\n",
            token("late", "2026-12-07"),
            token("over", "2026-11-22"),
            token("soon", "2026-12-06"),
        );
        let runs = runs(dir.path(), &yaml);
        let seen = runs.people_checkup("2026-11-22".parse().unwrap());
        assert_eq!(
            told(&seen),
            [
                ("people", Fitness::Well, "people: 2, tokens for a server: 3; the next one ends 2026-12-06"),
                ("token ana/over", Fitness::Doubtful, "has expired: 2026-11-22"),
                ("token ana/soon", Fitness::Doubtful, "expires 2026-12-06, in days: 14"),
            ]
        );
        assert_eq!(seen[2].hint.as_deref(), Some("rerail token new ana --scope read --scope run"));
    }

    #[test]
    fn a_hook_whose_secret_is_missing_is_broken_and_says_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("there"), "fake-secret-of-a-hook").unwrap();
        let yaml = "people: { ana: { os_user: a } }\nhooks:\n  alertmanager: { secret: { from: file, path: there }, acts_as: ana }\n  pagerduty: { secret: { from: file, path: nowhere }, acts_as: ana }\n";
        let runs = runs(dir.path(), yaml);
        assert!(runs.project().unusable().is_empty());
        let seen = runs.hooks_checkup();
        assert_eq!(told(&seen)[0], ("hooks.alertmanager", Fitness::Well, "acts for ana"));
        assert_eq!((seen[1].what.as_str(), seen[1].fitness), ("hooks.pagerduty", Fitness::Broken));
        assert!(seen.iter().all(|item| !item.says.contains("fake-secret")), "{seen:?}");
    }
}
