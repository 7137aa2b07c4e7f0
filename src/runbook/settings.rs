//! `rerail.yaml` and `targets/NAME.yaml`: what a host and a target allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::runbook::chat::{self, Chat};
use crate::runbook::commands::{Commands, read_commands, read_secret_commands};
use crate::runbook::egress::{self, Egress};
use crate::runbook::hooks::{self, Hooks};
use crate::runbook::mail::{self, Mail};
use crate::runbook::nearest::did_you_mean;
use crate::runbook::node::Node;
use crate::runbook::people::{self, People};
use crate::runbook::policy::{self, Policy};
use crate::runbook::problem::Problem;
use crate::runbook::providers::read_providers;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::source::{Source, Spanned};
use crate::runbook::triggers::{self, Trigger};
use crate::runbook::words::{self, quoted, variable_fault};
use crate::script::value::Map;

/// A project's `rerail.yaml`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names of environment variables whose values may be read.
    pub env: Vec<String>,
    /// Directories files may be written below; relative ones are relative to the project.
    pub file_write: Vec<String>,
    /// Commands that may be run.
    pub exec: Commands,
    /// Commands that may print secrets of targets.
    pub secret_commands: Commands,
    /// How messages leave; without it none do.
    pub mail: Option<Mail>,
    /// What steps of every run here may connect to.
    pub egress: Egress,
    /// Who may act here.
    pub people: People,
    /// Which chats they may speak from.
    pub chat: Chat,
    /// Which programs may send alerts.
    pub hooks: Hooks,
    /// What starts runbooks beside people, before what runbooks say themselves.
    pub triggers: Vec<Trigger>,
}

/// A target: named input values, where its secrets come from, what may be reached.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub title: Option<String>,
    pub inputs: Map,
    pub secrets: BTreeMap<String, SecretSource>,
    /// Host patterns (`api.example.com`, `*.example.com`); empty = every host the CLI may reach.
    pub allow_hosts: Vec<String>,
    /// Host patterns of those whose requests say which span of a trace they are; empty = nobody's.
    pub trace_hosts: Vec<String>,
    /// A file of PEM certificates to trust beside the bundled roots.
    pub ca: Option<String>,
    /// How this place does what each place does in its own way: see [`crate::runbook::providers`].
    pub providers: Map,
    /// Which approvals this place wants at least.
    pub policy: Policy,
}

/// Where a secret comes from and where it may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSource {
    pub from: From,
    /// Host patterns; empty = not bound.
    pub hosts: Vec<String>,
}

/// A source of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// An environment variable.
    Env { name: String },
    /// A file; one trailing newline is taken off.
    File { path: String },
    /// A credential that systemd gives the service.
    Systemd { name: String },
    /// A key of the kernel's keyring; only some builds can read it.
    Keyring { name: String },
    /// What a command prints, once a run; one trailing newline is taken off.
    Command { argv: Vec<String> },
}

impl From {
    /// The word in a target file.
    pub fn word(&self) -> &'static str {
        match self {
            From::Env { .. } => "env",
            From::File { .. } => "file",
            From::Systemd { .. } => "systemd",
            From::Keyring { .. } => "keyring",
            From::Command { .. } => "command",
        }
    }
}

pub(super) const SETTINGS: Keys = Keys {
    what: "project file",
    known: &["version", "allow", "egress", "mail", "people", "chat", "hooks", "triggers"],
    later: &["limits"],
    foreign: &[],
};
pub(super) const ALLOW: Keys = Keys {
    what: "list of permissions",
    known: &["env", "file_write", "exec", "secret_commands"],
    later: &[],
    foreign: &[],
};
pub(super) const TARGET: Keys = Keys {
    what: "target",
    known: &["version", "title", "inputs", "secrets", "allow_hosts", "trace_hosts", "ca", "providers", "policy"],
    later: &[],
    foreign: &[("hosts", "write `allow_hosts`"), ("variables", "write `inputs`"), ("env", "write `inputs`")],
};
pub(super) const SECRET: Keys = Keys {
    what: "secret",
    known: &["from", "name", "path", "argv", "hosts"],
    later: &[],
    foreign: &[("value", "a secret's text never stands in a file: `from: env` or `from: file`")],
};
pub(super) const SOURCES: [&str; 5] = ["env", "file", "command", "systemd", "keyring"];

