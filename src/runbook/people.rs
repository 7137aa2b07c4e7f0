//! `people` of a project file: who may act here, as whom the operating system knows them, in which roles.
//!
//! Without it rerail is used by one operator. With it nothing that changes the world starts without one of these
//! names. Never pinned to a run: who has left is out at once, also of runs that wait.

use std::collections::BTreeMap;

use crate::runbook::chat;
use crate::runbook::node::Node;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::tokens::{self, ScopedToken};
use crate::runbook::words::{NAME_CHARS_MAX, quoted};

/// How the digest of a token begins.
const HASH_PREFIX: &str = "sha256:";
/// Bytes of SHA-256.
const HASH_BYTES: usize = 32;
/// Bytes of a name of the operating system: what `useradd` allows is 32, directories allow more.
const OS_USER_BYTES_MAX: usize = 256;

pub(super) const PERSON: Keys = Keys {
    what: "person",
    known: &["os_user", "roles", "token_hash", "tokens", "chat"],
    later: &[],
    foreign: &[
        ("token", "a token never stands in a file: `rerail token new NAME` makes one, its digest is `token_hash`"),
        ("role", "write `roles`, a list"),
        ("user", "write `os_user`"),
    ],
};

/// The people of a project, by name; nobody without `people`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People(BTreeMap<String, Person>);

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The user of the operating system this person is. No other person has the same.
    pub os_user: Option<String>,
    pub roles: Vec<String>,
    /// What proves who they are where the operating system can't.
    pub token_hash: Option<TokenHash>,
    /// What proves who they are to a server.
    pub tokens: Vec<ScopedToken>,
    /// Who they are in chats: the ids that the chat `slack`, `mattermost`, `discord` or `generic` gives them.
    pub chat: BTreeMap<String, String>,
}

/// SHA-256 of a token's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHash(pub [u8; HASH_BYTES]);

impl People {
    /// Whether nobody is named: one operator, who is trusted with everything.
    pub fn is_single_operator(&self) -> bool {
        self.0.is_empty()
    }

    /// The person of this name.
    pub fn named(&self, name: &str) -> Option<&Person> {
        self.0.get(name)
    }

    /// Whom the operating system knows under this name.
    pub fn of_os_user(&self, os_user: &str) -> Option<(&str, &Person)> {
        let found = self.0.iter().find(|(_, person)| person.os_user.as_deref() == Some(os_user));
        found.map(|(name, person)| (name.as_str(), person))
    }

