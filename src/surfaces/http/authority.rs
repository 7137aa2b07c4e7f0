//! Who may call a route, and who is calling.
//!
//! A route can't be written down without an [`Authority`], and the one that nobody has chosen lets nobody in.

use crate::engine::event::Actor;
use crate::runbook::spec::Effect;
use crate::runbook::tokens::Scope;
use crate::runs::{Caller, ErrorKind, Runs, RunsError, token_digest};
use crate::surfaces::http::local_token::LocalToken;
use crate::surfaces::http::problem::Problem;

/// What is recorded as the way by which somebody acted.
const VIA: &str = "http";
/// How a header with a token begins.
const BEARER: &str = "Bearer ";

/// Who may call a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authority {
    /// Nobody at all: what a route has that says nothing.
    #[default]
    Nobody,
    /// Everybody who reaches the server: a text that never changes.
    Anybody,
    /// A program that proves itself to its own route: see [`Hook`](crate::surfaces::http::Hook).
    Signed,
    /// A person of the project, or its one operator; with a token only if it is for this.
    Person(Scope),
}

impl Authority {
    /// A word for it, for the description of the API.
    pub fn word(self) -> &'static str {
        match self {
            Authority::Nobody => "nobody",
            Authority::Anybody => "anybody",
            Authority::Signed => "signed",
            Authority::Person(scope) => scope.word(),
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Of the unix socket: the operating system says which user it is.
    User(u32),
    /// Of the network: nothing is known.
    Network,
}

/// What a request shows to prove who sent it.
#[derive(Clone, Debug)]
pub struct Credential {
    pub peer: Peer,
    /// The `authorization` header, if there is one.
    pub header: Option<String>,
}

/// Who is calling.
#[derive(Clone, Debug)]
pub struct Principal {
    /// For limits and keys of requests: two people never have the same.
    pub name: String,
    pub caller: Caller,
    /// What their token is for; everything without one.
    scopes: Option<Vec<Scope>>,
    /// The greatest effect of a run that they start or take up.
    pub max_effect: Effect,
}

impl Principal {
    /// Whether they may call a route with this authority.
    ///
    /// # Errors
    /// What they lack.
    pub fn may(&self, authority: Authority) -> Result<(), Problem> {
        match (authority, &self.scopes) {
            (Authority::Anybody, _) | (Authority::Person(_), None) => Ok(()),
            (Authority::Person(scope), Some(scopes)) if scopes.contains(&scope) => Ok(()),
            (Authority::Person(scope), Some(_)) => {
                let said = format!("this token of `{}` is not for `{}`", self.name, scope.word());
                let hint = format!("make one that is: rerail token new {} --scope {} …", self.name, scope.word());
                Err(Problem::new(403, said).hint(hint))
            }
            // Its own route lets it in, and no person.
            (Authority::Signed | Authority::Nobody, _) => Err(Problem::new(403, "nobody may call this")),
        }
    }
}

/// Finds out who is calling.
///
/// # Errors
/// 401 if nothing proves it, 403 if whoever it is has no business here.
pub fn authenticate(runs: &Runs, local: Option<&LocalToken>, credential: &Credential) -> Result<Principal, Problem> {
    let people = &runs.project().settings.people;
    let caller = |os_users| Caller {
        os_users,
        via: VIA.to_owned(),
        claims: None,
        token_file: None,
        bearer: None,
        vouched: None,
    };
    if let Some(header) = &credential.header {
        let digest = header.strip_prefix(BEARER).map(|token| token_digest(token.trim()));
        let Some(digest) = digest else { return Err(unproven("the `authorization` header is not `Bearer TOKEN`")) };
        if people.is_single_operator() {
            let os_users = crate::surfaces::cli::operator::os_users();
            return match local.is_some_and(|local| local.fits(&digest)) {
                true => Ok(operator(caller(os_users))),
                false => Err(unproven("this is not the token of this server's operator")),
            };
        }
        let badge = runs.badge(&digest).map_err(|error| unproven(&error.message))?;
        let caller = Caller { bearer: Some(digest), ..caller(Vec::new()) };
        return Ok(Principal { name: badge.person, caller, scopes: Some(badge.scopes), max_effect: badge.max_effect });
    }
    let Peer::User(uid) = credential.peer else { return Err(unproven("nothing proves who is calling")) };
    let caller = caller(crate::surfaces::cli::operator::os_users_of(uid));
    if people.is_single_operator() {
        return match is_operator(uid, rustix::process::getuid().as_raw()) {
            true => Ok(operator(caller)),
            false => Err(not_the_operator(&caller)),
        };
    }
    let actor: Actor = runs.identify(&caller)?;
    if !actor.person {
        let said = format!("`{}` is no person of this project", actor.id);
        let hint = format!("name this user in rerail.yaml, under `people`: NAME: {{ os_user: {} }}", actor.id);
        return Err(RunsError::new(ErrorKind::NotAllowed, said).hint(hint).into());
    }
    Ok(Principal { name: actor.id, caller, scopes: None, max_effect: Effect::Destructive })
}

/// Whether a user is the one whose server this is, or may become them at any time. A socket that a service manager has
/// opened may let others in.
fn is_operator(uid: u32, own: u32) -> bool {
    uid == own || uid == 0
}

fn not_the_operator(caller: &Caller) -> Problem {
    let user = caller.os_users.first().map_or("", String::as_str);
    Problem::new(403, format!("`{user}` is not the user whose server this is, and the project names no people"))
        .hint(format!("name them in rerail.yaml, under `people`: NAME: {{ os_user: {user} }}"))
}

/// Who may do everything, because the project names nobody.
fn operator(caller: Caller) -> Principal {
    let name = caller.os_users.first().cloned().unwrap_or_default();
    Principal { name, caller, scopes: None, max_effect: Effect::Destructive }
}

fn unproven(said: &str) -> Problem {
    Problem::new(401, said).hint("send a token: `authorization: Bearer TOKEN`; see `rerail token new --help`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_others_may_open_makes_nobody_else_the_operator() {
        assert!(is_operator(1000, 1000) && is_operator(0, 1000));
        assert!(!is_operator(1001, 1000) && !is_operator(1000, 0));
        let mallory = Caller {
            os_users: vec!["mallory".to_owned(), "uid-1001".to_owned()],
            via: VIA.to_owned(),
            claims: None,
            token_file: None,
            bearer: None,
            vouched: None,
        };
        let refused = not_the_operator(&mallory);
        assert!(refused.status == 403 && refused.hints[0].contains("os_user: mallory"), "{refused:?}");
    }
}
