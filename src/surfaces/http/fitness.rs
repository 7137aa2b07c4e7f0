//! Whether this server is fit: the machine it is on, and what only the server knows of itself.

use jiff::Timestamp;
use serde_json::json;

use crate::runs::{Checkup, ENDS_SOON_DAYS, Fitness, RunsError};
use crate::surfaces::http::call::{Answer, Call, plain_name};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::serve::Server;
use crate::surfaces::shapes::fitness::{of_checkups, of_machine};
use crate::transcript::words::count;

/// Whether it is fit, as `rerail doctor`.
pub fn look(call: &Call<'_>) -> Result<Answer, Problem> {
    let target = call.parameters(&["target"])?.into_iter().next().map(|(_, name)| name);
    target.as_deref().map(|name| plain_name("target", name)).transpose()?;
    let mut json = of_checkups(&checkup(call, target.as_deref())?);
    json["version"] = json!(env!("CARGO_PKG_VERSION"));
    Ok(Answer::json(200, &json))
}

/// What was looked at.
///
/// # Errors
/// If there is no such target, or the journal can't be read.
pub fn checkup(call: &Call<'_>, target: Option<&str>) -> Result<Vec<Checkup>, RunsError> {
    let mut seen = of_machine(&call.runs, target)?;
    seen.extend(of_server(call)?);
    Ok(seen)
}

fn of_server(call: &Call<'_>) -> Result<Vec<Checkup>, RunsError> {
    let server = call.server;
    let root = call.runs.project().root.as_ref();
    let what = root.map_or("no project".to_owned(), |root| root.display().to_string());
    let driven = count(server.fleet.driven(), "run");
    let says = format!("serves {what}, {driven} driven, deliveries waiting: {}", call.runs.open_deliveries()?);
    let mut seen = vec![match server.is_leaving() {
        true => Checkup::new("server", Fitness::Doubtful, says).hint("it is about to end"),
        false => Checkup::new("server", Fitness::Well, says),
    }];
    if let Some(listens) = server.listens.get() {
        let socket = listens.socket.as_ref().map(|socket| Checkup::new("server.socket", Fitness::Well, socket.clone()));
        let address = listens.address.as_ref().map(|at| Checkup::new("server.address", Fitness::Well, at.clone()));
        seen.extend(socket.into_iter().chain(address));
        seen.extend(listens.tls.as_ref().map(|tls| certificate(tls.until(), Timestamp::now())));
    }
    seen.extend(url(server));
    Ok(seen)
}

fn url(server: &Server) -> Option<Checkup> {
    let declared = server.url()?;
    Some(Checkup::new("server.url", Fitness::Well, format!("links begin with {declared}")))
}

/// How long a certificate is good for.
fn certificate(until: Timestamp, now: Timestamp) -> Checkup {
    let days = until.duration_since(now).as_hours() / 24;
    let says = format!("good until {until}, in days: {days}");
    let hint = "put the next certificate and its key into the same files: they are taken without a restart";
    match until <= now {
        true => Checkup::new("server.tls", Fitness::Broken, format!("the certificate expired at {until}")).hint(hint),
        false if days < ENDS_SOON_DAYS => Checkup::new("server.tls", Fitness::Doubtful, says).hint(hint),
        false => Checkup::new("server.tls", Fitness::Well, says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_doubted_before_it_ends() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (until, fitness, says) in [
            ("2026-12-06T12:00:00Z", Fitness::Well, "in days: 14"),
            ("2026-12-06T11:59:59Z", Fitness::Doubtful, "in days: 13"),
            ("2026-11-22T12:00:01Z", Fitness::Doubtful, "in days: 0"),
            ("2026-11-22T12:00:00Z", Fitness::Broken, "expired at"),
        ] {
            let seen = certificate(until.parse().unwrap(), now);
            assert!(seen.fitness == fitness && seen.says.contains(says), "{until}: {seen:?}");
            assert_eq!(seen.hint.is_some(), fitness != Fitness::Well, "{until}");
        }
    }
}