    /// Whom a chat knows under this id.
    pub fn of_chat(&self, chat: &str, id: &str) -> Option<&str> {
        let found = self.0.iter().find(|(_, person)| person.chat.get(chat).is_some_and(|known| known == id));
        found.map(|(name, _)| name.as_str())
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names of those who are named in `by`, or have a role that is.
    pub fn who(&self, by: &[String]) -> Vec<&str> {
        let among =
            |(name, person): &(&String, &Person)| by.contains(name) || person.roles.iter().any(|r| by.contains(r));
        self.0.iter().filter(among).map(|(name, _)| name.as_str()).collect()
    }
}

impl TokenHash {
    /// The text that stands in a project file.
    pub fn text(&self) -> String {
        format!("{HASH_PREFIX}{}", crate::script::hex::hex(&self.0))
    }
}

/// Reads `people`.
pub(super) fn read(reader: &mut Reader, node: &Node) -> People {
    let mut people = BTreeMap::new();
    let mut seen = Seen::default();
    let entries = reader.map(node, "`people`");
    for entry in entries {
        reader.name(&entry.key, person_fault);
        if let Some(person) = person(reader, &entry.key, &entry.value, &mut seen) {
            people.insert(entry.key.value.clone(), person);
        }
    }
    if entries.is_empty() && matches!(&node.kind, crate::runbook::node::NodeKind::Map(_)) {
        let span = reader.first_line(node.span);
        reader.push(
            Problem::error("E0106", &reader.source, span, "`people` names nobody")
                .label("nobody could start anything")
                .help("name at least one person, or leave `people` out: rerail then has a single operator"),
        );
    }
    // A text that could be either would let the wrong one answer.
    for (role, span) in seen.roles {
        if people.contains_key(&role) {
            let message = format!("{} is the name of a person and of a role", quoted(&role));
            reader.error("E0116", reader.first_line(span), message, "name the role differently");
        }
    }
    People(people)
}

/// What only one person may have, with the place where it was met first.
#[derive(Default)]
struct Seen {
    os_users: BTreeMap<String, Span>,
    hashes: BTreeMap<[u8; HASH_BYTES], Span>,
    chats: BTreeMap<(String, String), Span>,
    roles: BTreeMap<String, Span>,
}

fn person(reader: &mut Reader, name: &Spanned<String>, node: &Node, seen: &mut Seen) -> Option<Person> {
    let fields = reader.fields(node, &PERSON)?;
    let os_user = fields.get("os_user").and_then(|node| {
        let user = reader.text(node, "`os_user`")?;
        if !reader.name(&user, os_user_fault) {
            return None;
        }
        if let Some(first) = seen.os_users.insert(user.value.clone(), user.span) {
            shared(reader, user.span, first, &format!("two people are the os_user {}", quoted(&user.value)));
        }
        Some(user.value)
    });
    let roles = fields.get("roles").map(|node| reader.names(node, "`roles`", person_fault)).unwrap_or_default();
    for role in &roles {
        seen.roles.entry(role.value.clone()).or_insert(role.span);
    }
    let token_hash = fields.get("token_hash").and_then(|node| {
        let text = reader.text(node, "`token_hash`")?;
        let hash = token_hash(reader, &text, &name.value)?;
        seen.hash(reader, hash.0, text.span);
        Some(hash)
    });
    let tokens =
        fields.get("tokens").map(|node| tokens::read(reader, node, |reader, hash, span| seen.hash(reader, hash, span)));
    let chat = fields.get("chat").map(|node| chats(reader, node, seen));
    let proved = fields.has("os_user") || fields.has("token_hash") || tokens.is_some() || chat.is_some();
    if !proved && !fields.strange {
        let message = format!("nothing proves who {} is", quoted(&name.value));
        let span = reader.first_line(name.span);
        reader.push(
            Problem::error("E0106", &reader.source, span, message)
                .label("this person needs `os_user`, `token_hash`, `tokens` or `chat`")
                .help(format!(
                    "give the user of the operating system, or make a token: `rerail token new {}`",
                    name.value
                )),
        );
    }
    let roles = roles.into_iter().map(|role| role.value).collect();
    let (tokens, chat) = (tokens.unwrap_or_default(), chat.unwrap_or_default());
    Some(Person { os_user, roles, token_hash, tokens, chat })
}

/// Who a person is in chats.
fn chats(reader: &mut Reader, node: &Node, seen: &mut Seen) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    let Some(fields) = reader.fields(node, &chat::IDENTITIES) else { return read };
    for chat in chat::IDENTITIES.known {
        let Some(id) = fields.get(chat).and_then(|node| chat::identity(reader, chat, node)) else { continue };
        if let Some(first) = seen.chats.insert(((*chat).to_owned(), id.value.clone()), id.span) {
            shared(reader, id.span, first, &format!("two people are {} in {chat}", quoted(&id.value)));
        }
        read.insert((*chat).to_owned(), id.value);
    }
    read
}

impl Seen {
    /// Notes a digest, and says so if somebody has it already.
    fn hash(&mut self, reader: &mut Reader, hash: [u8; HASH_BYTES], span: Span) {
        if let Some(first) = self.hashes.insert(hash, span) {
            shared(reader, span, first, "two people have the same token");
        }
    }
}

/// Reads the digest of a token; `example` is a name for the command that makes one.
pub(super) fn token_hash(reader: &mut Reader, text: &Spanned<String>, example: &str) -> Option<TokenHash> {
    let hash = read_hash(&text.value);
    if hash.is_none() {
        let message =
            format!("expected sha256: and 64 hex digits for the digest of a token, got {}", quoted(&text.value));
        let span = reader.first_line(text.span);
        reader.push(
            Problem::error("E0107", &reader.source, span, message)
                .label("not the digest of a token")
                .help(format!("`rerail token new {example}` prints a token and its digest")),
        );
    }
    hash.map(TokenHash)
}

fn shared(reader: &mut Reader, span: Span, first: Span, message: &str) {
    let (line, _) = reader.source.line_column(first.start);
    let label = format!("the first one is in line {line}");
    reader.push(
        Problem::error("E0116", &reader.source, reader.first_line(span), message)
            .label(label)
            .help("who acts must be one person, or nobody could tell them apart"),
    );
}

fn read_hash(text: &str) -> Option<[u8; HASH_BYTES]> {
    let digits = text.strip_prefix(HASH_PREFIX)?;
    if digits.len() != HASH_BYTES * 2 || !digits.is_ascii() {
        return None;
    }
    let mut hash = [0; HASH_BYTES];
    for (at, byte) in hash.iter_mut().enumerate() {
        let pair = &digits[at * 2..at * 2 + 2];
        // What the parser of numbers takes beyond digits is a sign.
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
    }
    Some(hash)
}

/// Why `name` can't name a person or a role; `None` if it can: `ana`, `jo-smith`, `on_call`.
pub fn person_fault(name: &str) -> Option<String> {
    if name.len() > NAME_CHARS_MAX {
        return Some(format!("is longer than {NAME_CHARS_MAX} characters"));
    }
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(word);
    (!good).then(|| "must be lower-case letters, digits, `-` and `_`, a letter first".to_owned())
}

