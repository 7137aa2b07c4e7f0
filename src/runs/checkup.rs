//! Whether this machine is fit to run a runbook: project, journal, clock, secrets. Looks only, and never at values.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::drivers::clock::now;
use crate::engine::event::Hold;
use crate::journal::{Health, LastHold, Store, disk};
use crate::project::Origin;
use crate::runbook::egress::DrivenBy;
use crate::runbook::mail::Mail;
use crate::runbook::problem::has_errors;
use crate::runbook::settings::{SecretSource, Target};
use crate::runs::error::RunsError;
use crate::runs::{RunFilter, Runs};
use crate::steps::world::World;

/// Days after which a runbook that nobody looked at is doubted: a quarter of a year.
const REVIEW_DAYS_MAX: i64 = 90;
/// Free bytes below which a run may soon be paused: some hundred runs with large answers.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// A flush that takes longer is felt at every write.
const FLUSH_MS_MAX: u128 = 100;
/// Seconds a clock may seem to be behind: commits of a moment ago by a process whose clock was just set.
const CLOCK_SECONDS_MAX: i64 = 5;
/// Names in one sentence; `check` lists all.
const NAMED_MAX: usize = 5;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    Well,
    /// It works, and somebody should look.
    Doubtful,
    /// A run would fail for it.
    Broken,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    pub what: String,
    pub fitness: Fitness,
    /// What was seen, for people.
    pub says: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Checkup {
    /// A thing that was looked at.
    pub fn new(what: &str, fitness: Fitness, says: impl Into<String>) -> Checkup {
        Checkup { what: what.to_owned(), fitness, says: says.into(), hint: None }
    }

    /// The same with a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Checkup {
        self.hint = Some(hint.into());
        self
    }
}

impl Runs {
    /// Looks at everything a run needs before it begins; with a target at its secrets, hosts and certificates as
    /// well. No network, no new journal.
    ///
    /// # Errors
    /// If there is no such target, or it can't be read.
    pub fn checkup(&self, target: Option<&str>) -> Result<Vec<Checkup>, RunsError> {
        let mut seen = vec![self.project_checkup(), self.files_checkup()?];
        seen.push(self.egress());
        seen.extend(self.touches());
        seen.extend(self.journal_checkup());
        seen.extend(self.reviews(now()));
        let target = target.map(|name| self.project().target(name)).transpose()?;
        let secrets = target.as_ref().map(|(target, _, name)| (name.as_str(), &target.secrets));
        seen.extend(self.project().settings.mail.as_ref().map(|settings| mail(settings, secrets)));
        seen.extend(self.chats());
        seen.extend(self.hooks_checkup());
        seen.extend(self.people_checkup(now().to_zoned(TimeZone::UTC).date()));
        if let Some((target, _, name)) = &target {
            seen.extend(self.target_checkup(name, target)?);
        }
        Ok(seen)
    }

    fn project_checkup(&self) -> Checkup {
        let says = match &self.project().root {
            Some(root) => format!("{}/rerail.yaml", root.display()),
            None => "no rerail.yaml here or above: embedded runbooks only".to_owned(),
        };
        Checkup::new("project", Fitness::Well, says)
    }

    fn files_checkup(&self) -> Result<Checkup, RunsError> {
        let checked = self.check_everything()?;
        let says = |what: &str| format!("{what} in {} files", checked.files);
        Ok(match (has_errors(&checked.problems), checked.problems.len()) {
            (true, _) => Checkup::new("files", Fitness::Broken, says("problems")).hint("`rerail check` draws them"),
            (false, 0) => Checkup::new("files", Fitness::Well, says("no problems")),
            (false, _) => Checkup::new("files", Fitness::Doubtful, says("warnings")).hint("`rerail check` draws them"),
        })
    }

    /// What steps connect to, and whether that depends on who drives.
    fn egress(&self) -> Checkup {
        let egress = &self.project().settings.egress;
        let says = |by| egress.reaches(by);
        Checkup::new(
            "egress",
            Fitness::Well,
            match egress.deny_private {
                Some(_) => format!("steps connect to {}", says(DrivenBy::Terminal)),
                None => {
                    format!(
                        "runs of a server connect to {}, those of a terminal to {}",
                        says(DrivenBy::Server),
                        says(DrivenBy::Terminal)
                    )
                }
            },
        )
    }

