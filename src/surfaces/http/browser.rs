//! The way of a browser's request: as in `gate.rs`, but proved by a session as well, with forms for bodies, and answered
//! with pages also where nothing is done.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::runs::Keyed;
use crate::surfaces::http::authority::{Authority, Credential, Peer, Principal};
use crate::surfaces::http::body::read_usual;
use crate::surfaces::http::call::{Answer, Call, Knock};
use crate::surfaces::http::gate::{
    ANSWER_WITHIN, NOBODY, REHEARSE_WITHIN, admit, blocking, closed, digest, is_key, once, one, refuse, say, slowed,
};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::routes::{Does, Form, Route};
use crate::surfaces::http::serve::Server;
use crate::surfaces::http::stream::Listener;
use crate::surfaces::http::{cookies, fields, live};
use crate::surfaces::web::{login, problems};

/// How long a browser may keep what never changes under its address.
const ASSET_KEPT: &str = "public, max-age=31536000, immutable";

/// What is asked for, apart from who asks.
struct Asked {
    route: &'static Route,
    subject: Option<String>,
    rest: Option<String>,
    query: Option<String>,
    path: String,
    fields: Vec<(String, String)>,
}

impl Asked {
    fn of<'s>(&mut self, server: &'s Server, runs: Arc<crate::runs::Runs>, principal: Principal) -> Call<'s> {
        Call {
            server,
            runs,
            principal,
            subject: self.subject.take(),
            rest: self.rest.take(),
            query: self.query.take(),
            body: Vec::new(),
            fields: std::mem::take(&mut self.fields),
            // A form is sent by a person, who is no span.
            traceparent: None,
        }
    }
}

/// Answers a browser.
pub async fn answer(
    server: &Arc<Server>,
    route: &'static Route,
    subject: Option<String>,
    rest: Option<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if comes_from_elsewhere(server, route, &parts) {
        return say(server, Answer { status: 200, ..problems::go_on(&parts.uri.to_string()) });
    }
    let wants_page = wants_page(&parts.headers);
    let address = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    match through(server, route, subject, rest, parts, body).await {
        Ok(response) => response,
        Err(problem) if wants_page && problem.status == 401 => {
            // Who was sent away from a page comes back to it.
            let next = if route.is_post() { "/".to_owned() } else { address };
            let mut response = say(server, login::asked(&next, &problem));
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        Err(problem) if wants_page => {
            let after = problem.retry_after;
            let mut response = say(server, problems::alone(&problem));
            if let Some(seconds) = after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Err(problem) => refuse(server, &problem),
    }
}

/// Whether somebody followed a link from another page to one of ours. Their session does not come along, so that no other
/// page can use it; they are shown nothing but the way on, which is a request of our own.
fn comes_from_elsewhere(server: &Server, route: &Route, parts: &Parts) -> bool {
    let is = |name: &'static str, value: &str| parts.headers.get(name).is_some_and(|found| found == value);
    let away = ["cross-site", "same-site"].iter().any(|site| is("sec-fetch-site", site));
    if !matches!(route.does, Does::Page(_) | Does::Entrance(_)) || !away {
        return false;
    }
    if !is("sec-fetch-mode", "navigate") || !is("sec-fetch-dest", "document") {
        return false;
    }
    let mut headers = parts.headers.clone();
    headers.remove("sec-fetch-site");
    server.hosts.admit(&headers).is_ok()
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

async fn through(
    server: &Arc<Server>,
    route: &'static Route,
    subject: Option<String>,
    rest: Option<String>,
    parts: Parts,
    body: Body,
) -> Result<Response, Problem> {
    server.hosts.admit(&parts.headers)?;
    if let Does::Asset(media_type, text) = route.does {
        let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, ASSET_KEPT)];
        return Ok(closed((StatusCode::OK, headers, text).into_response()));
    }
    let declared = server.hosts.is_declared(&parts.headers);
    let session = cookies::read(&parts.headers, declared)?;
    let query = parts.uri.query().map(str::to_owned);
    let asked = Asked { route, subject, rest, query, path: parts.uri.path().to_owned(), fields: Vec::new() };
    if route.authority == Authority::Newcomer {
        return knock(server, asked, session, declared, &parts.headers, body).await;
    }
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or(Peer::Network);
    let credential = Credential { peer, header: one(&parts.headers, header::AUTHORIZATION)?, session };
    let (door, proof) = (Arc::clone(server), credential.clone());
    let (runs, principal) = blocking(ANSWER_WITHIN, move || admit(&door, &proof, route.authority)).await?;
    let mut asked = Asked { fields: read_form(route, &parts.headers, body).await?, ..asked };
    if route.is_post() {
        fields::prove(&mut asked.fields, principal.csrf.as_deref())?;
    }
    let door = Arc::clone(server);
    match route.does {
        Does::Page(page) => {
            let work = move || shown(&asked.of(&door, runs, principal), page);
            Ok(say(server, blocking(ANSWER_WITHIN, work).await?))
        }
        Does::Preview(preview) => {
            fields::key(&mut asked.fields);
            let work = move || shown(&asked.of(&door, runs, principal), preview);
            Ok(say(server, blocking(REHEARSE_WITHIN, work).await?))
        }
        Does::Form(form) => {
            let work = move || {
                let answer = sent(&door, asked, form, runs, principal)?;
                Ok(answer)
            };
            Ok(say(server, sent_on(blocking(ANSWER_WITHIN, work).await?)))
        }
        Does::Live(live) => {
            let last = one(&parts.headers, HeaderName::from_static("last-event-id"))?;
            let last = last.as_deref().map(str::trim).filter(|last| !last.is_empty());
            let wrong = |last: &str| Problem::new(400, format!("`last-event-id` is no number of an event: `{last}`"));
            let last: Option<u64> = last.map(|last| last.parse().map_err(|_| wrong(last))).transpose()?;
            let (name, found) = (principal.name.clone(), Arc::clone(&runs));
            let telling = blocking(ANSWER_WITHIN, move || live(&asked.of(&door, runs, principal), last)).await?;
            let listener = Listener { name, credential, authority: route.authority };
            live::tell(server, found, listener, telling).map(closed)
        }
        _ => Err(Problem::new(403, "nobody may call this")),
    }
}

/// A page; or why there is none, as a page with the same around it.
fn shown(call: &Call<'_>, page: fn(&Call<'_>) -> Result<Answer, Problem>) -> Result<Answer, Problem> {
    page(call).or_else(|problem| match problem.status {
        401 => Err(problem),
        _ => problems::page(call, &problem),
    })
}

