//! The wire to a server: one request and its answer, sent again where that is safe, and errors in the server's words.
//!
//! What acts carries a key of its own, so that the same request can be sent again when its answer is lost: the server
//! does it once and answers alike.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LINK, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value as Json;
use tokio::runtime::Runtime;
use url::{Host, Url};

use crate::runs::{ErrorKind, RunsError, read_token};

/// How long it may take until a connection stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may take: what a server gives a request, and some time on the way.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);
/// The same for a rehearsal, and for a large file on its way.
const REHEARSE_WITHIN: Duration = Duration::from_secs(130);
/// How long a server that was never reached may stay away: it may be about to begin, or its address is wrong.
const NEVER_SEEN_WITHIN: Duration = Duration::from_secs(3);
/// How long one may stay away that has answered before: a restart takes seconds.
pub const AWAY_WITHIN: Duration = Duration::from_secs(60);
/// How long is waited before a request is sent again.
pub const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// The longest time a server may ask to be left alone before the same request is worth another try.
const LEFT_ALONE_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer: the events of a long run, with room.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The media type of a refusal.
const PROBLEM: &str = "application/problem+json";

/// Says something to whoever waits, such as that the server is away.
pub type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// Where a server is, and who asks it.
pub struct Wire {
    /// As it was given, for messages.
    shown: String,
    base: Url,
    client: Client,
    token: Option<HeaderValue>,
    runtime: Runtime,
    /// Whether it has answered anything yet.
    seen: AtomicBool,
    tell: Tell,
}

/// An answer that is no refusal.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub text: String,
    /// Whether there is another page.
    pub more: bool,
}

impl Reply {
    /// The answer as JSON.
    ///
    /// # Errors
    /// If it is none: something else answers at this address.
    pub fn json(&self) -> Result<Json, RunsError> {
        serde_json::from_str(&self.text).map_err(|error| strange(&format!("its answer is no JSON: {error}")))
    }
}

/// Where a server is.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Socket(PathBuf),
    Network(Url),
}

/// Reads `https://HOST[:PORT]`, `http://` of this machine, or `unix:/PATH`.
fn address(text: &str) -> Result<Address, RunsError> {
    let wrong = |why: &str| {
        RunsError::new(ErrorKind::Usage, format!("`{text}` is no address of a server: {why}"))
            .hint("it is https://HOST, http://127.0.0.1:PORT on this machine, or unix:/PATH of its socket")
    };
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        return if path.is_absolute() { Ok(Address::Socket(path)) } else { Err(wrong("the path must be absolute")) };
    }
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a token never stands in an address: --token-file FILE"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("there is nothing behind the host and its port"));
    }
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => return Err(wrong("it names no host")),
    };
    match url.scheme() {
        "https" => Ok(Address::Network(url)),
        "http" if local => Ok(Address::Network(url)),
        "http" => Err(wrong("others could read the token on its way: use https")),
        _ => Err(wrong("expected https, http or unix")),
    }
}