fn os_user_fault(name: &str) -> Option<String> {
    if name.len() > OS_USER_BYTES_MAX {
        return Some(format!("is longer than {OS_USER_BYTES_MAX} bytes"));
    }
    let good = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == ':');
    (!good).then(|| "must be a user of the operating system: no blanks, no `:`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::read_settings;
    use crate::runbook::source::Source;

    const HASH: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn people(text: &str) -> (People, Vec<(&'static str, String)>) {
        let (settings, problems) = read_settings(&Source::new("rerail.yaml", format!("version: 1\npeople: {text}\n")));
        (settings.people, problems.into_iter().map(|problem| (problem.code, problem.message)).collect())
    }

    #[test]
    fn people_are_read_whole() {
        let (read, problems) = people(&format!(
            "{{ ana: {{ os_user: a.n@corp, roles: [oncall, lead] }}, jo-s_2: {{ token_hash: \"{HASH}\" }} }}"
        ));
        assert_eq!(problems, []);
        assert_eq!(read.named("ana").unwrap().roles, ["oncall", "lead"]);
        assert_eq!(read.named("jo-s_2").unwrap().token_hash.unwrap().text(), HASH);
        assert_eq!(read.of_os_user("a.n@corp").map(|(name, _)| name), Some("ana"));
        assert_eq!(read.of_os_user("ana"), None, "a name is no user of the operating system");
        assert_eq!(read.who(&["lead".into(), "jo-s_2".into()]), ["ana", "jo-s_2"]);
        assert!(!read.is_single_operator() && People::default().is_single_operator());
    }

    #[test]
    fn a_chat_knows_a_person_by_ids_that_nobody_else_has() {
        let (read, problems) =
            people("{ ana: { chat: { slack: T1/U2, discord: \"600\" } }, ben: { chat: { slack: T2/U2 } } }");
        assert_eq!(problems, []);
        assert_eq!(read.of_chat("slack", "T1/U2"), Some("ana"));
        assert_eq!(read.of_chat("slack", "T2/U2"), Some("ben"));
        assert_eq!(read.of_chat("slack", "T3/U2"), None);
        assert_eq!((read.of_chat("mattermost", "600"), read.of_chat("discord", "600")), (None, Some("ana")));
        for (text, code) in [
            ("{ ana: { chat: { slack: T1/U2 } }, ben: { chat: { slack: T1/U2 } } }", "E0116"),
            ("{ ana: { chat: { slack: U2 } } }", "E0105"),
            ("{ ana: { chat: { slack: \"T1/\" } } }", "E0105"),
            ("{ ana: { chat: { discord: \"@ana\" } } }", "E0105"),
            ("{ ana: { chat: { teams: x } } }", "E0103"),
        ] {
            assert_eq!(people(text).1.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [code], "{text}");
        }
    }

    #[test]
    fn what_would_make_two_people_one_is_an_error() {
        for (text, code, says) in [
            ("{ ana: { os_user: a }, ben: { os_user: a } }".to_owned(), "E0116", "two people are the os_user `a`"),
            (
                format!("{{ ana: {{ token_hash: \"{HASH}\" }}, ben: {{ token_hash: \"{HASH}\" }} }}"),
                "E0116",
                "two people have the same token",
            ),
            ("{ ana: { os_user: a, roles: [ben] }, ben: { os_user: b } }".to_owned(), "E0116", "`ben` is the name of"),
        ] {
            let (_, problems) = people(&text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].0 == code && problems[0].1.starts_with(says), "{text}: {problems:?}");
        }
    }

    #[test]
    fn a_person_needs_a_name_and_a_proof() {
        for (text, code) in [
            ("{}", "E0106"),
            ("[ana]", "E0107"),
            ("{ ana: {} }", "E0106"),
            ("{ ana: { roles: [oncall] } }", "E0106"),
            ("{ Ana: { os_user: a } }", "E0105"),
            ("{ \"a b\": { os_user: a } }", "E0105"),
            ("{ ana: { os_user: \"a b\" } }", "E0105"),
            ("{ ana: { os_user: \"\" } }", "E0105"),
            ("{ ana: { os_user: a, roles: oncall } }", "E0107"),
            ("{ ana: { os_user: a, roles: [oncall, oncall] } }", "E0116"),
            ("{ ana: { os_user: a, token: hunter2 } }", "E0103"),
            ("{ ana: { token_hash: hunter2 } }", "E0107"),
            ("{ ana: { token_hash: \"sha256:abc\" } }", "E0107"),
        ] {
            let (_, problems) = people(text);
            assert_eq!(problems.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [code], "{text}: {problems:?}");
        }
        let sign = format!("sha256:{}", "+f".repeat(32));
        let wide = format!("sha256:{}", "é".repeat(32));
        assert!(read_hash(&sign).is_none() && read_hash(&wide).is_none() && read_hash(HASH).is_some());
    }
}
