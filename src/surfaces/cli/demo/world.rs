//! The demo's world: a platform with an admin API, and on it a backend that exits at each start until a
//! variable is set and deployed. All of it lives on loopback, on one thread, and is gone when dropped.
//!
//! It knows nothing of runs: it answers requests, as a real platform would.

use std::collections::{BTreeMap, VecDeque};
use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value as Json_, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

/// Without these the backend does not start.
const REQUIRED: [&str; 2] = ["DATABASE_URL", "SESSION_SECRET"];
/// What a start with all variables takes: migrations, connections.
const BOOT: Duration = Duration::from_secs(1);
/// How soon the platform starts an exited process again.
const RESTART_AFTER: Duration = Duration::from_millis(250);
/// Lines the platform keeps of the log; a crash loop would write for ever.
const LOG_LINES_MAX: usize = 200;

/// The running world.
pub struct World {
    /// Public address of the backend.
    pub backend_url: String,
    /// Address of the platform's admin API.
    pub platform_url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    /// Starts it; the admin API wants `token` as bearer.
    ///
    /// # Errors
    /// If loopback has no port, or there is no thread.
    pub fn start(token: &str) -> std::io::Result<World> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (backend, platform) = runtime.block_on(async {
            Ok::<_, std::io::Error>((TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?))
        })?;
        let backend_url = format!("http://{}", backend.local_addr()?);
        let platform_url = format!("http://{}", platform.local_addr()?);
        let service = Arc::new(Platform::new(token));
        let (stop, stopped) = oneshot::channel::<()>();
        let live = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(backend, edge(&service)).into_future() => {}
                    _ = axum::serve(platform, admin(&service)).into_future() => {}
                    () = service.keep_running() => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("demo world".into()).spawn(live)?;
        Ok(World { backend_url, platform_url, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A world that panicked has been noticed by whoever asked it.
            let _ = thread.join();
        }
    }
}

struct Platform {
    token: String,
    service: Mutex<Service>,
    deployed: Notify,
}

/// The one service of this platform.
struct Service {
    /// As set; a running process sees them from the next deployment on.
    variables: BTreeMap<String, String>,
    deployment: Deployment,
    status: Status,
    log: VecDeque<String>,
    /// Deployments by the key they were asked for with.
    keys: BTreeMap<String, u32>,
}

struct Deployment {
    number: u32,
    variables: BTreeMap<String, String>,
    restarts: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Starting,
    Active,
    Crashed,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Starting => "starting",
            Status::Active => "active",
            Status::Crashed => "crashed",
        }
    }
}

impl Service {
    fn say(&mut self, line: String) {
        if self.log.len() == LOG_LINES_MAX {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    fn deploy(&mut self) -> u32 {
        let number = self.deployment.number + 1;
        self.deployment = Deployment { number, variables: self.variables.clone(), restarts: 0 };
        self.status = Status::Starting;
        number
    }

    /// Starts the process: it runs, or exits at once for want of a variable.
    fn start(&mut self) -> Status {
        self.status = Status::Starting;
        self.say(format!("starting deployment {}", self.deployment.number));
        match REQUIRED.iter().find(|name| !self.deployment.variables.contains_key(**name)) {
            None => self.say("running migrations".to_owned()),
            Some(name) => {
                self.say(format!("fatal: {name} is not defined"));
                self.say("process exited with code 1".to_owned());
                self.deployment.restarts += 1;
                self.status = Status::Crashed;
            }
        }
        self.status
    }
}

impl Platform {
    fn new(token: &str) -> Platform {
        let variables = [("DATABASE_URL", "postgres://db.internal/app"), ("PORT", "8080")];
        let variables: BTreeMap<_, _> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut service = Service {
            deployment: Deployment { number: 1, variables: variables.clone(), restarts: 0 },
            variables,
            status: Status::Starting,
            log: VecDeque::new(),
            keys: BTreeMap::new(),
        };
        // It has crashed before anybody looks, as outages have.
        service.start();
        Platform { token: token.to_owned(), service: Mutex::new(service), deployed: Notify::new() }
    }

    fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process again and again, whenever it exited or a deployment wants it.
    async fn keep_running(&self) {
        loop {
            let started = self.service().status;
            let wait = if started == Status::Crashed { RESTART_AFTER } else { BOOT };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.deployed.notified() => {
                    self.service().start();
                    continue;
                }
            }
            if started == Status::Crashed {
                self.service().start();
                continue;
            }
            {
                let mut service = self.service();
                service.status = Status::Active;
                service.say("listening on port 8080".to_owned());
            }
            self.deployed.notified().await;
            self.service().start();
        }
    }
}

/// What users reach: the backend, or the edge's word that there is none.
fn edge(platform: &Arc<Platform>) -> Router {
    async fn answer(State(platform): State<Arc<Platform>>, request: Request) -> Response {
        if platform.service().status != Status::Active {
            return (StatusCode::BAD_GATEWAY, "the application failed to respond\n").into_response();
        }
        match request.uri().path() {
            "/" => Json(json!({ "service": "backend" })).into_response(),
            "/health" => Json(json!({ "status": "healthy" })).into_response(),
            "/api/ping" => Json(json!({ "pong": true })).into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
    Router::new().fallback(answer).with_state(Arc::clone(platform))
}

fn admin(platform: &Arc<Platform>) -> Router {
    Router::new()
        .route("/service", get(service))
        .route("/logs", get(logs))
        .route("/variables", get(variables))
        .route("/variables/{name}", put(set_variable))
        .route("/deployments", post(deploy))
        .layer(from_fn_with_state(Arc::clone(platform), authorized))
        .with_state(Arc::clone(platform))
}

async fn authorized(State(platform): State<Arc<Platform>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|given| given.strip_prefix("Bearer ")) != Some(&platform.token) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "a token is needed" }))).into_response();
    }
    next.run(request).await
}

