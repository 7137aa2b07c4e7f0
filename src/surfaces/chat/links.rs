//! Which person a user of a chat is: as the project file says, or as they have proved themselves with a code. Never by a
//! name or an address that the chat tells.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::runs::{Caller, ErrorKind, Runs, RunsError, Token};
use crate::surfaces::chat::asked::Speaker;
use crate::surfaces::chat::sign;
use crate::surfaces::cli::operator;

/// Links that were proved, by the key of the speaker.
const LINKS: &str = "chat.links";
/// Codes that were given out, by their digests.
const CODES: &str = "chat.codes";
/// How long a code is good: as long as it takes to find a terminal.
pub const CODE_LASTS: Duration = Duration::from_secs(600);
/// Letters of a code: fifty bits, for ten minutes, to somebody who is logged in already.
const CODE_CHARS: usize = 10;
/// Letters and digits that nobody mistakes for each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A link that somebody has proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The person; nobody in a project of one operator.
    pub person: Option<String>,
    pub at: Timestamp,
}

/// Who speaks, as far as this project knows them; `None` if nobody has linked them.
///
/// # Errors
/// If the journal can't be read.
pub fn caller(runs: &Runs, speaker: &Speaker) -> Result<Option<Caller>, RunsError> {
    let people = &runs.project().settings.people;
    let by = |os_users, vouched| Caller {
        os_users,
        via: speaker.chat.word().to_owned(),
        claims: None,
        token_file: None,
        bearer: None,
        vouched,
    };
    if let Some(person) = people.of_chat(speaker.chat.word(), &speaker.id) {
        return Ok(Some(by(Vec::new(), Some(person.to_owned()))));
    }
    let shelf = runs.shelf(LINKS);
    let Some(text) = shelf.get(&speaker.key())? else { return Ok(None) };
    let link: Option<Link> = serde_json::from_str(&text).ok();
    match link.map(|link| link.person) {
        Some(None) if people.is_single_operator() => Ok(Some(by(operator::os_users(), None))),
        Some(Some(person)) if people.named(&person).is_some() => Ok(Some(by(Vec::new(), Some(person)))),
        // Who has left and comes back some day links anew.
        _ => {
            shelf.take(&speaker.key())?;
            Ok(None)
        }
    }
}

/// A caller that is nobody, to see how something stands.
pub fn nobody(via: &str) -> Caller {
    Caller { os_users: Vec::new(), via: via.to_owned(), claims: None, token_file: None, bearer: None, vouched: None }
}

/// A new code for a speaker, to be shown to them alone.
///
/// # Errors
/// If the journal can't be written, or the kernel gives no random numbers.
pub fn code_for(runs: &Runs, speaker: &Speaker) -> Result<String, RunsError> {
    let random = Token::new()?.hash().0;
    let letters = random.iter().take(CODE_CHARS).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let code: String = letters.collect();
    let until = Timestamp::now() + CODE_LASTS;
    runs.shelf(CODES).put(&sign::digest(&code), &speaker.key(), Some(until))?;
    let (front, back) = code.split_at(CODE_CHARS / 2);
    Ok(format!("{front}-{back}"))
}

/// Whose code this is; it stays good.
///
/// # Errors
/// If it is nobody's, or was used, or is too old.
pub fn speaker_of(runs: &Runs, code: &str) -> Result<Speaker, RunsError> {
    let found = runs.shelf(CODES).get(&sign::digest(&normal(code)))?;
    found.as_deref().and_then(Speaker::from_key).ok_or_else(unknown)
}

/// Links whoever has this code to a person, and uses it up.
///
/// # Errors
/// As [`speaker_of`].
pub fn redeem(runs: &Runs, code: &str, person: Option<&str>) -> Result<Speaker, RunsError> {
    let taken = runs.shelf(CODES).take(&sign::digest(&normal(code)))?;
    let speaker = taken.as_deref().and_then(Speaker::from_key).ok_or_else(unknown)?;
    let link = Link { person: person.map(str::to_owned), at: Timestamp::now() };
    let text = serde_json::to_string(&link).map_err(|error| RunsError::new(ErrorKind::Internal, error.to_string()))?;
    runs.shelf(LINKS).put(&speaker.key(), &text, None)?;
    Ok(speaker)
}

