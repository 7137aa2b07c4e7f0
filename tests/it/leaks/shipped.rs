//! Every runbook and action that is shipped, against servers that give back all they get, in many forms: no secret is seen
//! anywhere. What is new in the folders takes part by being there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::search::{Search, canary, forms};
use super::sinks::{ask, plan, sweep};
use crate::binary::kit::{Ledger, Place, Request};
use crate::house::{files_below, root};

/// Inputs that would take minutes as they are, or lead to another place.
fn given(name: &str, base: &str, database: u16) -> Option<String> {
    Some(match name {
        "base_url" => format!("{base}/ill"),
        // Where the server is, for actions on a PostgreSQL.
        "at" => format!(
            "{{\"host\": \"127.0.0.1\", \"port\": {database}, \"user\": \"u\", \"database\": \"d\", \"tls\": \"off\", \"ca\": \"c\"}}"
        ),
        "directory" => ".".to_owned(),
        "uri" => "${{ secrets.DEPLOY_TOKEN }}".to_owned(),
        "platform_url" | "url" => base.to_owned(),
        "database_host" => "127.0.0.1".to_owned(),
        "database_port" => database.to_string(),
        "database_tls" => "off".to_owned(),
        "within" => "3s".to_owned(),
        "every" => "1ms".to_owned(),
        "timeout" => "5s".to_owned(),
        "samples" | "looks" => "2".to_owned(),
        _ => return None,
    })
}

/// Secrets that only tools get, which nothing allows here: `mongo.ping` reads the address and sends no login.
const OF_TOOLS: [&str; 1] = ["MONGODB_URI"];

/// Providers whose actions log in with a token, and what else a place of each needs.
const PLACES: [(&str, &str); 6] = [
    ("github", ", repo: example/shop"),
    ("mattermost", ""),
    ("resend", ""),
    ("sentry", ", organization: example, project: backend"),
    ("slack", ""),
    ("statuspage", ", page: abc123"),
];

/// Before the first word of a type that is a choice.
const CHOICE: &str = "choice: ";

/// A value of a type, for an input without a default that nobody has heard of yet.
fn of_type(ty: &str, base: &str) -> String {
    match ty {
        "url" => base.to_owned(),
        "int" | "float" => "2".to_owned(),
        "bool" => "true".to_owned(),
        "duration" => "1s".to_owned(),
        "list" => format!("[\"{base}\"]"),
        "map" => "{\"a\": \"b\"}".to_owned(),
        "secret" => "${{ secrets.DEPLOY_TOKEN }}".to_owned(),
        "email" => "ana@example.com".to_owned(),
        other => other.strip_prefix(CHOICE).unwrap_or("backend").to_owned(),
    }
}

/// Gives back what it got: as headers, as text, and in each of the forms of what stands in the login.
fn server() -> Ledger {
    let healed = AtomicBool::new(false);
    Ledger::serve(move |request: &Request, stream: &mut TcpStream| {
        let login = request.header("authorization").or(request.header("x-key")).unwrap_or_default().to_owned();
        let token = login.trim_start_matches("Bearer ").to_owned();
        let again: Vec<String> = forms(&token).into_iter().map(|(_, form)| form).collect();
        let body = json!({
            "status": "active", "restarts": 0, "lines": ["SESSION_SECRET is not defined", format!("token was {token}")],
            "echo": {"head": request.head, "body": request.body, "forms": again, "twice": STANDARD.encode(STANDARD.encode(&request.body))},
            "text": forms(&request.body).into_iter().map(|(_, form)| form).collect::<Vec<_>>(),
        })
        .to_string();
        let origin = request.header("origin").unwrap_or("*");
        // Unwell until somebody does something, so that whoever puts things right has something to do.
        healed.fetch_or(request.is_write(), Ordering::SeqCst);
        let unwell = request.path.starts_with("/ill/health") && !healed.load(Ordering::SeqCst);
        let status = if unwell { "503 Service Unavailable" } else { "200 OK" };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-echo: {}\r\nlocation: /?{}\r\nserver: {}\r\n\
             access-control-allow-origin: {origin}\r\naccess-control-allow-credentials: true\r\ncontent-length: {}\r\n\r\n",
            login,
            token,
            STANDARD.encode(&login),
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).ok();
    })
}

