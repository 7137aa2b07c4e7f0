//! The doors of the server for chats: what comes in is proved over its raw bytes, kept, acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::runbook::settings::SecretSource;
use crate::runs::{Delivery, Runs, RunsError};
use crate::surfaces::chat::asked::{Asked, Kind, What};
use crate::surfaces::chat::discord::hear::Interaction;
use crate::surfaces::chat::sign::Unproven;
use crate::surfaces::chat::slack::hear::Parcel;
use crate::surfaces::chat::{buttons, discord, generic, mattermost, sign, slack, work};
use crate::surfaces::http::{Answer, Heard, Hook, Problem, Sent, Server};

/// The door of one chat.
pub struct Door(pub Kind);

impl Hook for Door {
    fn source(&self) -> &'static str {
        self.0.source()
    }

    fn prove(&self, runs: &Runs, sent: &Sent) -> Result<Heard, Problem> {
        match self.0 {
            Kind::Slack => of_slack(runs, sent),
            Kind::Mattermost => of_mattermost(runs, sent),
            Kind::Discord => of_discord(runs, sent),
            Kind::Generic => of_generic(runs, sent),
        }
    }

    fn work(&self, server: &Arc<Server>, runs: &Arc<Runs>, delivery: &Delivery) -> Result<String, RunsError> {
        work::work(server, runs, delivery)
    }
}

fn of_slack(runs: &Runs, sent: &Sent) -> Result<Heard, Problem> {
    let settings = runs.project().settings.chat.slack.as_ref();
    let secret = settings.and_then(|slack| slack.signing_secret.as_ref()).ok_or_else(nobody_there)?;
    let secret = secret_of(runs, "chat.slack.signing_secret", secret)?;
    let header = |name| sent.header(name).unwrap_or_default();
    let (moment, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
    sign::slack(&secret, moment, signature, &sent.body, sent.at).map_err(unproven)?;
    match slack::hear::http(header("content-type"), &sent.body).map_err(wrong)? {
        // An empty answer shows nothing in the channel, and closes a form.
        Parcel::Asked(id, asked) => keep(id, &asked, Answer::text("text/plain; charset=utf-8", String::new())),
        Parcel::Challenge(text) => Ok(Heard::Answer(Answer::text("text/plain; charset=utf-8", text))),
        Parcel::Other => Ok(Heard::Answer(Answer::text("text/plain; charset=utf-8", String::new()))),
    }
}

fn of_mattermost(runs: &Runs, sent: &Sent) -> Result<Heard, Problem> {
    let settings = runs.project().settings.chat.mattermost.as_ref().ok_or_else(nobody_there)?;
    let token = secret_of(runs, "chat.mattermost.command_token", &settings.command_token)?;
    // One that is given twice proves nothing, also not by the field.
    let authorization = match sent.headers.contains_key("authorization") {
        true => Some(sent.header("authorization").unwrap_or_default()),
        false => None,
    };
    let media_type = sent.header("content-type").unwrap_or_default();
    match mattermost::hear::hear(&token, authorization, media_type, &sent.body) {
        Ok((id, asked)) => keep(id, &asked, Answer::json(200, &json!({}))),
        Err(None) => Err(unproven(Unproven::Wrong)),
        Err(Some(why)) => Err(wrong(why)),
    }
}

fn of_discord(runs: &Runs, sent: &Sent) -> Result<Heard, Problem> {
    let settings = runs.project().settings.chat.discord.as_ref().ok_or_else(nobody_there)?;
    let header = |name| sent.header(name).unwrap_or_default();
    let (moment, signature) = (header("x-signature-timestamp"), header("x-signature-ed25519"));
    sign::discord(&settings.public_key, moment, signature, &sent.body, sent.at).map_err(unproven)?;
    match discord::hear::read(&sent.body).map_err(wrong)? {
        Interaction::Ping => Ok(Heard::Answer(Answer::json(200, &json!({ "type": 1 })))),
        Interaction::Asked(id, mut asked) => {
            // What is said at once is good for a quarter of an hour, however much waits to be worked through before it.
            if let What::Pressed(holds) = &asked.what
                && !buttons::may_show_a_form(runs, holds).map_err(unread)?
            {
                asked.trigger = None;
            }
            keep(id, &asked, discord::hear::acknowledged(&asked))
        }
        Interaction::Other => Err(Problem::new(400, "this kind of interaction is none of ours")),
    }
}

fn of_generic(runs: &Runs, sent: &Sent) -> Result<Heard, Problem> {
    let settings = runs.project().settings.chat.generic.as_ref().ok_or_else(nobody_there)?;
    let secret = secret_of(runs, "chat.generic.secret", &settings.secret)?;
    let header = |name| sent.header(name).unwrap_or_default();
    let (moment, signature) = (header(generic::TIMESTAMP), header(generic::SIGNATURE));
    sign::generic(&secret, moment, signature, &sent.body, sent.at).map_err(unproven)?;
    let (id, asked) = generic::read(&sent.body).map_err(wrong)?;
    keep(id, &asked, Answer::json(202, &json!({ "heard": true })))
}

fn keep(id: String, asked: &Asked, answer: Answer) -> Result<Heard, Problem> {
    let body = serde_json::to_string(asked).map_err(|error| Problem::new(500, error.to_string()))?;
    Ok(Heard::Keep { id, body, matters: BTreeSet::new(), answer })
}

fn secret_of(runs: &Runs, name: &str, source: &SecretSource) -> Result<String, Problem> {
    runs.own_secret(name, source).map_err(|error| {
        tracing::warn!(%error, "a chat can't be heard");
        // Who sends it sends it again; what is missing is for our operator to know.
        Problem::new(503, "this chat can't be heard now").after(5)
    })
}

/// What can't be read can't be kept either.
fn unread(error: RunsError) -> Problem {
    let problem = Problem::from(error);
    Problem { status: 503, ..problem }.after(1)
}

/// Without a chat nothing proves anything.
fn nobody_there() -> Problem {
    Problem::new(401, "nothing proves who sent this")
}

fn unproven(why: Unproven) -> Problem {
    tracing::info!(?why, "a request of a chat proves nothing");
    nobody_there()
}

fn wrong(why: String) -> Problem {
    Problem::new(400, why)
}
