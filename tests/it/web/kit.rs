//! Somebody at a browser without a screen: keeps its cookie, reads forms from pages and sends them.

use crate::binary::kit::Place;
use crate::serve::kit::{Client, Reply, Served, Team, soon};

/// A browser that is signed in.
#[derive(Clone)]
pub struct Browser {
    pub client: Client,
}

impl Browser {
    /// Of nobody.
    pub fn new(server: &Served) -> Browser {
        Browser { client: server.tcp().with("accept", "text/html,*/*;q=0.8") }
    }

    /// Signed in by a token.
    #[track_caller]
    pub fn of(server: &Served, token: &str) -> Browser {
        let browser = Browser::new(server);
        let reply = browser.sends("/login", &[("token", token)]).is(303);
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Browser { client: browser.client.with("cookie", &cookie) }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.client.get(path)
    }

    /// Sends fields as a form.
    pub fn sends(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.client.send("POST", path, &[("content-type", "application/x-www-form-urlencoded")], &body)
    }

    /// Sends the form of a page that goes to `action`, with these fields beside those that it has.
    #[track_caller]
    pub fn submits(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.get(page).is(200);
        let hidden = hidden_of(&page.body, action);
        let mut all: Vec<(&str, &str)> = hidden.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields);
        self.sends(action, &all)
    }
}

/// The hidden fields of the form that goes to `action`.
#[track_caller]
pub fn hidden_of(page: &str, action: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut found = None;
    for token in html5gum::Tokenizer::new(page) {
        let Ok(token) = token;
        let html5gum::Token::StartTag(tag) = token else {
            if let html5gum::Token::EndTag(tag) = token
                && *tag.name == b"form"[..]
            {
                inside = false;
            }
            continue;
        };
        let get = |name: &str| {
            let value = tag.attributes.iter().find(|(key, _)| String::from_utf8_lossy(key) == name);
            value.map(|(_, value)| String::from_utf8_lossy(&value.value).into_owned())
        };
        if *tag.name == b"form"[..] {
            inside = get("action").as_deref() == Some(action) && found.is_none();
            if inside {
                found = Some(Vec::new());
            }
        }
        if inside && get("type").as_deref() == Some("hidden") {
            found.as_mut().unwrap().push((get("name").unwrap(), get("value").unwrap()));
        }
    }
    found.unwrap_or_else(|| panic!("no form goes to {action} in {page}"))
}

/// A lead who is whoever runs this test, another lead, and one who only looks.
pub fn team() -> Team {
    Team::new()
        .and("ana", "lead, oncall", "read, run, approve", &soon(), "")
        .and("ben", "lead", "read, run, approve", &soon(), "")
        .and("eve", "", "read", &soon(), "")
        .here("ana")
}

/// A run that looks, asks, asks for an approval, writes; `base` is where.
pub const LONG: &str = "
inputs:
  base: { type: url, description: Where it answers }
  service: { type: choice, choices: [backend, worker], default: backend }
  note: { type: string, required: false }
steps:
  - { id: have, name: 'look at ${{ inputs.service }}', uses: http.probe, with: { url: '${{ inputs.base }}/have' } }
  - { id: worth, uses: human.ask, with: { text: 'Still down?', choices: ['yes', 'up again'] } }
  - id: copy
    uses: http.request
    with: { method: PUT, url: '${{ inputs.base }}/variables', json: { DATABASE_URL: 'postgres://db.example.com/app', REGION: eu-west } }
    approval: { by: [lead], message: Copy 2 variables to the backend }
  - { id: tell, uses: http.probe, with: { url: '${{ inputs.base }}/after' } }
  - id: verdict
    findings:
      - { when: 'steps.have.outputs.status == 200', level: warning, say: Two variables were missing, suggest: { runbook: long, with: { base: 'https://api.example.com' } } }
";

/// A project of that team with that runbook.
pub fn place(team: &Team) -> Place {
    Place::new().file("rerail.yaml", &team.yaml).runbook("long", LONG)
}

/// The address of a run's page, from where a form sent its sender.
#[track_caller]
pub fn next(reply: Reply) -> String {
    let reply = reply.is(303);
    reply.header("location").unwrap().to_owned()
}