/// Reads a project file. With an error among the problems, what is returned is not to be used.
pub fn read_settings(source: &Arc<Source>) -> (Settings, Vec<Problem>) {
    let (mut reader, root) = Reader::open(source);
    let mut settings = Settings::default();
    if let Some(fields) = root.as_ref().and_then(|root| reader.fields(root, &SETTINGS)) {
        reader.version(&fields);
        if let Some(allow) = fields.get("allow").and_then(|node| reader.fields(node, &ALLOW)) {
            if let Some(node) = allow.get("env") {
                settings.env = values(reader.names(node, "`env`", variable_fault));
            }
            if let Some(node) = allow.get("file_write") {
                settings.file_write = values(reader.names(node, "`file_write`", path_fault));
            }
            if let Some(node) = allow.get("exec") {
                settings.exec = read_commands(&mut reader, node);
            }
            if let Some(node) = allow.get("secret_commands") {
                settings.secret_commands = read_secret_commands(&mut reader, node);
            }
        }
        settings.egress = fields.get("egress").map(|node| egress::read(&mut reader, node)).unwrap_or_default();
        settings.mail = fields.get("mail").and_then(|node| mail::read(&mut reader, node));
        if let Some(node) = fields.get("people") {
            settings.people = people::read(&mut reader, node);
        }
        settings.chat = fields.get("chat").map(|node| chat::read(&mut reader, node)).unwrap_or_default();
        if let Some(node) = fields.get("hooks") {
            settings.hooks = hooks::read(&mut reader, node, &settings.people, &settings.chat);
        }
        if let Some(node) = fields.get("triggers") {
            settings.triggers = triggers::read(&mut reader, node, triggers::In::Project);
        }
    }
    (settings, reader.finish())
}

/// Reads a target file. With an error among the problems, what is returned is not to be used.
pub fn read_target(source: &Arc<Source>) -> (Target, Vec<Problem>) {
    let (mut reader, root) = Reader::open(source);
    let mut target = Target::default();
    if let Some(fields) = root.as_ref().and_then(|root| reader.fields(root, &TARGET)) {
        reader.version(&fields);
        target = target_of(&mut reader, &fields);
    }
    (target, reader.finish())
}

/// Reads what a target says, wherever that stands.
pub(super) fn target_of(reader: &mut Reader, fields: &Fields<'_>) -> Target {
    let mut target = Target {
        title: fields.get("title").and_then(|node| reader.title(node, "`title`")),
        inputs: fields.get("inputs").map(|node| inputs(reader, node)).unwrap_or_default(),
        secrets: fields.get("secrets").map(|node| secrets(reader, node)).unwrap_or_default(),
        allow_hosts: fields.get("allow_hosts").map(|node| hosts(reader, node)).unwrap_or_default(),
        trace_hosts: fields.get("trace_hosts").map(|node| hosts(reader, node)).unwrap_or_default(),
        ..Target::default()
    };
    if let Some(node) = fields.get("providers") {
        let names = target.secrets.keys().cloned().collect();
        target.providers = read_providers(reader, node, &names);
    }
    if let Some(node) = fields.get("policy") {
        target.policy = policy::read(reader, node);
    }
    target.ca = fields.get("ca").and_then(|node| path(reader, node, "`ca`"));
    target
}

fn inputs(reader: &mut Reader, node: &Node) -> Map {
    let mut read = Map::new();
    for entry in reader.map(node, "`inputs`") {
        reader.name(&entry.key, words::snake_case_fault);
        if let Some(value) = reader.value(&entry.value, &format!("input `{}`", entry.key.value)) {
            read.insert(entry.key.value.clone(), value);
        }
    }
    read
}

fn secrets(reader: &mut Reader, node: &Node) -> BTreeMap<String, SecretSource> {
    let mut read = BTreeMap::new();
    for entry in reader.map(node, "`secrets`") {
        reader.name(&entry.key, words::secret_fault);
        if let Some(secret) = secret(reader, &entry.key.value, &entry.value) {
            read.insert(entry.key.value.clone(), secret);
        }
    }
    read
}