/// A database that asks for the password in plain text, and quotes it in its refusal.
fn database() -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<String>> = Arc::default();
    let log = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut bytes = [0; 4096];
            // What the client wants to log in with; then its password.
            if stream.read(&mut bytes).is_err() || stream.write_all(b"R\0\0\0\x08\0\0\0\x03").is_err() {
                continue;
            }
            let count = stream.read(&mut bytes).unwrap_or(0);
            let password = String::from_utf8_lossy(&bytes[..count]).trim_matches(|c: char| c.is_control()).to_owned();
            let password = password.get(1..).unwrap_or_default().trim_matches(|c: char| c.is_control()).to_owned();
            log.lock().unwrap().push_str(&password);
            let fields = format!(
                "SFATAL\0VFATAL\0C28P01\0Mpassword {password:?} is wrong\0D{password}\0H{}\0\0",
                STANDARD.encode(&password)
            );
            let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
            stream.write_all(&[b"E".as_slice(), &length, fields.as_bytes()].concat()).ok();
        }
    });
    (port, heard)
}

/// What a shipped file says of itself.
struct Shipped {
    name: String,
    inputs: BTreeMap<String, (String, bool)>,
    secrets: Vec<String>,
}

fn shipped(path: &str, folder: &str) -> Shipped {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let file: Json = serde_yaml::from_str(&text).unwrap();
    let inputs = file["inputs"].as_object().cloned().unwrap_or_default().into_iter().map(|(name, input)| {
        let optional = input.get("default").is_some();
        let ty = match input["type"].as_str().unwrap() {
            "choice" => format!("{CHOICE}{}", input["choices"][0].as_str().unwrap()),
            other => other.to_owned(),
        };
        (name, (ty, optional))
    });
    let secrets = file["secrets"].as_array().cloned().unwrap_or_default();
    Shipped {
        name: path.trim_start_matches(&format!("{folder}/")).trim_end_matches(".yaml").replace('/', "."),
        inputs: inputs.collect(),
        secrets: secrets.iter().map(|secret| secret.as_str().unwrap().to_owned()).collect(),
    }
}

fn yaml_below(folder: &str) -> Vec<String> {
    let files: Vec<String> = files_below(folder).into_iter().filter(|path| path.ends_with(".yaml")).collect();
    assert!(!files.is_empty(), "{folder} is where they are");
    files
}

fn values(secrets: &[String]) -> BTreeMap<String, String> {
    // In JSON they stand as they are, so that what is made of a body by base64 is one layer and not two kinds of them.
    secrets.iter().map(|name| (name.clone(), canary(name).replace(['"', '\'', '\\', 'é'], "-"))).collect()
}

fn place(values: &BTreeMap<String, String>, more: &str) -> Place {
    let mut target = String::from("version: 1\ntitle: Here\n");
    let mut place = Place::new().env("RERAIL_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    if !values.is_empty() {
        target.push_str("secrets:\n");
    }
    for (name, value) in values {
        target.push_str(&format!("  {name}: {{ from: file, path: keys/{name}, hosts: ['127.0.0.1'] }}\n"));
        place = place.file(&format!("keys/{name}"), value);
    }
    place.file("targets/here.yaml", format!("{target}{more}"))
}

/// Plans, rehearses and runs it, and looks everywhere. Nothing may keep it from running. Whether there was a plan to look
/// into.
#[track_caller]
fn run(place: &Place, search: &Search, name: &str, inputs: &[String]) -> bool {
    let mut args = vec!["run", name, "--target", "here"];
    for input in inputs {
        args.extend(["-i", input.as_str()]);
    }
    let planned = plan(place, search, &args[1..]);
    for mode in [&["--dry-run"][..], &["--yes", "--confirm", "here", "--verbose"]] {
        let said = ask(place, search, &[&args, mode].concat());
        let began = !matches!(said.code(), None | Some(1..=5));
        assert!(began, "{name} never ran: {} {}", said.stdout, said.stderr);
    }
    sweep(place, search);
    planned
}

fn inputs(of: &Shipped, base: &str, database: u16) -> Vec<String> {
    let value = |name: &str, (ty, optional): &(String, bool)| {
        given(name, base, database).or_else(|| (!optional).then(|| of_type(ty, base)))
    };
    of.inputs.iter().filter_map(|(name, input)| Some(format!("{name}={}", value(name, input)?))).collect()
}

