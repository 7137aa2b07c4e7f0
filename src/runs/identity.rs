//! Who acts: the operating system's user, or whom a token proves, as a person of the project; and what only a
//! person may do.
//!
//! On one machine under one user this is procedure, not protection: who can write the project file or the journal can
//! be anybody. What it gives is that nobody acts in another's name by accident, and that the record says who did.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::drivers::clock::now;
use crate::engine::event::Actor;
use crate::journal::{Journal as _, RunRow};
use crate::runbook::nearest::nearest;
use crate::runbook::people::{People, Person, TokenHash};
use crate::runbook::spec::Effect;
use crate::runbook::tokens::Scope;
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::look::start_of;
use crate::runs::token;
use crate::steps::regular_file;

/// Days that a token for a server may last: what is lost is worth nothing after a quarter of a year.
pub const TOKEN_DAYS_MAX: i64 = 90;
/// Bytes of a token's file: a token and a line end, with room for one that was made elsewhere.
const TOKEN_BYTES_MAX: u64 = 1024;
/// Bits of a mode that let others than the owner in.
const OTHERS: u32 = 0o077;

/// Who a surface says is there; believed as far as the operating system or a token proves it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Every name the operating system has for the user of this process; the first one is recorded.
    pub os_users: Vec<String>,
    pub via: String,
    /// The person they say they are.
    pub claims: Option<String>,
    /// The file with the token of the person they say they are.
    pub token_file: Option<PathBuf>,
    /// The digest of a token they showed to a server, which says who they are by itself.
    pub bearer: Option<TokenHash>,
    /// The person whom this process itself has proved: by a signed message of theirs, or a session.
    pub vouched: Option<String>,
}

impl Caller {
    /// Whether a server of a project has proved who they are, for that project.
    pub(super) fn calls_a_server(&self) -> bool {
        self.bearer.is_some() || self.vouched.is_some()
    }
}

/// Whom a token proves, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    pub person: String,
    /// What the token is called.
    pub token: String,
    pub scopes: Vec<Scope>,
    pub max_effect: Effect,
}

impl Runs {
    /// Whom a token proves here and now. All digests are compared, whichever fits.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if it is nobody's, has expired, or is meant to last longer than any may.
    pub fn badge(&self, token: &TokenHash) -> Result<Badge, RunsError> {
        badge(&self.project().settings.people, token, today())
    }

    /// Who acts in this project.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if somebody says to be a person and can't prove it, or can't be told from another one.
    pub fn identify(&self, caller: &Caller) -> Result<Actor, RunsError> {
        identify(&self.project().settings.people, caller)
    }

    /// Who acts on a run, as the people of its own project know them. Where that project is gone nobody is a person,
    /// and may say something all the same.
    ///
    /// # Errors
    /// As [`Runs::identify`], or if somebody says to be a person of a project that is gone.
    pub fn identify_for(&self, caller: &Caller, run: &RunRow) -> Result<Actor, RunsError> {
        match self.people_of(run) {
            Err(_) if caller.claims.is_none() && caller.vouched.is_none() => identify(&People::default(), caller),
            people => {
                let own = self.is_own(start_of(&self.store()?.load(run.run)?)?);
                identify_among(&people?, caller, own)
            }
        }
    }

    /// The people of the project a run belongs to, as they are now.
    ///
    /// # Errors
    /// If that project is gone or can't be read: who may act is never guessed.
    pub fn people_of(&self, run: &RunRow) -> Result<People, RunsError> {
        let events = self.store()?.load(run.run)?;
        Ok(self.ground_of(start_of(&events)?)?.settings.people)
    }
}

/// Who acts on a run, among the people of its project; `own` if that is the one of who asks. Whom a surface vouches for it has
/// proved as a person of its own project: who has the same name in another one may be somebody else.
///
/// # Errors
/// As [`Runs::identify_for`].
pub(super) fn identify_among(people: &People, caller: &Caller, own: bool) -> Result<Actor, RunsError> {
    match &caller.vouched {
        Some(name) if !own => Err(not_allowed(format!("`{name}` is a person of another project than this run"))
            .hint("act on it from its own project: its chat, its pages, its terminal")),
        _ => identify(people, caller),
    }
}

