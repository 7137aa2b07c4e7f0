//! `POST /mcp`: the tools of a program that acts for a person, for programs elsewhere. One message, one answer: there is no
//! session, and the server sends nothing unasked.

use crate::runbook::tokens::Scope;
use crate::surfaces::http::authority::Authority;
use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::mcp::{Behalf, Desk, Reply, one_message};

/// Answers one message.
pub fn converse(call: &Call<'_>) -> Result<Answer, Problem> {
    let server = call.server;
    let behalf = Behalf {
        caller: call.principal.caller.clone(),
        may_run: call.principal.may(Authority::Person(Scope::Run)).is_ok(),
        max_effect: call.principal.max_effect,
    };
    let desk = Desk::of_request(&server.fleet, &server.plans, &call.runs, behalf);
    match one_message(desk, &call.body) {
        Ok(Reply::Answer(body)) => {
            Ok(Answer { status: 200, body, media_type: "application/json", headers: Vec::new() })
        }
        Ok(Reply::Heard) => Ok(Answer::text("application/json", String::new()).status(202)),
        Err(why) => Err(Problem::new(400, why).hint("send one JSON-RPC 2.0 message of the Model Context Protocol")),
    }
}