impl Wire {
    /// Makes ready to ask; nothing is sent yet.
    ///
    /// # Errors
    /// If the address is none, or the file with the token or the authority can't be used.
    pub fn open(text: &str, token: Option<&Path>, ca: Option<&Path>, tell: Tell) -> Result<Wire, RunsError> {
        let unusable = |error: &dyn std::fmt::Display| {
            RunsError::new(ErrorKind::Internal, format!("the client of the server can't be built: {error}"))
        };
        let builder = Client::builder()
            .user_agent(concat!("rerail/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .tls_backend_preconfigured(trusting(ca)?)
            .http1_only();
        let (builder, base) = match address(text)? {
            Address::Network(url) => (builder, url),
            Address::Socket(path) => {
                (builder.unix_socket(path), Url::parse("http://localhost").map_err(|error| unusable(&error))?)
            }
        };
        let bearer = |path: &Path| -> Result<HeaderValue, RunsError> {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", read_token(path)?)).map_err(|_| {
                let said = format!("the token in `{}` is no token", path.display());
                RunsError::new(ErrorKind::NotAllowed, said).hint("it holds what `rerail token new NAME` prints")
            })?;
            value.set_sensitive(true);
            Ok(value)
        };
        Ok(Wire {
            shown: text.to_owned(),
            base,
            client: builder.build().map_err(|error| unusable(&error))?,
            token: token.map(bearer).transpose()?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| unusable(&e))?,
            seen: AtomicBool::new(false),
            tell,
        })
    }

    /// The loop that requests are waited for in. Nothing that is called back from a run may wait in it.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Says something to whoever waits.
    pub fn say(&self, text: &str) {
        (self.tell)(text);
    }

    /// Looks.
    ///
    /// # Errors
    /// What the server refuses; that it can't be reached.
    pub fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Reply, RunsError> {
        self.send(ANSWER_WITHIN, || self.request(Method::GET, path, query))
    }

    /// Has something rehearsed or checked, which changes nothing.
    ///
    /// # Errors
    /// As [`Wire::get`].
    pub fn rehearse(&self, path: &[&str], body: &Json) -> Result<Reply, RunsError> {
        self.post(REHEARSE_WITHIN, path, body)
    }

    /// Has something done, once, however often its answer is lost.
    ///
    /// # Errors
    /// As [`Wire::get`]. After a lost answer it may have been done: that is said.
    pub fn act(&self, path: &[&str], body: &Json) -> Result<Reply, RunsError> {
        self.post(ANSWER_WITHIN, path, body)
    }

    /// The same with a file in the request, which takes its time on the way.
    ///
    /// # Errors
    /// As [`Wire::act`].
    pub fn act_with_file(&self, path: &[&str], body: &Json) -> Result<Reply, RunsError> {
        self.post(REHEARSE_WITHIN, path, body)
    }

    fn post(&self, within: Duration, path: &[&str], body: &Json) -> Result<Reply, RunsError> {
        let (key, text) = (uuid::Uuid::now_v7().to_string(), body.to_string());
        self.send(within, || {
            let request = self.request(Method::POST, path, &[]);
            request.header("idempotency-key", &key).header(CONTENT_TYPE, "application/json").body(text.clone())
        })
    }

    /// Begins to listen to a run's events behind the `last` one.
    ///
    /// # Errors
    /// What the server refuses: then it is of no use to ask again. `Ok(None)` if it can't be reached right now.
    pub async fn listen(&self, run: &str, last: Option<u64>) -> Result<Option<Response>, RunsError> {
        let mut request = self.request(Method::GET, &["api", "v1", "runs", run, "events"], &[]);
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        match tokio::time::timeout(ANSWER_WITHIN, request.send()).await {
            Ok(Ok(response)) => {
                self.seen.store(true, Ordering::Relaxed);
                match judge(&response) {
                    Judged::Fine => Ok(Some(response)),
                    Judged::Later(_) => Ok(None),
                    Judged::Refused => Err(refusal(response.status(), &text_of(response).await.unwrap_or_default())),
                }
            }
            Ok(Err(error)) if distrust(&error).is_some() => Err(self.away(&error)),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    /// Sends until there is an answer, or no more hope of one.
    fn send(&self, within: Duration, make: impl Fn() -> RequestBuilder) -> Result<Reply, RunsError> {
        let began = Instant::now();
        let mut told = false;
        loop {
            let wait = match self.runtime.block_on(once(make().timeout(within))) {
                Ok(Answered::Reply(reply)) => {
                    self.seen.store(true, Ordering::Relaxed);
                    return Ok(reply);
                }
                Ok(Answered::Refused(error)) => return Err(error),
                Ok(Answered::Later(wait, error)) => {
                    self.seen.store(true, Ordering::Relaxed);
                    if began.elapsed() >= AWAY_WITHIN {
                        return Err(error);
                    }
                    wait
                }
                Err(error) => {
                    let patience = if self.seen.load(Ordering::Relaxed) { AWAY_WITHIN } else { NEVER_SEEN_WITHIN };
                    if distrust(&error).is_some() || began.elapsed() >= patience {
                        return Err(self.away(&error));
                    }
                    if self.seen.load(Ordering::Relaxed) && !told {
                        told = true;
                        self.say("the server does not answer; asking again");
                    }
                    AGAIN_AFTER
                }
            };
            self.runtime.block_on(async { tokio::time::sleep(wait).await });
        }
    }

    /// That nobody answers, in words that say why.
    pub fn away(&self, error: &reqwest::Error) -> RunsError {
        let mut why: &dyn std::error::Error = error;
        while let Some(source) = why.source() {
            why = source;
        }
        let said = RunsError::new(ErrorKind::Internal, format!("the server {} can't be reached: {why}", self.shown));
        match distrust(error) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                said.hint("trust the authority that signed its certificate: --ca FILE")
            }
            Some(_) => said.hint("does it speak TLS there?"),
            None if error.is_connect() => said.hint("is it running?  rerail serve --help"),
            None => said.hint("what was asked for may have been done: look with  rerail runs"),
        }
    }

    /// The same where there is no error to tell.
    pub fn gone(&self) -> RunsError {
        let seconds = AWAY_WITHIN.as_secs();
        RunsError::new(ErrorKind::Internal, format!("the server {} has been away for {seconds} s", self.shown))
    }
}

