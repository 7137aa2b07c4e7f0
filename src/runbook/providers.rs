//! `providers:` of a target: how this place does what every place does differently.
//!
//! What is read here reaches runbooks as `run.providers`, complete and checked, so that an action needs to look
//! at no key twice. Secrets are named (`${{ secrets.NAME }}`) and stay names; nothing else is evaluated.

use std::collections::{BTreeMap, BTreeSet};

use crate::runbook::nearest::did_you_mean;
use crate::runbook::node::{Entry, Node, NodeKind, Style};
use crate::runbook::problem::Problem;
use crate::runbook::railway;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::scalar::{Core, core};
use crate::runbook::types::parse_duration;
use crate::runbook::words::{quoted, secret_fault, snake_case_fault, variable_fault};
use crate::script::secret::{Part, SecretText};
use crate::script::value::{Map, Value};

/// What the reader knows the settings of. `run.providers` always has them: `()` where the target is silent. What other
/// names say, `run.providers.get("vercel")`, is for their actions to check.
pub const PROVIDERS: [&str; 2] = [REDEPLOY, RAILWAY];

const REDEPLOY: &str = "redeploy";
const RAILWAY: &str = "railway";
const VERCEL: &str = "vercel";
const GITHUB: &str = "github";
/// The setting of any provider that is an address.
const API: &str = "api";
/// A place may be left out where there is one, or one of this name.
const MAIN: &str = "main";

pub(super) const LIST: Keys = Keys { what: "list of providers", known: &PROVIDERS, later: &[], foreign: &[] };
pub(super) const PROVIDER: Keys = Keys {
    what: "provider",
    known: &[
        "use",
        "url",
        "method",
        "headers",
        "json",
        "idempotency",
        "argv",
        "env",
        "place",
        "workflow",
        "ref",
        "inputs",
        "tag_input",
        "timeout",
        "wait",
    ],
    later: &[],
    foreign: &[("body", "write `json`"), ("command", "write `argv`")],
};
/// Keys of one way to deploy alone.
const WEBHOOK_ONLY: [&str; 5] = ["url", "method", "headers", "json", "idempotency"];
const COMMAND_ONLY: [&str; 2] = ["argv", "env"];
const PLATFORM_ONLY: [&str; 1] = ["place"];
const GITHUB_ONLY: [&str; 4] = ["workflow", "ref", "inputs", "tag_input"];
/// Keys of those that send, run or start one thing.
const CALL_ONLY: [&str; 1] = ["timeout"];
pub(super) const IDEMPOTENCY: Keys =
    Keys { what: "list of idempotency settings", known: &["header", "window"], later: &[], foreign: &[] };
pub(super) const WAIT: Keys = Keys {
    what: "list of what to wait for",
    known: &["url", "status", "delay", "every", "within"],
    later: &[],
    foreign: &[("until", "write `status: [200]`; without it any 2xx is good"), ("timeout", "write `within`")],
};

/// What actions replace by the name of the service, in every setting that holds no secret.
const SERVICE: &str = "{service}";
/// Those that there are.
pub(super) const USES: [&str; 5] = [WEBHOOK_WORD, COMMAND_WORD, RAILWAY, VERCEL, GITHUB];
/// Those of them that have places, by whose actions is deployed.
const PLATFORMS: [&str; 3] = [RAILWAY, VERCEL, GITHUB];
const WEBHOOK_WORD: &str = "webhook";
const COMMAND_WORD: &str = "command";
/// Methods that change something.
pub(super) const METHODS: [(&str, &str); 3] = [("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")];