/// Does what a form says, once; or shows why not.
fn sent(
    server: &Server,
    mut asked: Asked,
    form: Form,
    runs: Arc<crate::runs::Runs>,
    principal: Principal,
) -> Result<Answer, Problem> {
    let key = fields::key(&mut asked.fields);
    if !is_key(&key) {
        return Err(Problem::new(400, "the form has no key").hint("go back, load the page anew, and send it again"));
    }
    let path = std::mem::take(&mut asked.path);
    let call = asked.of(server, runs, principal);
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(call.form());
    let digest = digest(&path, text.finish().as_bytes());
    let keyed = Keyed { person: call.principal.name.clone(), key, digest, twice: form.twice };
    once(&call, &keyed, form.act).or_else(|problem| (form.refused)(&call, &problem))
}

/// Where a form was done, its answer is the address that is next.
fn sent_on(answer: Answer) -> Answer {
    match answer.status {
        303 => {
            let next = answer.body.clone();
            Answer { media_type: "text/plain; charset=utf-8", ..answer }.with("location", next)
        }
        _ => answer,
    }
}

/// Lets somebody in or out. Nothing is proved yet, so it costs as much as for everybody whom nothing proves.
async fn knock(
    server: &Arc<Server>,
    asked: Asked,
    session: Option<String>,
    declared: bool,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let fields = read_form(asked.route, headers, body).await?;
    let (Does::Entrance(door) | Does::Door(door)) = asked.route.does else {
        return Err(Problem::new(403, "nobody may call this"));
    };
    let at = Arc::clone(server);
    let work = move || {
        at.rates.take(NOBODY, std::time::Instant::now()).map_err(|seconds| slowed(&at, seconds))?;
        let runs = at.door()?;
        door(&Knock { server: &at, runs, query: asked.query, fields, session, declared })
    };
    Ok(say(server, sent_on(blocking(ANSWER_WITHIN, work).await?)))
}

/// The fields of a form, where the route is one.
async fn read_form(route: &Route, headers: &HeaderMap, body: Body) -> Result<Vec<(String, String)>, Problem> {
    if !route.is_post() {
        return Ok(Vec::new());
    }
    let media_type = one(headers, header::CONTENT_TYPE)?.unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != fields::MEDIA_TYPE {
        return Err(Problem::new(415, format!("the body must be `{}`: a form", fields::MEDIA_TYPE)));
    }
    fields::read(&read_usual(headers, body).await?)
}