    /// What runs may touch on this machine.
    fn touches(&self) -> Vec<Checkup> {
        let project = self.project();
        let mut seen = Vec::new();
        if !project.settings.env.is_empty() {
            seen.push(Checkup::new("allow.env", Fitness::Well, project.settings.env.join(" ")));
        }
        let Some(root) = &project.root else { return seen };
        if !project.settings.file_write.is_empty() {
            let missing = |dir: &&String| !root.join(dir.as_str()).is_dir();
            let missing: Vec<&str> = project.settings.file_write.iter().filter(missing).map(String::as_str).collect();
            let says = project.settings.file_write.join(" ");
            seen.push(match missing.is_empty() {
                true => Checkup::new("allow.file_write", Fitness::Well, says),
                false => Checkup::new("allow.file_write", Fitness::Doubtful, says)
                    .hint(format!("not a directory yet: {}", missing.join(" "))),
            });
        }
        seen
    }

    /// Whether each chat has what it needs: credentials that can be read, and somebody it knows. Nobody is asked.
    fn chats(&self) -> Vec<Checkup> {
        let chat = &self.project().settings.chat;
        let slack = chat.slack.as_ref().map(|slack| {
            let way = if slack.app_token.is_some() { "Socket Mode" } else { "over HTTP" };
            let secrets = [
                ("signing_secret", slack.signing_secret.as_ref()),
                ("bot_token", Some(&slack.bot_token)),
                ("app_token", slack.app_token.as_ref()),
            ];
            self.chat("slack", way, &secrets, slack.channels.len())
        });
        let mattermost = chat.mattermost.as_ref().map(|mattermost| {
            let secrets =
                [("command_token", Some(&mattermost.command_token)), ("bot_token", Some(&mattermost.bot_token))];
            self.chat("mattermost", &mattermost.url, &secrets, mattermost.channels.len())
        });
        let discord = chat.discord.as_ref().map(|discord| {
            self.chat("discord", "over HTTP", &[("bot_token", Some(&discord.bot_token))], discord.channels.len())
        });
        let generic = chat.generic.as_ref().map(|generic| {
            self.chat("generic", &generic.url, &[("secret", Some(&generic.secret))], generic.channels.len())
        });
        [slack, mattermost, discord, generic].into_iter().flatten().collect()
    }

    fn chat(&self, name: &str, way: &str, secrets: &[(&str, Option<&SecretSource>)], channels: usize) -> Checkup {
        let what = format!("chat.{name}");
        let given = secrets.iter().filter_map(|(key, source)| Some((key, (*source)?)));
        let wrong = given.filter_map(|(key, source)| self.own_secret(&format!("{what}.{key}"), source).err());
        let wrong: Vec<String> = wrong.map(|error| error.message).collect();
        if !wrong.is_empty() {
            return Checkup::new(&what, Fitness::Broken, wrong.join("; ")).hint("nobody can speak from there");
        }
        let people = &self.project().settings.people;
        let named = people.names().filter_map(|person| people.named(person));
        let named = named.filter(|person| person.chat.contains_key(name)).count();
        Checkup::new(&what, Fitness::Well, format!("{way}, channels: {channels}, people named for it: {named}"))
    }

    fn journal_checkup(&self) -> Vec<Checkup> {
        let dir = &self.state_dir;
        match Store::glance(dir) {
            Ok(None) => {
                let above = dir.ancestors().find(|dir| dir.is_dir());
                let room = above.and_then(|dir| disk(dir).ok());
                let room = room.map(|disk| format!(", {}, {} free", disk.name, megabytes(disk.free)));
                let says = format!("none yet; the first run makes {}{}", dir.display(), room.unwrap_or_default());
                vec![Checkup::new("journal", Fitness::Well, says)]
            }
            // As a run would open it: with everything that is examined then.
            Ok(Some(_)) => match self.opened(&dir.display().to_string()) {
                Ok(seen) => seen,
                Err(error) => vec![broken_journal(error)],
            },
            Err(error) => vec![broken_journal(error.into())],
        }
    }

    fn opened(&self, dir: &str) -> Result<Vec<Checkup>, RunsError> {
        let health = self.store()?.health()?;
        Ok(vec![journal(dir, &health), hold(self.last_hold()?), self.clock(now())?])
    }