/// Reads `providers`. `secrets` are those the target has a source for.
pub(super) fn read_providers(reader: &mut Reader, node: &Node, secrets: &BTreeSet<String>) -> Map {
    let mut read = Map::new();
    let Some((fields, others)) = reader.fields_and_names(node, &LIST) else { return read };
    let mut providing = Providing { reader, secrets };
    // Nothing where what is said of them is wrong, which is told already.
    let mut places: BTreeMap<&str, Option<Map>> = BTreeMap::new();
    for entry in others {
        let named = providing.reader.name(&entry.key, snake_case_fault);
        places.insert(&entry.key.value, providing.places_of(entry).filter(|_| named));
    }
    if let Some(node) = fields.get(RAILWAY) {
        places.insert(RAILWAY, railway::read(&mut providing, node));
    }
    if let Some(node) = fields.get(REDEPLOY)
        && let Some(provider) = providing.provider(node)
    {
        providing.place_is_there(node, &provider, &places);
        read.insert(REDEPLOY.to_owned(), Value::Map(provider));
    }
    for (name, places) in places {
        if let Some(places) = places {
            read.insert(name.to_owned(), Value::Map(places));
        }
    }
    read
}

/// A reader that knows which secrets there are.
pub(super) struct Providing<'a> {
    pub(super) reader: &'a mut Reader,
    secrets: &'a BTreeSet<String>,
}