/// Reads where a secret comes from; `name` is what it is called there, unless the file says so.
pub(super) fn secret(reader: &mut Reader, name: &str, node: &Node) -> Option<SecretSource> {
    let fields = reader.fields(node, &SECRET)?;
    let from = reader.required(&fields, "from").and_then(|node| reader.text(node, "`from`"))?;
    let hosts = fields.get("hosts").map(|node| hosts(reader, node)).unwrap_or_default();
    let misplaced = |reader: &mut Reader, keys: &[&str]| {
        for (key, entry) in keys.iter().filter_map(|key| fields.entry(key).map(|entry| (key, entry))) {
            let message = format!("`{key}` does not go with `from: {}`", from.value);
            reader.error("E0115", entry.key.span, message, "belongs to another source");
        }
    };
    // What it is called there, unless the file says so: as here.
    let named = |reader: &mut Reader, fault: fn(&str) -> Option<String>| {
        let named = match fields.get("name") {
            Some(node) => reader.text(node, "`name`")?,
            None => Spanned::new(name.to_owned(), from.span),
        };
        reader.name(&named, fault);
        Some(named.value)
    };
    let from = match from.value.as_str() {
        "env" => {
            misplaced(reader, &["path", "argv"]);
            From::Env { name: named(reader, variable_fault)? }
        }
        "file" => {
            misplaced(reader, &["name", "argv"]);
            let node = reader.required(&fields, "path")?;
            From::File { path: path(reader, node, "`path`")? }
        }
        "systemd" => {
            misplaced(reader, &["path", "argv"]);
            From::Systemd { name: named(reader, credential_fault)? }
        }
        "keyring" => {
            misplaced(reader, &["path", "argv"]);
            From::Keyring { name: named(reader, path_fault)? }
        }
        "command" => {
            misplaced(reader, &["name", "path"]);
            let node = reader.required(&fields, "argv")?;
            From::Command { argv: argv(reader, node)? }
        }
        word => {
            let help = did_you_mean(word, SOURCES)
                .unwrap_or_else(|| "a secret comes from env, file, command, systemd or keyring".to_owned());
            let message = format!("unknown source of a secret {}", quoted(word));
            let span = reader.first_line(from.span);
            reader.push(Problem::error("E0107", &reader.source, span, message).label("not a source").help(help));
            return None;
        }
    };
    Some(SecretSource { from, hosts })
}

/// The words of a command; the first is the program.
fn argv(reader: &mut Reader, node: &Node) -> Option<Vec<String>> {
    let words = values(reader.texts(node, "`argv`"));
    if words.first().is_none_or(|program| program.trim().is_empty()) || words.iter().any(|word| word.contains('\0')) {
        if !reader.has_errors() {
            reader.wrong(node, "`argv`", "a program and its arguments");
        }
        return None;
    }
    Some(words)
}

pub(super) fn hosts(reader: &mut Reader, node: &Node) -> Vec<String> {
    values(reader.names(node, "hosts", host_fault)).into_iter().map(|host| host.to_ascii_lowercase()).collect()
}

fn path(reader: &mut Reader, node: &Node, thing: &str) -> Option<String> {
    let text = reader.text(node, thing)?;
    reader.name(&text, path_fault).then_some(text.value)
}

fn values(names: Vec<Spanned<String>>) -> Vec<String> {
    names.into_iter().map(|name| name.value).collect()
}

/// Why a text can't be a path; `None` if it can.
fn path_fault(path: &str) -> Option<String> {
    if path.trim().is_empty() {
        return Some("must not be blank".to_owned());
    }
    path.chars().any(char::is_control).then(|| "must not hold control characters".to_owned())
}

/// Why a text can't be the name of a credential; `None` if it can. It is one file of one directory.
fn credential_fault(name: &str) -> Option<String> {
    if name.contains('/') || matches!(name, "." | "..") {
        return Some("must be a name without `/`".to_owned());
    }
    path_fault(name)
}