/// Which authorities are trusted: the bundled ones, and those of a file.
fn trusting(ca: Option<&Path>) -> Result<ClientConfig, RunsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca {
        let unusable = |why: &dyn std::fmt::Display| {
            RunsError::new(ErrorKind::Usage, format!("the authority in `{}` can't be used: {why}", path.display()))
                .hint("it is PEM: the certificate of the authority that signed the server's")
        };
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
            roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
        }
        if roots.len() == before {
            return Err(unusable(&"there is no certificate in it"));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| RunsError::new(ErrorKind::Internal, error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What came of one try.
enum Answered {
    Reply(Reply),
    Refused(RunsError),
    /// The same request is worth another try after this time.
    Later(Duration, RunsError),
}

/// What a status says.
enum Judged {
    Fine,
    Later(Duration),
    Refused,
}

fn judge(response: &Response) -> Judged {
    let status = response.status();
    if status.is_success() {
        return Judged::Fine;
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match (status, after) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) => {
            Judged::Later(Duration::from_secs(seconds).min(LEFT_ALONE_MAX))
        }
        // Of a proxy whose server is away.
        (StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT, _) => Judged::Later(AGAIN_AFTER),
        _ => Judged::Refused,
    }
}

async fn once(request: RequestBuilder) -> Result<Answered, reqwest::Error> {
    let response = request.send().await?;
    let (status, judged) = (response.status(), judge(&response));
    let more = has_next(response.headers());
    let text = text_of(response).await?;
    Ok(match judged {
        Judged::Fine => Answered::Reply(Reply { status: status.as_u16(), text, more }),
        Judged::Later(wait) => Answered::Later(wait, refusal(status, &text)),
        Judged::Refused => Answered::Refused(refusal(status, &text)),
    })
}

fn has_next(headers: &HeaderMap) -> bool {
    headers.get(LINK).is_some_and(|link| String::from_utf8_lossy(link.as_bytes()).contains("rel=\"next\""))
}

/// The text of an answer, up to its limit: what comes behind is no answer of ours.
async fn text_of(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What TLS has against whoever answers, if it has: then it is of no use to try again.
fn distrust<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(error);
    }
    // An I/O error doesn't give what it holds as its source.
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match inner {
        Some(inner) => distrust(inner),
        None => error.source().and_then(distrust),
    }
}

