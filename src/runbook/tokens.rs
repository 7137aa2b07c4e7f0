//! `tokens` of a person: what proves who they are to a server, for some uses and for some time. Their texts stand
//! nowhere; a digest alone does.

use jiff::civil::Date;

use crate::runbook::node::Node;
use crate::runbook::people::{TokenHash, person_fault, token_hash};
use crate::runbook::policy;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::source::Span;
use crate::runbook::spec::Effect;
use crate::runbook::words::quoted;

/// Tokens of one person: one a device, with room for old ones that still have to be taken out.
const TOKENS_MAX: usize = 16;

pub(super) const TOKEN: Keys = Keys {
    what: "token",
    known: &["hash", "scopes", "expires", "max_effect"],
    later: &[],
    foreign: &[
        ("token", "a token never stands in a file: `rerail token new NAME --scope …` makes one, its digest is `hash`"),
        ("token_hash", "write `hash`"),
        ("scope", "write `scopes`, a list"),
    ],
};

/// The words of [`Scope`], as they stand in a project file and on the command line.
pub const SCOPES: [(&str, Scope); 3] = [("read", Scope::Read), ("run", Scope::Run), ("approve", Scope::Approve)];

/// What a token is for. Each stands for itself: who may approve may not look by that alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To look, and to rehearse.
    Read,
    /// To start runs, and to say what they go on with.
    Run,
    /// To agree to what others would change, or not.
    Approve,
}

impl Scope {
    /// The word of a project file.
    pub fn word(self) -> &'static str {
        SCOPES.iter().find(|(_, scope)| *scope == self).map_or("", |(word, _)| word)
    }
}

/// One of somebody's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedToken {
    /// What its person calls it: `laptop`.
    pub name: String,
    pub hash: TokenHash,
    pub scopes: Vec<Scope>,
    /// The first day on which it is worth nothing, as days are in UTC.
    pub expires: Date,
    /// The greatest effect of a run that it starts or takes up.
    pub max_effect: Effect,
}

/// Reads `tokens`; `seen` is told the digest of each with its place.
pub(super) fn read(
    reader: &mut Reader,
    node: &Node,
    mut seen: impl FnMut(&mut Reader, [u8; 32], Span),
) -> Vec<ScopedToken> {
    let entries = reader.map(node, "`tokens`");
    if entries.len() > TOKENS_MAX {
        let message = format!("{} tokens of one person, more than {TOKENS_MAX}", entries.len());
        reader.error("E0107", reader.first_line(node.span), message, "take out those that have expired");
    }
    let mut tokens = Vec::new();
    for entry in entries {
        reader.name(&entry.key, person_fault);
        let Some(fields) = reader.fields(&entry.value, &TOKEN) else { continue };
        let hash = reader.required(&fields, "hash").and_then(|node| {
            let text = reader.text(node, "`hash`")?;
            let hash = token_hash(reader, &text, "NAME")?;
            seen(reader, hash.0, text.span);
            Some(hash)
        });
        let scopes = reader.required(&fields, "scopes").map(|node| scopes(reader, node)).unwrap_or_default();
        let expires = reader.required(&fields, "expires").and_then(|node| expires(reader, node));
        let max_effect = fields.get("max_effect").and_then(|node| reader.word(node, "effect", &policy::EFFECTS));
        let name = entry.key.value.clone();
        if let (Some(hash), Some(expires)) = (hash, expires) {
            let max_effect = max_effect.unwrap_or(Effect::Destructive);
            tokens.push(ScopedToken { name, hash, scopes, expires, max_effect });
        }
    }
    tokens
}

fn scopes(reader: &mut Reader, node: &Node) -> Vec<Scope> {
    let Some(items) = reader.list(node, "`scopes`", "a list of read, run, approve") else { return Vec::new() };
    if items.is_empty() {
        let message = "a token without a scope is good for nothing";
        reader.error("E0106", reader.first_line(node.span), message, "name at least one of read, run, approve");
    }
    let mut scopes = Vec::new();
    for item in items {
        match reader.word(item, "scope", &SCOPES) {
            Some(scope) if scopes.contains(&scope) => reader.twice(item.span, scope.word(), node.span),
            scope => scopes.extend(scope),
        }
    }
    scopes
}

fn expires(reader: &mut Reader, node: &Node) -> Option<Date> {
    let text = reader.text(node, "`expires`")?;
    let date = text.value.parse().ok();
    if date.is_none() {
        let message = format!("expected a day such as 2027-02-01 for `expires`, got {}", quoted(&text.value));
        let span = reader.first_line(text.span);
        reader.push(Problem::error("E0107", &reader.source, span, message).label("not a day"));
    }
    date
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::people::Person;
    use crate::runbook::settings::read_settings;
    use crate::runbook::source::Source;

    const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn ana(tokens: &str) -> (Option<Person>, Vec<&'static str>) {
        let text = format!("version: 1\npeople: {{ ana: {{ roles: [lead], tokens: {tokens} }} }}\n");
        let (settings, problems) = read_settings(&Source::new("rerail.yaml", text));
        (settings.people.named("ana").cloned(), problems.into_iter().map(|problem| problem.code).collect())
    }

    #[test]
    fn a_token_is_read_whole_and_proves_a_person_by_itself() {
        let (ana, problems) = ana(&format!(
            "{{ laptop: {{ hash: \"{HASH}\", scopes: [read, run], expires: 2027-02-01, max_effect: read }} }}"
        ));
        assert_eq!(problems, Vec::<&str>::new());
        let token = ana.unwrap().tokens.pop().unwrap();
        assert_eq!((token.name.as_str(), token.hash.text().as_str()), ("laptop", HASH));
        assert_eq!(token.scopes, [Scope::Read, Scope::Run]);
        assert_eq!((token.expires.to_string().as_str(), token.max_effect), ("2027-02-01", Effect::Read));
    }

    #[test]
    fn a_token_that_would_be_for_ever_or_for_nothing_is_an_error() {
        for (token, code) in [
            (format!("{{ hash: \"{HASH}\", scopes: [read] }}"), "E0106"),
            (format!("{{ hash: \"{HASH}\", expires: 2027-02-01 }}"), "E0106"),
            (format!("{{ hash: \"{HASH}\", scopes: [], expires: 2027-02-01 }}"), "E0106"),
            (format!("{{ hash: \"{HASH}\", scopes: [all], expires: 2027-02-01 }}"), "E0107"),
            (format!("{{ hash: \"{HASH}\", scopes: [run, run], expires: 2027-02-01 }}"), "E0116"),
            (format!("{{ hash: \"{HASH}\", scopes: [run], expires: never }}"), "E0107"),
            (format!("{{ hash: \"{HASH}\", scopes: [run], expires: 2027-02-30 }}"), "E0107"),
            (format!("{{ hash: \"{HASH}\", scopes: [run], expires: 2027-02-01, max_effect: any }}"), "E0107"),
            ("{ token: hunter2, scopes: [read], expires: 2027-02-01 }".to_owned(), "E0103"),
            ("{ scopes: [read], expires: 2027-02-01 }".to_owned(), "E0106"),
        ] {
            let (_, problems) = ana(&format!("{{ laptop: {token} }}"));
            assert!(problems.contains(&code), "{token}: {problems:?}");
        }
        let same = format!("{{ hash: \"{HASH}\", scopes: [read], expires: 2027-02-01 }}");
        let (_, problems) = ana(&format!("{{ laptop: {same}, phone: {same} }}"));
        assert_eq!(problems, ["E0116"]);
    }
}