/// Why a text can't be a host pattern; `None` if it can: `api.example.com`, `*.example.com`, `[::1]`.
pub(super) fn host_fault(pattern: &str) -> Option<String> {
    if pattern == "*" {
        return Some("would match every host: leave the list out, or name them".to_owned());
    }
    let host = pattern.strip_prefix("*.").unwrap_or(pattern);
    // A pattern that the parser reads as something else (a path, a port, a user) is a mistake.
    let same = url::Host::parse(host).is_ok_and(|parsed| parsed.to_string().eq_ignore_ascii_case(host));
    let wild_address = host.len() < pattern.len() && !matches!(url::Host::parse(host), Ok(url::Host::Domain(_)));
    let good = same && !wild_address && !host.contains('*');
    (!good).then(|| {
        "must be a host without scheme, port and path, such as `api.example.com` or `*.example.com`".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::value::Value;

    fn target(text: &str) -> (Target, Vec<&'static str>) {
        let (target, problems) = read_target(&Source::new("targets/production.yaml", text));
        (target, problems.iter().map(|problem| problem.code).collect())
    }

    #[test]
    fn a_target_is_read_whole() {
        let (target, codes) = target(
            "version: 1\ntitle: Production\ninputs: { service: backend, replicas: 3, need: [A, B] }\nsecrets:\n  RAILWAY_TOKEN: { from: env, name: RW, hosts: [Backboard.railway.com, \"*.example.com\"] }\n  MAIL_KEY: { from: file, path: /run/mail }\n  OTHER: { from: env }\nallow_hosts: [api.example.com, 10.0.0.1, \"[::1]\"]\nca: ca.pem\n",
        );
        assert_eq!(codes, Vec::<&str>::new());
        assert_eq!(target.inputs["replicas"], Value::Int(3));
        assert_eq!(target.secrets["RAILWAY_TOKEN"].hosts, ["backboard.railway.com", "*.example.com"]);
        assert_eq!(target.secrets["MAIL_KEY"].from, From::File { path: "/run/mail".into() });
        assert_eq!(target.secrets["OTHER"].from, From::Env { name: "OTHER".into() });
        assert_eq!(target.allow_hosts, ["api.example.com", "10.0.0.1", "[::1]"]);
        assert_eq!(target.ca.as_deref(), Some("ca.pem"));
    }

    #[test]
    fn each_source_has_its_own_keys_and_no_others() {
        let read = |fields: &str| {
            let (target, codes) = target(&format!("version: 1\nsecrets: {{ A_TOKEN: {{ {fields} }} }}\n"));
            (target.secrets.get("A_TOKEN").map(|source| source.from.clone()), codes)
        };
        let command = From::Command { argv: vec!["pass".into(), "show".into(), "a b".into()] };
        assert_eq!(read("from: command, argv: [pass, show, a b]"), (Some(command), vec![]));
        assert_eq!(read("from: systemd"), (Some(From::Systemd { name: "A_TOKEN".into() }), vec![]));
        assert_eq!(read("from: systemd, name: a-token"), (Some(From::Systemd { name: "a-token".into() }), vec![]));
        assert_eq!(read("from: keyring"), (Some(From::Keyring { name: "A_TOKEN".into() }), vec![]));
        assert_eq!(read("from: keyring, name: 'a/b c'"), (Some(From::Keyring { name: "a/b c".into() }), vec![]));
        for (fields, code) in [
            ("from: command", "E0106"),
            ("from: command, argv: []", "E0107"),
            ("from: command, argv: [\"\"]", "E0107"),
            ("from: command, argv: [a], path: b", "E0115"),
            ("from: env, argv: [a]", "E0115"),
            ("from: file, path: a, argv: [a]", "E0115"),
            ("from: systemd, path: a", "E0115"),
            ("from: systemd, name: ../a", "E0105"),
            ("from: systemd, name: ..", "E0105"),
            ("from: keyring, path: a", "E0115"),
            ("from: keyring, name: ' '", "E0105"),
            ("from: keyring, name: \"a\\0b\"", "E0105"),
            ("from: sytemd", "E0107"),
        ] {
            assert_eq!(read(fields).1, [code], "{fields}");
        }
        assert_eq!(target("version: 1\npolcy: {}\n").1, ["E0103"]);
    }

    #[test]
    fn commands_that_print_secrets_are_listed_by_their_words_alone() {
        let read = |line: &str| {
            let text = format!("version: 1\nallow: {{ secret_commands: [{line}] }}\n");
            let (settings, problems) = read_settings(&Source::new("rerail.yaml", text));
            (settings.secret_commands, problems.iter().map(|problem| problem.code).collect::<Vec<_>>())
        };
        let (commands, codes) = read("{ argv: [pass, show, \"*\"] }");
        assert_eq!(codes, Vec::<&str>::new());
        assert!(commands.find(&["pass", "show", "a"]).is_some());
        assert!(commands.find(&["pass", "show", "-c"]).is_none() && commands.find(&["pass", "rm", "a"]).is_none());
        assert_eq!(read("{ argv: [\"*\"] }").1, ["E0107"]);
        assert_eq!(read("{ argv: [pass], effect: write }").1, ["E0103"]);
    }

    #[test]
    fn a_secret_is_never_given_by_value() {
        let (_, codes) = target("version: 1\nsecrets: { A_TOKEN: { from: env, value: hunter2hunter2 } }\n");
        assert_eq!(codes, ["E0103"]);
    }

    #[test]
    fn host_patterns_are_hosts() {
        for bad in [
            "*",
            "https://a.example",
            "a.example:443",
            "a.example/x",
            "*.*.example",
            "a b",
            "",
            "*.10.0.0.1",
            "u@a.example",
        ] {
            assert!(host_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn project_files_list_what_is_allowed() {
        let read = |text: &str| {
            let (settings, problems) = read_settings(&Source::new("rerail.yaml", text));
            (settings, problems.iter().map(|problem| problem.code).collect::<Vec<_>>())
        };
        let (settings, codes) = read("version: 1\nallow:\n  env: [PATH, LANG]\n  file_write: [out]\n");
        assert_eq!(
            (settings.env.len(), settings.file_write.as_slice(), codes.len()),
            (2, ["out".to_owned()].as_slice(), 0)
        );
        assert_eq!(read("version: 1\nlimits: {}\n").1, ["E0108"]);
        assert_eq!(read("allow: { env: [\"A B\"] }\n").1, ["E0106", "E0105"]);
        assert_eq!(read("").1, ["E0106"]);
    }
}