impl Providing<'_> {
    /// Says if a deployment goes to a place that its platform doesn't name. What is wrong with those is told already.
    fn place_is_there(&mut self, node: &Node, provider: &Map, places: &BTreeMap<&str, Option<Map>>) {
        let texts = (provider.get("place").and_then(Value::as_text), provider.get("provider").and_then(Value::as_text));
        let (Some(place), Some(platform)) = texts else { return };
        let span = self.reader.first_line(node.span);
        let (message, help) = match places.get(platform) {
            Some(None) => return,
            None => (
                format!("`use: {platform}` needs places to deploy to"),
                format!("name them beside `redeploy`: `{platform}: {{ main: {{ token: …, … }} }}`"),
            ),
            Some(Some(places)) if places.contains_key(place) => return,
            Some(Some(places)) if place.is_empty() && (places.len() == 1 || places.contains_key(MAIN)) => return,
            Some(Some(places)) => {
                let names: Vec<&str> = places.keys().map(String::as_str).collect();
                let message = if place.is_empty() {
                    format!("`place` is not here, and `{platform}` names several")
                } else {
                    format!("`{platform}` names no place {}", quoted(place))
                };
                (message, format!("there are {}", names.join(" and ")))
            }
        };
        let problem = Problem::error("E0107", &self.reader.source, span, message);
        self.reader.push(problem.label("no such place").help(help));
    }

    /// Places by name of a provider that only its actions know: a map of settings each.
    fn places_of(&mut self, provider: &Entry) -> Option<Map> {
        let thing = format!("`{}`", provider.key.value);
        let entries = self.reader.map(&provider.value, &thing);
        if entries.is_empty() && matches!(&provider.value.kind, NodeKind::Map(_)) {
            let span = self.reader.first_line(provider.key.span);
            let problem = Problem::error("E0106", &self.reader.source, span, format!("{thing} names no place"));
            let help =
                format!("such as `{}: {{ main: {{ token: \"${{{{ secrets.TOKEN }}}}\" }} }}`", provider.key.value);
            self.reader.push(problem.label("no place, no settings").help(help));
        }
        let mut places = Map::new();
        for entry in entries {
            let named = self.reader.name(&entry.key, snake_case_fault);
            if let Some(place) = self.settings(entry).filter(|_| named) {
                places.insert(entry.key.value.clone(), Value::Map(place));
            }
        }
        // One that is wrong is told; whoever asks for it by name should not be told that it isn't there.
        (!places.is_empty() && places.len() == entries.len()).then_some(places)
    }

    fn settings(&mut self, place: &Entry) -> Option<Map> {
        let entries = match &place.value.kind {
            NodeKind::Map(entries) => entries,
            _ => {
                self.reader.wrong(&place.value, &format!("the place `{}`", place.key.value), "a map of settings");
                return None;
            }
        };
        let read: Vec<_> = entries
            .iter()
            .map(|entry| {
                let named = self.reader.name(&entry.key, snake_case_fault);
                let value = match entry.key.value.as_str() {
                    API => self.url(&entry.value),
                    name => self.value(&entry.value, &format!("`{name}`")),
                };
                Some((entry.key.value.clone(), value.filter(|_| named)?))
            })
            .collect();
        read.into_iter().collect()
    }

    fn provider(&mut self, node: &Node) -> Option<Map> {
        let fields = self.reader.fields(node, &PROVIDER)?;
        let NodeKind::Map(entries) = &node.kind else { return None };
        let word = self.reader.required(&fields, "use").and_then(|node| self.reader.text(node, "`use`"))?;
        let read = match word.value.as_str() {
            WEBHOOK_WORD => {
                self.misplaced(&fields, &[&COMMAND_ONLY[..], &PLATFORM_ONLY, &GITHUB_ONLY].concat(), WEBHOOK_WORD);
                self.webhook(&fields)
            }
            COMMAND_WORD => {
                self.misplaced(&fields, &[&WEBHOOK_ONLY[..], &PLATFORM_ONLY, &GITHUB_ONLY].concat(), COMMAND_WORD);
                self.command(&fields)
            }
            GITHUB => {
                self.misplaced(&fields, &[&WEBHOOK_ONLY[..], &COMMAND_ONLY].concat(), GITHUB);
                self.on_github(&fields)
            }
            platform if PLATFORMS.contains(&platform) => {
                self.misplaced(
                    &fields,
                    &[&WEBHOOK_ONLY[..], &COMMAND_ONLY, &GITHUB_ONLY, &CALL_ONLY].concat(),
                    platform,
                );
                self.on_platform(&fields)
            }
            other => {
                let help = did_you_mean(other, USES).unwrap_or_else(|| format!("there are {}", USES.join(" and ")));
                let message = format!("unknown provider {}", quoted(other));
                let span = self.reader.first_line(word.span);
                let problem = Problem::error("E0107", &self.reader.source, span, message);
                self.reader.push(problem.label("no such provider").help(help));
                None
            }
        };
        let mut read = read?;
        let places = self.places(&read, entries);
        read.insert("places".to_owned(), places);
        // Not `use`: scripts can't say that word.
        read.insert("provider".to_owned(), Value::from(word.value));
        Some(read)
    }

    /// The settings in which the service's name can be filled in.
    fn places(&mut self, read: &Map, entries: &[Entry]) -> Value {
        for entry in entries {
            let Some(value) = read.get(&entry.key.value).filter(|value| value.has_secret()) else { continue };
            if value.to_json().to_string().contains(SERVICE) {
                let message = format!("`{}` holds a secret and `{SERVICE}`", entry.key.value);
                let label = "a setting with a secret is sent as it is";
                self.reader.error("E0115", self.reader.first_line(entry.value.span), message, label);
            }
        }
        let plain = read.iter().filter(|(_, value)| !value.has_secret());
        Value::List(plain.map(|(key, _)| Value::from(key.as_str())).collect())
    }

    fn misplaced(&mut self, fields: &Fields<'_>, keys: &[&str], word: &str) {
        for entry in keys.iter().filter_map(|key| fields.entry(key)) {
            let message = format!("`{}` does not go with `use: {word}`", entry.key.value);
            self.reader.error("E0115", entry.key.span, message, "belongs to another provider");
        }
    }

    fn webhook(&mut self, fields: &Fields<'_>) -> Option<Map> {
        let url = self.reader.required(fields, "url").and_then(|node| self.url(node));
        let method = fields.get("method").map_or(Some("POST"), |node| self.reader.word(node, "method", &METHODS));
        let headers = fields.get("headers").map_or(Some(Value::Map(Map::new())), |node| self.texts_by_name(node));
        let json = fields.get("json").map_or(Some(Value::Null), |node| self.value(node, "`json`"));
        let timeout = self.time(fields, "timeout", "30s");
        let key = fields.get("idempotency").map_or(Some(Value::Null), |node| self.idempotency(node));
        let wait = fields.get("wait").map_or(Some(Value::Null), |node| self.wait(node));
        Some(map([
            ("url", url?),
            ("method", Value::from(method?)),
            ("headers", headers?),
            ("json", json?),
            ("timeout", timeout?),
            ("idempotency", key?),
            ("wait", wait?),
        ]))
    }

    fn command(&mut self, fields: &Fields<'_>) -> Option<Map> {
        let argv = self.reader.required(fields, "argv").map(|node| self.reader.texts(node, "`argv`"));
        if let (Some(words), Some(node)) = (&argv, fields.get("argv"))
            && words.is_empty()
            && !self.reader.has_errors()
        {
            self.reader.wrong(node, "`argv`", "a program and its arguments");
        }
        let env = match fields.get("env") {
            None => Some(Value::Map(Map::new())),
            Some(node) => {
                let entries = self.reader.map(node, "`env`");
                let named = entries.iter().filter(|entry| !self.reader.name(&entry.key, variable_fault)).count() == 0;
                self.texts_by_name(node).filter(|_| named)
            }
        };
        let timeout = self.time(fields, "timeout", "30s");
        let wait = fields.get("wait").map_or(Some(Value::Null), |node| self.wait(node));
        let argv = argv?.into_iter().map(|word| Value::Text(word.value)).collect();
        Some(map([("argv", Value::List(argv)), ("env", env?), ("timeout", timeout?), ("wait", wait?)]))
    }

    fn on_platform(&mut self, fields: &Fields<'_>) -> Option<Map> {
        let place = match fields.get("place") {
            None => Some(String::new()),
            Some(node) => self.reader.text(node, "`place`").map(|place| place.value),
        };
        let wait = fields.get("wait").map_or(Some(Value::Null), |node| self.wait(node));
        Some(map([("place", Value::Text(place?)), ("wait", wait?)]))
    }

    /// A workflow that deploys; its inputs may hold secrets as little as GitHub's page of a run hides them.
    fn on_github(&mut self, fields: &Fields<'_>) -> Option<Map> {
        let mut read = self.on_platform(fields)?;
        let workflow = self.reader.required(fields, "workflow").and_then(|node| self.reader.text(node, "`workflow`"));
        let mut text = |key: &str, default: &str| match fields.get(key) {
            None => Some(Value::from(default)),
            Some(node) => self.reader.text(node, &format!("`{key}`")).map(|text| Value::Text(text.value)),
        };
        let (branch, tag_input) = (text("ref", "main"), text("tag_input", "tag"));
        let inputs = match fields.get("inputs") {
            None => Some(Value::Map(Map::new())),
            Some(node) => self.texts_by_name(node).filter(|inputs| {
                let shown = inputs.has_secret();
                if shown {
                    self.reader.wrong(node, "`inputs`", "texts without secrets: whoever sees the repository sees them");
                }
                !shown
            }),
        };
        read.extend(map([
            ("workflow", Value::Text(workflow?.value)),
            ("ref", branch?),
            ("tag_input", tag_input?),
            ("inputs", inputs?),
            ("timeout", self.time(fields, "timeout", "30m")?),
        ]));
        Some(read)
    }

    fn idempotency(&mut self, node: &Node) -> Option<Value> {
        let fields = self.reader.fields(node, &IDEMPOTENCY)?;
        let header = self.reader.required(&fields, "header").and_then(|node| self.reader.text(node, "`header`"));
        self.reader.required(&fields, "window");
        let window = self.time(&fields, "window", "24h");
        Some(Value::Map(map([("header", Value::Text(header?.value)), ("window", window?)])))
    }

    fn wait(&mut self, node: &Node) -> Option<Value> {
        let fields = self.reader.fields(node, &WAIT)?;
        let url = self.reader.required(&fields, "url").and_then(|node| self.url(node));
        let status = fields.get("status").map_or(Some(Vec::new()), |node| self.statuses(node));
        let [delay, every, within] =
            [("delay", "0s"), ("every", "5s"), ("within", "5m")].map(|(key, default)| self.time(&fields, key, default));
        Some(Value::Map(map([
            ("url", url?),
            ("status", Value::List(status?)),
            ("delay", delay?),
            ("every", every?),
            ("within", within?),
        ])))
    }

    fn statuses(&mut self, node: &Node) -> Option<Vec<Value>> {
        let items = match &node.kind {
            NodeKind::List(items) if !items.is_empty() => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let read = items.iter().map(|item| match &item.kind {
            NodeKind::Scalar(scalar) if scalar.style == Style::Plain => match core(&scalar.text) {
                Core::Int(code) if (100..=599).contains(&code) => Some(Value::Int(code)),
                _ => None,
            },
            _ => None,
        });
        let read: Option<Vec<Value>> = read.collect();
        if read.is_none() {
            self.reader.wrong(node, "`status`", "a status code from 100 to 599, or a list of them");
        }
        read
    }

    /// A duration; `default` without the key.
    fn time(&mut self, fields: &Fields<'_>, key: &str, default: &str) -> Option<Value> {
        let Some(node) = fields.get(key) else { return Some(Value::from(default)) };
        let text = self.reader.text(node, &format!("`{key}`"))?;
        if let Err(why) = parse_duration(&text.value) {
            self.reader.error("E0107", self.reader.first_line(text.span), format!("`{key}`: {why}"), "no duration");
            return None;
        }
        Some(Value::Text(text.value))
    }

    /// An address with a host that can be read, unless a secret hides it.
    pub(super) fn url(&mut self, node: &Node) -> Option<Value> {
        let value = self.value(node, "`url`")?;
        let good = match &value {
            Value::Text(text) => url::Url::parse(text)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty()),
            other => matches!(other, Value::Secret(_)),
        };
        if !good {
            self.reader.wrong(node, "`url`", "an address such as `https://deploy.example.com/hooks/backend`");
        }
        good.then_some(value)
    }

    fn texts_by_name(&mut self, node: &Node) -> Option<Value> {
        let mut read = Map::new();
        for entry in self.reader.map(node, "this") {
            match self.value(&entry.value, &format!("`{}`", entry.key.value))? {
                value @ (Value::Text(_) | Value::Secret(_)) => read.insert(entry.key.value.clone(), value),
                plain @ (Value::Int(_) | Value::Bool(_)) => {
                    read.insert(entry.key.value.clone(), Value::Text(plain.to_string()))
                }
                _ => {
                    self.reader.wrong(&entry.value, &format!("`{}`", entry.key.value), "text");
                    return None;
                }
            };
        }
        matches!(node.kind, NodeKind::Map(_)).then_some(Value::Map(read))
    }

    /// Any value, in whose texts `${{ secrets.NAME }}` may stand.
    pub(super) fn value(&mut self, node: &Node, thing: &str) -> Option<Value> {
        match &node.kind {
            NodeKind::Scalar(scalar) if scalar.text.contains("${{") => self.secret_text(node, &scalar.text, thing),
            NodeKind::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.value(item, thing)).collect();
                items.into_iter().collect::<Option<_>>().map(Value::List)
            }
            NodeKind::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|entry| Some((entry.key.value.clone(), self.value(&entry.value, thing)?)))
                    .collect();
                entries.into_iter().collect::<Option<_>>().map(Value::Map)
            }
            _ => self.reader.value(node, thing),
        }
    }

    fn secret_text(&mut self, node: &Node, text: &str, thing: &str) -> Option<Value> {
        let span = self.reader.first_line(node.span);
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let name = after.split_once("}}").map(|(inside, after)| (inside.trim().strip_prefix("secrets."), after));
            let Some((Some(name), after)) = name.filter(|(name, _)| name.is_some_and(|n| secret_fault(n).is_none()))
            else {
                let message = format!("{thing}: only `${{{{ secrets.NAME }}}}` is evaluated in a target");
                self.reader.error("E0107", span, message, "not the name of a secret");
                return None;
            };
            if !self.secrets.contains(name) {
                let message = format!("{thing}: the secret `{name}` is not declared");
                let help = did_you_mean(name, self.secrets.iter().map(String::as_str))
                    .unwrap_or_else(|| "say where it comes from under `secrets` of this target".to_owned());
                let problem = Problem::error("E0208", &self.reader.source, span, message);
                self.reader.push(problem.label("not under `secrets`").help(help));
                return None;
            }
            parts.extend([Part::Text(before.to_owned()), Part::Secret(SecretText::named(name))]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Some(Value::Secret(SecretText::concat(parts)))
    }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