fn identify(people: &People, caller: &Caller) -> Result<Actor, RunsError> {
    if let Some(name) = &caller.vouched {
        let Some(person) = people.named(name) else {
            return Err(not_allowed(format!("`{name}` is no person of this project any more")));
        };
        return Ok(Actor::person(name, &caller.via, person.roles.clone()));
    }
    if let Some(token) = &caller.bearer {
        let name = badge(people, token, today())?.person;
        let roles = people.named(&name).map(|person| person.roles.clone()).unwrap_or_default();
        return Ok(Actor::person(name, &caller.via, roles));
    }
    let os_user = caller.os_users.first().cloned().unwrap_or_default();
    let Some(name) = &caller.claims else {
        return Ok(match known(people, caller)? {
            Some((name, person)) => Actor::person(name, &caller.via, person.roles.clone()),
            None => Actor::new(os_user, &caller.via),
        });
    };
    if people.is_single_operator() {
        let said = format!("nobody can act as `{name}` here: there are no `people` in rerail.yaml");
        return Err(not_allowed(said).hint("name them there first; until then whoever runs rerail is the one operator"));
    }
    let Some(person) = people.named(name) else {
        let said = not_allowed(format!("`{name}` is no person of this project"));
        return Err(match nearest(name, people.names()) {
            Some(near) => said.hint(format!("did you mean `{near}`?")),
            None => said.hint("people are named under `people` in rerail.yaml"),
        });
    };
    let actor = Actor::person(name, &caller.via, person.roles.clone());
    let Some(file) = &caller.token_file else {
        return match known(people, caller)? {
            Some((known, _)) if known == name => Ok(actor),
            _ => {
                Err(not_allowed(format!("the user `{os_user}` is not `{name}`: acting as somebody else takes a token"))
                    .hint(format!("give the file with the token of `{name}`: --token-file FILE, or RERAIL_TOKEN_FILE")))
            }
        };
    };
    let Some(hash) = &person.token_hash else {
        return Err(not_allowed(format!("`{name}` has no token: there is no `token_hash` in rerail.yaml"))
            .hint(format!("`rerail token new {name}` makes one")));
    };
    match token::fits(&read_token(file)?, hash) {
        true => Ok(actor),
        false => Err(not_allowed(format!("the token in `{}` is not that of `{name}`", file.display()))
            .hint(format!("a new one replaces the old: rerail token new {name}"))),
    }
}

fn badge(people: &People, token: &TokenHash, today: Date) -> Result<Badge, RunsError> {
    let mut found = None;
    for name in people.names() {
        for known in people.named(name).iter().flat_map(|person| &person.tokens) {
            if token::is_same(token, &known.hash) {
                found = Some((name, known));
            }
        }
    }
    let Some((person, known)) = found else { return Err(not_allowed("this token is nobody's here".to_owned())) };
    let again = format!("make a new one: rerail token new {person} --scope …");
    if known.expires <= today {
        let said = format!("the token `{}` of `{person}` has expired: it was good until {}", known.name, known.expires);
        return Err(not_allowed(said).hint(again));
    }
    if known.expires > today.saturating_add(jiff::Span::new().days(TOKEN_DAYS_MAX)) {
        let said = format!(
            "the token `{}` of `{person}` is said to last until {}, which is more than {TOKEN_DAYS_MAX} days",
            known.name, known.expires
        );
        return Err(not_allowed(said).hint("give it an earlier `expires` in rerail.yaml"));
    }
    let (scopes, max_effect) = (known.scopes.clone(), known.max_effect);
    Ok(Badge { person: person.to_owned(), token: known.name.clone(), scopes, max_effect })
}

fn today() -> Date {
    now().to_zoned(TimeZone::UTC).date()
}

/// The person whom the operating system proves.
fn known<'p>(people: &'p People, caller: &Caller) -> Result<Option<(&'p str, &'p Person)>, RunsError> {
    let found: Vec<_> = caller.os_users.iter().filter_map(|user| people.of_os_user(user)).collect();
    let names: BTreeSet<&str> = found.iter().map(|(name, _)| *name).collect();
    if names.len() < 2 {
        return Ok(found.into_iter().next());
    }
    let listed = names.into_iter().collect::<Vec<_>>().join(" and ");
    Err(not_allowed(format!("{listed} are one user of the operating system, so nobody can tell who acts"))
        .hint("give each person a user of their own, or a token"))
}