    /// Without a network all that is known of the time is that it doesn't go back.
    fn clock(&self, now: Timestamp) -> Result<Checkup, RunsError> {
        let newest = self.list(&RunFilter { limit: Some(1), ..RunFilter::default() })?;
        let ahead = newest.first().map_or(0, |row| row.started_at.as_second() - now.as_second());
        let says = format!("{now:.0}");
        Ok(match ahead > CLOCK_SECONDS_MAX {
            false => Checkup::new("clock", Fitness::Well, says),
            true => Checkup::new("clock", Fitness::Broken, format!("{says} is {ahead} s before the newest run began"))
                .hint("set it: waits and deadlines are wrong by as much"),
        })
    }

    /// Runbooks of the project that nobody has looked at for long. Embedded ones come with their version.
    fn reviews(&self, now: Timestamp) -> Option<Checkup> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let mut reviewed = 0;
        let mut old = Vec::new();
        for listed in self.project().runbooks().iter().filter(|listed| listed.origin == Origin::Project) {
            let read = self.check(&listed.name).ok().and_then(|(program, _)| program);
            let date = read.and_then(|program| program.runbook.reviewed.as_ref()?.parse::<Date>().ok());
            let Some(days) = date.map(|date| days_between(date, today)) else { continue };
            reviewed += 1;
            if days > REVIEW_DAYS_MAX {
                old.push(format!("{} {days} days ago", listed.name));
            }
        }
        match (reviewed, old.len()) {
            (0, _) => None,
            (_, 0) => {
                let says = format!("all reviewed within {REVIEW_DAYS_MAX} days");
                Some(Checkup::new("reviews", Fitness::Well, says))
            }
            (_, many) => {
                let more = if many > NAMED_MAX { " …" } else { "" };
                old.truncate(NAMED_MAX);
                let says = format!("reviewed more than {REVIEW_DAYS_MAX} days ago: {}{more}", old.join(", "));
                let hint = "read them against what is true today, then set `reviewed:`";
                Some(Checkup::new("reviews", Fitness::Doubtful, says).hint(hint))
            }
        }
    }

    fn target_checkup(&self, name: &str, target: &Target) -> Result<Vec<Checkup>, RunsError> {
        let ground = self.ground()?;
        let mut seen = Vec::new();
        let hosts = match target.allow_hosts.as_slice() {
            [] => "any host".to_owned(),
            hosts => hosts.join(" "),
        };
        seen.push(Checkup::new(&format!("target {name}"), Fitness::Well, format!("reaches {hosts}")));
        if let Some(ca) = target.ca.as_ref().filter(|ca| !ground.root.join(ca).is_file()) {
            let says = format!("`{ca}` is not a file");
            seen.push(Checkup::new("ca", Fitness::Broken, says).hint("PEM certificates are read from there"));
        }
        let world = World::new(self.allowed(&ground, Some(target)));
        for (secret, source) in &target.secrets {
            seen.push(match world.learn_secret(secret) {
                Err(failure) => Checkup::new(secret, Fitness::Broken, failure.message),
                Ok(()) if source.hosts.is_empty() => {
                    let hint = "name the hosts it may go to under `hosts:`, and it goes nowhere else";
                    Checkup::new(secret, Fitness::Doubtful, "present, bound to no host").hint(hint)
                }
                Ok(()) => Checkup::new(secret, Fitness::Well, format!("present, goes to {}", source.hosts.join(" "))),
            });
        }
        Ok(seen)
    }
}

fn journal(dir: &str, health: &Health) -> Checkup {
    let says = format!(
        "{} runs, {}, flush {:.1} ms, {}, {} free, {dir}",
        health.runs,
        megabytes(health.bytes),
        health.flush.as_secs_f64() * 1000.0,
        health.disk.name,
        megabytes(health.disk.free),
    );
    let doubtful = |why: &str| Checkup::new("journal", Fitness::Doubtful, says.clone()).hint(why);
    if let Some(fault) = health.faults.first() {
        let says = format!("the file is damaged: {fault}");
        return Checkup::new("journal", Fitness::Broken, says).hint("`rerail verify` says what can still be trusted");
    }
    if health.disk.free < FREE_BYTES_MIN {
        return doubtful("the disk is nearly full: a run that can't be recorded is paused");
    }
    if health.disk.volatile {
        return doubtful("it is gone when this machine or container ends: give --state-dir on a disk");
    }
    if health.flush.as_millis() > FLUSH_MS_MAX {
        return doubtful("every write waits for a flush that long: a faster disk helps");
    }
    Checkup::new("journal", Fitness::Well, says)
}