/// All links that were proved.
///
/// # Errors
/// If the journal can't be read.
pub fn all(runs: &Runs) -> Result<Vec<(Speaker, Link)>, RunsError> {
    let read = |(key, text): (String, String)| Some((Speaker::from_key(&key)?, serde_json::from_str(&text).ok()?));
    Ok(runs.shelf(LINKS).all()?.into_iter().filter_map(read).collect())
}

/// Removes a link; `false` if there was none.
///
/// # Errors
/// If the journal can't be written.
pub fn remove(runs: &Runs, speaker: &Speaker) -> Result<bool, RunsError> {
    Ok(runs.shelf(LINKS).take(&speaker.key())?.is_some())
}

fn normal(code: &str) -> String {
    code.trim().replace('-', "").to_ascii_lowercase()
}

fn unknown() -> RunsError {
    RunsError::new(ErrorKind::NotAllowed, "this code is nobody's: it was used, or is older than ten minutes")
        .hint("ask for a new one in the chat: /rerail link")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;
    use crate::surfaces::chat::asked::Kind;

    fn runs(dir: &std::path::Path, yaml: &str) -> Runs {
        std::fs::write(dir.join("rerail.yaml"), yaml).unwrap();
        Runs::open(dir.join("state"), Project::discover(dir).unwrap(), Redactor::new())
    }

    fn speaker(id: &str) -> Speaker {
        Speaker { chat: Kind::Slack, id: id.into() }
    }

    const TEAM: &str = "version: 1\npeople: { ana: { chat: { slack: T1/U1 } }, ben: { os_user: ben } }\n";

    #[test]
    fn a_code_links_once_and_only_its_own_speaker() {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(dir.path(), TEAM);
        let code = code_for(&runs, &speaker("T1/U2")).unwrap();
        assert!(caller(&runs, &speaker("T1/U2")).unwrap().is_none());
        assert_eq!(speaker_of(&runs, &code).unwrap(), speaker("T1/U2"));
        assert_eq!(redeem(&runs, &code.to_uppercase().replace('-', ""), Some("ben")).unwrap(), speaker("T1/U2"));
        assert!(redeem(&runs, &code, Some("ben")).is_err(), "a code is used up");
        assert!(redeem(&runs, "", Some("ben")).is_err());
        let ben = caller(&runs, &speaker("T1/U2")).unwrap().unwrap();
        assert_eq!((ben.vouched.as_deref(), ben.via.as_str()), (Some("ben"), "slack"));
        assert!(caller(&runs, &speaker("T2/U2")).unwrap().is_none(), "another team");
        assert_eq!(caller(&runs, &speaker("T1/U1")).unwrap().unwrap().vouched.as_deref(), Some("ana"));
        assert_eq!(all(&runs).unwrap().len(), 1);
        assert!(remove(&runs, &speaker("T1/U2")).unwrap() && !remove(&runs, &speaker("T1/U2")).unwrap());
        assert!(caller(&runs, &speaker("T1/U2")).unwrap().is_none());
    }

    #[test]
    fn who_has_left_is_out_and_not_in_again_when_somebody_of_that_name_comes() {
        let dir = tempfile::tempdir().unwrap();
        let team = runs(dir.path(), TEAM);
        let code = code_for(&team, &speaker("T1/U2")).unwrap();
        redeem(&team, &code, Some("ben")).unwrap();
        let without = runs(dir.path(), "version: 1\npeople: { ana: { os_user: ana } }\n");
        assert!(caller(&without, &speaker("T1/U2")).unwrap().is_none());
        assert!(caller(&team, &speaker("T1/U2")).unwrap().is_none());
    }

    #[test]
    fn the_one_operator_links_as_themselves_and_not_once_there_are_people() {
        let dir = tempfile::tempdir().unwrap();
        let alone = runs(dir.path(), "version: 1\n");
        let code = code_for(&alone, &speaker("T1/U2")).unwrap();
        redeem(&alone, &code, None).unwrap();
        let caller = caller(&alone, &speaker("T1/U2")).unwrap().unwrap();
        assert!(caller.vouched.is_none() && !caller.os_users.is_empty());
        let team = runs(dir.path(), TEAM);
        assert!(super::caller(&team, &speaker("T1/U2")).unwrap().is_none());
    }
}