/// The token in a file that only its owner can read.
///
/// # Errors
/// [`ErrorKind::NotAllowed`] if it can't be read, others may read it, or it holds something else.
pub fn read_token(path: &Path) -> Result<String, RunsError> {
    let shown = path.display();
    let unreadable = |why: &dyn std::fmt::Display| {
        not_allowed(format!("the token file `{shown}` can't be read: {why}"))
            .hint("it holds one token: what `rerail token new NAME` prints")
    };
    let (file, metadata) = regular_file::open(path).map_err(|error| unreadable(&error))?;
    if metadata.mode() & OTHERS != 0 {
        let said = format!("others may read the token file `{shown}`: its mode is {:04o}", metadata.mode() & 0o7777);
        return Err(not_allowed(said).hint(format!(
            "chmod 600 '{shown}'; if others could read it for a while, make a new one: rerail token new NAME"
        )));
    }
    let mut text = String::new();
    let read = file.take(TOKEN_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|_| unreadable(&"it is not text"))?;
    if text.len() as u64 > TOKEN_BYTES_MAX {
        return Err(unreadable(&format!("it has more than {TOKEN_BYTES_MAX} bytes")));
    }
    match text.trim() {
        "" => Err(unreadable(&"it is empty")),
        token => Ok(token.to_owned()),
    }
}

/// Refuses whoever is no person of a project that names its people.
pub(super) fn only_people(people: &People, actor: &Actor, what: &str) -> Result<(), RunsError> {
    if people.is_single_operator() || (actor.person && people.named(&actor.id).is_some()) {
        return Ok(());
    }
    let said = format!("`{}` is no person of this project, and only those may {what}", actor.id);
    Err(not_allowed(said)
        .hint("act as one of them: --as NAME --token-file FILE")
        .hint(format!("or name this user in rerail.yaml, under `people`: NAME: {{ os_user: {} }}", actor.id)))
}