/// Whether writes may start. A hold is somebody's will, so nothing is broken.
fn hold(last: Option<LastHold>) -> Checkup {
    match last.and_then(LastHold::on) {
        None => Checkup::new("hold", Fitness::Well, "writes may start"),
        Some(Hold { actor, since, reason }) => {
            let says = format!("no write starts since {since:.0} by {}: {reason}", actor.id);
            Checkup::new("hold", Fitness::Doubtful, says).hint("`rerail hold off` lifts it")
        }
    }
}

/// How `email.send` would send, and with the secrets of which target. Nobody is connected to.
fn mail(mail: &Mail, target: Option<(&str, &BTreeMap<String, SecretSource>)>) -> Checkup {
    let smtp = &mail.smtp;
    let to = match mail.allow_domains.as_slice() {
        [] => "nobody".to_owned(),
        domains => domains.join(" "),
    };
    let says = format!("{}:{}, {}, from {}, to {to}", smtp.host, smtp.port, smtp.security.word(), mail.from);
    if mail.allow_domains.is_empty() {
        let hint = "name who may get a message under `mail.allow_domains`";
        return Checkup::new("mail", Fitness::Doubtful, says).hint(hint);
    }
    let password = smtp.login.as_ref().map(|login| login.password_secret.as_str());
    match (password, target) {
        (Some(password), Some((target, secrets))) if !secrets.contains_key(password) => {
            Checkup::new("mail", Fitness::Doubtful, says)
                .hint(format!("target {target} has no secret {password}: `email.send` would fail there"))
        }
        _ => Checkup::new("mail", Fitness::Well, says),
    }
}

fn broken_journal(error: RunsError) -> Checkup {
    let said = Checkup::new("journal", Fitness::Broken, error.message);
    match error.hints.first() {
        Some(hint) => said.hint(hint),
        None => said,
    }
}

/// Days from one day to another; less than none if it was before.
pub(super) fn days_between(from: Date, to: Date) -> i64 {
    to.duration_since(from).as_hours() / 24
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Disk;
    use std::time::Duration;

    fn health() -> Health {
        let disk = Disk { name: "ext4".into(), volatile: false, free: 50_000_000_000 };
        Health { runs: 412, bytes: 18_200_000, faults: Vec::new(), flush: Duration::from_micros(2_140), disk }
    }

    #[test]
    fn a_sound_journal_is_said_on_one_line() {
        let seen = journal("/state", &health());
        assert_eq!(seen.fitness, Fitness::Well);
        assert_eq!(seen.says, "412 runs, 18 MB, flush 2.1 ms, ext4, 50 GB free, /state");
    }

    #[test]
    fn what_can_go_wrong_with_a_journal_has_a_way_out() {
        let disk = health().disk;
        for (health, fitness, word) in [
            (Health { faults: vec!["row 3 missing".into()], ..health() }, Fitness::Broken, "verify"),
            (Health { disk: Disk { free: 1_000, ..disk.clone() }, ..health() }, Fitness::Doubtful, "full"),
            (Health { disk: Disk { volatile: true, ..disk.clone() }, ..health() }, Fitness::Doubtful, "--state-dir"),
            (Health { flush: Duration::from_millis(101), ..health() }, Fitness::Doubtful, "flush"),
        ] {
            let seen = journal("/state", &health);
            assert_eq!(seen.fitness, fitness, "{seen:?}");
            assert!(seen.hint.as_ref().unwrap().contains(word), "{seen:?}");
        }
    }

    #[test]
    fn days_are_counted_over_months_and_leap_years() {
        let day = |text: &str| text.parse().unwrap();
        assert_eq!(days_between(day("2026-08-23"), day("2026-11-21")), 90);
        assert_eq!(days_between(day("2024-02-28"), day("2024-03-01")), 2);
        assert_eq!(days_between(day("2026-12-01"), day("2026-11-21")), -10);
    }
}