/// A refusal in the words of the server, with the meaning that its exit code has.
fn refusal(status: StatusCode, text: &str) -> RunsError {
    match serde_json::from_str::<Json>(text) {
        Ok(json) if json["detail"].is_string() => refused(&json),
        _ => strange(&format!("it says {status}, and not in the form of a refusal ({PROBLEM})")),
    }
}

/// That of a problem's document.
pub fn refused(json: &Json) -> RunsError {
    let kind = match (json["status"].as_u64(), json["exit_code"].as_u64()) {
        (Some(404), _) => ErrorKind::NotFound,
        (_, Some(2)) => ErrorKind::Usage,
        (_, Some(3)) => ErrorKind::Invalid,
        (_, Some(4)) => ErrorKind::NotAllowed,
        (_, Some(5)) => ErrorKind::Damaged,
        (_, Some(17)) => ErrorKind::Stale,
        (_, Some(18)) => ErrorKind::Busy,
        (_, Some(19)) => ErrorKind::Full,
        _ => ErrorKind::Internal,
    };
    let mut error = RunsError::new(kind, json["detail"].as_str().unwrap_or("refused without a word"));
    for problem in json["problems"].as_array().into_iter().flatten() {
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        error = error.hint(format!("{}:{}: {} {}", text("path"), problem["line"], text("code"), text("message")));
    }
    for hint in json["hints"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        error = error.hint(hint);
    }
    error
}

/// That something else than a server of ours answers.
pub fn strange(why: &str) -> RunsError {
    RunsError::new(ErrorKind::Internal, format!("this is no server of rerail, or one that is too new: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_sent_only_where_nobody_can_read_it_on_its_way() {
        for good in [
            "https://ops.example.com",
            "https://ops.example.com:8420/",
            "http://127.0.0.1:8420",
            "http://[::1]:1",
            "http://localhost:80",
        ] {
            assert!(matches!(address(good), Ok(Address::Network(_))), "{good}");
        }
        assert_eq!(address("unix:/run/r.sock").unwrap(), Address::Socket("/run/r.sock".into()));
        assert_eq!(address("unix:///run/r.sock").unwrap(), Address::Socket("/run/r.sock".into()));
        for (bad, says) in [
            ("http://ops.example.com", "others could read the token"),
            ("http://127.0.0.1.example.com", "others could read the token"),
            ("https://ana:t@ops.example.com", "never stands in an address"),
            ("https://ops.example.com/api", "nothing behind the host"),
            ("https://ops.example.com?x=1", "nothing behind the host"),
            ("unix:server.sock", "must be absolute"),
            ("ftp://ops.example.com", "expected https"),
            ("ops.example.com", "no address"),
            ("", "no address"),
        ] {
            let error = address(bad).unwrap_err();
            assert!(error.kind == ErrorKind::Usage && error.message.contains(says), "{bad}: {}", error.message);
        }
    }

    #[test]
    fn a_refusal_means_what_its_exit_code_means() {
        for (status, exit, kind) in [
            (404, 2, ErrorKind::NotFound),
            (400, 2, ErrorKind::Usage),
            (422, 3, ErrorKind::Invalid),
            (403, 4, ErrorKind::NotAllowed),
            (409, 17, ErrorKind::Stale),
            (409, 18, ErrorKind::Busy),
            (507, 19, ErrorKind::Full),
            (500, 1, ErrorKind::Internal),
        ] {
            let json = json!({ "status": status, "exit_code": exit, "detail": "no", "hints": ["a way"] });
            let error = refusal(StatusCode::from_u16(status).unwrap(), &json.to_string());
            assert_eq!((error.kind, error.message.as_str(), error.hints.len()), (kind, "no", 1), "{status}");
        }
        let proxy = refusal(StatusCode::NOT_FOUND, "<html>not here</html>");
        assert!(proxy.message.contains("no server of rerail"), "{}", proxy.message);
    }
}