fn not_allowed(said: String) -> RunsError {
    RunsError::new(ErrorKind::NotAllowed, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::read_settings;
    use crate::runbook::source::Source;
    use crate::runs::token::{Token, token_digest};

    fn caller(os_users: &[&str], claims: Option<&str>) -> Caller {
        let os_users = os_users.iter().map(|user| (*user).to_owned()).collect();
        Caller {
            os_users,
            via: "cli".into(),
            claims: claims.map(str::to_owned),
            token_file: None,
            bearer: None,
            vouched: None,
        }
    }

    fn people(text: &str) -> People {
        let (settings, problems) = read_settings(&Source::new("rerail.yaml", format!("version: 1\npeople: {text}\n")));
        assert!(problems.is_empty(), "{problems:?}");
        settings.people
    }

    #[test]
    fn the_operating_system_proves_who_somebody_is() {
        let people = people("{ ana: { os_user: a, roles: [oncall] }, ben: { os_user: b } }");
        let who = |os_users: &[&str], claims| identify(&people, &caller(os_users, claims));
        assert_eq!(who(&["a"], None).unwrap(), Actor::person("ana", "cli", vec!["oncall".into()]));
        assert_eq!(who(&["x", "b"], Some("ben")).unwrap(), Actor::person("ben", "cli", vec![]));
        // The user `ana` is not the person `ana`.
        assert_eq!(who(&["ana"], None).unwrap(), Actor::new("ana", "cli"));
        for (os_users, claims, says) in [
            (["a"].as_slice(), Some("ben"), "the user `a` is not `ben`"),
            (&["a"], Some("bem"), "`bem` is no person"),
            (&["a", "b"], None, "ana and ben are one user"),
            (&["a", "b"], Some("ana"), "ana and ben are one user"),
        ] {
            let error = who(os_users, claims).unwrap_err();
            assert!(error.kind == ErrorKind::NotAllowed && error.message.starts_with(says), "{}", error.message);
            assert!(!error.hints.is_empty(), "{}", error.message);
        }
    }

    #[test]
    fn without_people_everybody_is_the_one_operator_and_nobody_is_somebody_else() {
        let none = People::default();
        assert_eq!(identify(&none, &caller(&["a"], None)).unwrap(), Actor::new("a", "cli"));
        assert!(identify(&none, &caller(&["a"], Some("ana"))).unwrap_err().message.contains("no `people`"));
        only_people(&none, &Actor::new("a", "cli"), "write").unwrap();
    }

    #[test]
    fn whom_this_process_has_proved_acts_in_the_roles_of_this_moment_or_not_at_all() {
        let vouched = |name: &str| Caller { vouched: Some(name.into()), ..caller(&["a"], None) };
        let people = people("{ ana: { os_user: a }, ben: { os_user: b, roles: [oncall] } }");
        let ben = Actor::person("ben", "cli", vec!["oncall".into()]);
        assert_eq!(identify(&people, &vouched("ben")).unwrap(), ben, "not the user of this process");
        for (people, name) in [(&people, "eve"), (&People::default(), "ben")] {
            let error = identify(people, &vouched(name)).unwrap_err();
            assert!(error.kind == ErrorKind::NotAllowed && error.message.contains("any more"), "{error}");
        }
    }

    #[test]
    fn whom_a_surface_has_proved_for_its_project_is_nobody_in_another_one() {
        let people = people("{ ana: { os_user: a } }");
        let vouched = Caller { vouched: Some("ana".into()), ..caller(&["a"], None) };
        assert_eq!(identify_among(&people, &vouched, true).unwrap().id, "ana");
        let error = identify_among(&people, &vouched, false).unwrap_err();
        assert!(error.kind == ErrorKind::NotAllowed && error.message.contains("another project"), "{error}");
        // Who the operating system proves is the same everywhere.
        assert_eq!(identify_among(&people, &caller(&["a"], None), false).unwrap().id, "ana");
    }

    #[test]
    fn who_was_a_person_once_is_none_now() {
        let people = people("{ ana: { os_user: a } }");
        only_people(&people, &Actor::person("ana", "cli", vec![]), "write").unwrap();
        for gone in [Actor::person("ben", "cli", vec![]), Actor::new("ana", "cli")] {
            let error = only_people(&people, &gone, "write").unwrap_err();
            assert!(error.message.contains("is no person of this project, and only those may write"), "{error}");
        }
    }

    #[test]
    fn a_token_proves_who_somebody_is_if_only_they_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let token = Token::new().unwrap();
        let people =
            people(&format!("{{ ana: {{ token_hash: \"{}\" }}, ben: {{ os_user: b }} }}", token.hash().text()));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let try_with = |text: &[u8], mode: u32, name: &str| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let caller = Caller { token_file: Some(file.clone()), ..caller(&["x"], Some(name)) };
            identify(&people, &caller).map(|actor| actor.id).map_err(|error| error.message)
        };
        let good = format!("{}\n", token.text());
        assert_eq!(try_with(good.as_bytes(), 0o600, "ana").unwrap(), "ana");
        assert_eq!(try_with(good.as_bytes(), 0o400, "ana").unwrap(), "ana");
        let other = Token::new().unwrap();
        let long = "x".repeat(2000);
        for (text, mode, name, says) in [
            (good.as_bytes(), 0o640, "ana", "its mode is 0640"),
            (good.as_bytes(), 0o604, "ana", "its mode is 0604"),
            (other.text().as_bytes(), 0o600, "ana", "is not that of `ana`"),
            (&good.as_bytes()[1..], 0o600, "ana", "is not that of `ana`"),
            (good.as_bytes(), 0o600, "ben", "`ben` has no token"),
            (b"", 0o600, "ana", "it is empty"),
            (b" \n", 0o600, "ana", "it is empty"),
            (b"\xff\xfe", 0o600, "ana", "it is not text"),
            (long.as_bytes(), 0o600, "ana", "more than 1024 bytes"),
        ] {
            let error = try_with(text, mode, name).unwrap_err();
            assert!(error.contains(says), "{says}: {error}");
            assert!(!error.contains(token.text()), "an error shows the token");
        }
        let nowhere = Caller { token_file: Some(dir.path().into()), ..caller(&["x"], Some("ana")) };
        assert!(identify(&people, &nowhere).unwrap_err().message.contains("can't be read"));
    }

    #[test]
    fn a_token_for_a_server_proves_its_person_until_its_day_and_nobody_for_too_long() {
        let token = Token::new().unwrap();
        let hash = token.hash().text();
        let of = |expires: &str| {
            let people = people(&format!(
                "{{ ana: {{ roles: [lead], tokens: {{ laptop: {{ hash: \"{hash}\", scopes: [read], expires: {expires}, max_effect: read }} }} }}, ben: {{ os_user: b }} }}"
            ));
            badge(&people, &token_digest(token.text()), "2026-11-21".parse().unwrap())
        };
        let badge_of_ana = of("2026-11-22").unwrap();
        assert_eq!((badge_of_ana.person.as_str(), badge_of_ana.token.as_str()), ("ana", "laptop"));
        assert_eq!((badge_of_ana.scopes, badge_of_ana.max_effect), (vec![Scope::Read], Effect::Read));
        assert!(of("2027-02-19").is_ok(), "90 days");
        for (expires, says) in
            [("2026-11-21", "has expired"), ("2020-01-01", "has expired"), ("2027-02-20", "more than 90 days")]
        {
            let error = of(expires).unwrap_err();
            assert!(error.kind == ErrorKind::NotAllowed && error.message.contains(says), "{expires}: {error}");
            assert!(!error.message.contains(token.text()));
        }
        let people = people("{ ana: { os_user: a } }");
        let error = badge(&people, &token_digest(token.text()), "2026-11-21".parse().unwrap()).unwrap_err();
        assert!(error.message.contains("nobody's"), "{error}");
    }
}