async fn service(State(platform): State<Arc<Platform>>) -> Json<Json_> {
    let service = platform.service();
    Json(json!({
        "name": "backend",
        "status": service.status.word(),
        "deployment": service.deployment.number,
        "restarts": service.deployment.restarts,
    }))
}

async fn logs(State(platform): State<Arc<Platform>>) -> Json<Json_> {
    Json(json!({ "lines": platform.service().log }))
}

async fn variables(State(platform): State<Arc<Platform>>) -> Json<Json_> {
    Json(json!(platform.service().variables))
}

/// Echoes the value, as some platforms do: the transcript must not hold it for all that.
async fn set_variable(
    State(platform): State<Arc<Platform>>,
    Path(name): Path<String>,
    Json(body): Json<Json_>,
) -> Response {
    let Some(value) = body.get("value").and_then(Json_::as_str) else {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": "`value` is needed" }))).into_response();
    };
    platform.service().variables.insert(name.clone(), value.to_owned());
    Json(json!({ "name": name, "value": value })).into_response()
}

/// A second request with the same key gets the first one's deployment.
async fn deploy(State(platform): State<Arc<Platform>>, headers: HeaderMap) -> Response {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let mut service = platform.service();
    if let Some(number) = key.as_ref().and_then(|key| service.keys.get(key)) {
        return Json(json!({ "id": format!("d{number}") })).into_response();
    }
    let number = service.deploy();
    if let Some(key) = key {
        service.keys.insert(key, number);
    }
    drop(service);
    platform.deployed.notify_one();
    (StatusCode::CREATED, Json(json!({ "id": format!("d{number}") }))).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;

    const TOKEN: &str = "Authorization: Bearer a-token-of-the-test\r\n";

    fn world() -> World {
        World::start("a-token-of-the-test").unwrap()
    }

    /// Status line and body of one exchange.
    fn ask(url: &str, request: &str, headers: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        let length = body.len();
        let head =
            format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n");
        stream.write_all(format!("{head}Content-Type: application/json\r\n\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    #[test]
    fn nothing_is_told_or_done_without_the_token() {
        let world = world();
        for request in ["GET /service", "GET /variables", "PUT /variables/X", "POST /deployments"] {
            for headers in ["", "Authorization: Bearer another\r\n", "Authorization: a-token-of-the-test\r\n"] {
                let (status, _) = ask(&world.platform_url, request, headers, r#"{"value":"x"}"#);
                assert_eq!(status, "HTTP/1.1 401 Unauthorized", "{request} {headers}");
            }
        }
    }

    #[test]
    fn a_variable_counts_from_the_next_deployment_on() {
        let world = world();
        let admin = |request: &str, body: &str| ask(&world.platform_url, request, TOKEN, body);
        let health = || ask(&world.backend_url, "GET /health", "", "").0;
        assert_eq!(health(), "HTTP/1.1 502 Bad Gateway");
        assert!(admin("GET /logs", "").1.contains("SESSION_SECRET is not defined"));
        admin("PUT /variables/SESSION_SECRET", r#"{"value":"set"}"#);
        assert!(admin("GET /service", "").1.contains(r#""status":"crashed""#));
        assert_eq!(admin("POST /deployments", "").1, r#"{"id":"d2"}"#);
        let since = Instant::now();
        while health() != "HTTP/1.1 200 OK" {
            assert!(since.elapsed() < BOOT * 20, "{}", admin("GET /logs", "").1);
        }
        assert!(since.elapsed() > BOOT / 2);
        assert!(admin("GET /service", "").1.contains(r#""restarts":0,"status":"active""#));
    }

    #[test]
    fn the_same_key_deploys_once() {
        let world = world();
        let deploy = |key: &str| {
            let headers = format!("{TOKEN}Idempotency-Key: {key}\r\n");
            ask(&world.platform_url, "POST /deployments", &headers, "").1
        };
        assert_eq!([deploy("a"), deploy("a"), deploy("b")], [r#"{"id":"d2"}"#, r#"{"id":"d2"}"#, r#"{"id":"d3"}"#]);
    }
}