#[test]
fn no_shipped_runbook_shows_a_secret_wherever_servers_repeat_it() {
    let (mut sent, mut planned) = (0, 0);
    for path in yaml_below("runbooks") {
        let runbook = shipped(&path, "runbooks");
        let (ledger, (port, heard)) = (server(), database());
        let values = values(&runbook.secrets);
        let search = Search::of(&values);
        let given = inputs(&runbook, &ledger.url, port);
        planned += usize::from(run(&place(&values, ""), &search, &runbook.name, &given));
        let all: String = ledger.entries().into_iter().map(|request| request.head + request.body.as_str()).collect();
        let all = all + heard.lock().unwrap().as_str();
        for (name, value) in values.iter().filter(|(name, _)| !OF_TOOLS.contains(&name.as_str())) {
            let json = json!(value).to_string();
            let there = all.contains(value.as_str()) || all.contains(json.trim_matches('"'));
            assert!(there, "{path}: {name} was never sent, so nothing could send it back");
            sent += 1;
        }
    }
    assert!(sent >= 3 && planned >= 3, "{sent} secrets were sent, {planned} plans saved");
}

/// Actions of one folder are called by one runbook, each after the other whatever becomes of it.
#[test]
fn no_shipped_action_shows_a_secret_wherever_servers_repeat_it() {
    let mut folders: BTreeMap<String, Vec<Shipped>> = BTreeMap::new();
    for path in yaml_below("stdlib") {
        let action = shipped(&path, "stdlib");
        let folder = action.name.split_once('.').map(|(folder, _)| folder.to_owned());
        folders.entry(folder.unwrap_or_default()).or_default().push(action);
    }
    for actions in folders.values() {
        let ledger = server();
        let values = values(&["DEPLOY_TOKEN".to_owned()]);
        let search = Search::of(&values);
        let mut webhook = format!(
            "providers:\n  redeploy:\n    use: webhook\n    url: {0}/hooks/{{service}}\n    headers: {{ Authorization: 'Bearer ${{{{ secrets.DEPLOY_TOKEN }}}}' }}\n    \
             json: {{ token: '${{{{ secrets.DEPLOY_TOKEN }}}}' }}\n    wait: {{ url: {0}/ill/health, status: 200, delay: 1ms, every: 1ms, within: 5s }}\n  \
             account: {{ main: {{ email: probe@example.com, password: '${{{{ secrets.DEPLOY_TOKEN }}}}' }} }}\n",
            ledger.url
        );
        for (provider, more) in PLACES {
            let token = "token: '${{ secrets.DEPLOY_TOKEN }}'";
            webhook.push_str(&format!("  {provider}: {{ main: {{ {token}, api: '{}'{more} }} }}\n", ledger.url));
        }
        let mut steps = format!(
            "secrets: [DEPLOY_TOKEN]\nsteps:\n  - {{ id: look, uses: http.request, with: {{ method: GET, url: '{}/', headers: {{ X-Key: '${{{{ secrets.DEPLOY_TOKEN }}}}' }} }} }}\n",
            ledger.url
        );
        for (number, action) in actions.iter().enumerate() {
            steps.push_str(&format!(
                "  - {{ id: act_{number}, continue_on_failure: true, uses: {}, with: {{ {} }} }}\n  - {{ id: said_{number}, \
                 continue_on_failure: true, if: steps.act_{number}.outcome == \"done\", uses: run.note, with: {{ text: '${{{{ steps.act_{number}.outputs }}}}' }} }}\n",
                action.name,
                given_in_yaml(action, &ledger.url)
            ));
        }
        let place = place(&values, &webhook).runbook("acts", &steps);
        run(&place, &search, "acts", &[]);
        let ends = place.facts().steps.into_iter().filter(|(path, _)| path.as_str().starts_with("act_"));
        let tried: BTreeSet<String> =
            ends.map(|(path, _)| path.as_str().split('/').next().unwrap_or_default().to_owned()).collect();
        let names: Vec<&str> = actions.iter().map(|action| action.name.as_str()).collect();
        assert_eq!(tried.len(), actions.len(), "the run stopped before it had tried all of {names:?}: {tried:?}");
        if names.contains(&"redeploy") {
            let heard: String = ledger.writes().into_iter().map(|request| request.head).collect();
            assert!(heard.contains(&values["DEPLOY_TOKEN"]), "the webhook was told");
        }
    }
}

/// What the action has to be given, as it is written in a runbook.
fn given_in_yaml(action: &Shipped, base: &str) -> String {
    let given = inputs(action, base, 5432);
    let given = given.iter().map(|input| {
        let (name, value) = input.split_once('=').unwrap();
        match action.inputs[name].0.as_str() {
            "list" | "map" | "int" | "float" | "bool" => format!("{name}: {value}"),
            "secret" => format!("{name}: '${{{{ secrets.DEPLOY_TOKEN }}}}'"),
            _ => format!("{name}: '{value}'"),
        }
    });
    given.collect::<Vec<_>>().join(", ")
}
