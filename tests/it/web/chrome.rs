//! A real browser, told what to do over WebDriver: Debian's Chromium and its driver.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::binary::kit::PATIENCE;
use crate::serve::kit::Served;
use crate::services::skipped;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How often a waiting test looks.
const LOOKS_EVERY: Duration = Duration::from_millis(100);
/// The key that sends a form, and the one that goes on to the next control.
pub const ENTER: &str = "\u{e007}";
pub const TAB: &str = "\u{e004}";

/// Starts of chromedriver before it is given up.
const STARTS_MAX: usize = 5;

/// A chromedriver and its port; nothing if it ended at once.
fn driver() -> Result<Option<(Child, u16)>, std::io::Error> {
    let mut driver =
        Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(driver.stdout.as_mut().unwrap()).lines();
    let port = lines.find_map(|line| {
        line.unwrap().split("successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok()
    });
    if port.is_none() {
        driver.wait()?;
    }
    Ok(port.map(|port| (driver, port)))
}

/// One browser with one page, and nothing from before.
pub struct Chrome {
    driver: Child,
    port: u16,
    session: String,
    /// What addresses begin with.
    pub base: String,
}

impl Chrome {
    /// Starts one; nothing, said loudly, where there is none.
    pub fn start(server: &Served) -> Option<Chrome> {
        // It takes a port that is free for one family of addresses, and ends if the other's is taken.
        let Ok(started) = (0..STARTS_MAX).find_map(|_| driver().transpose()).transpose() else {
            skipped("no chromedriver: apt-get install chromium chromium-driver");
            return None;
        };
        let (driver, port) = started.expect("chromedriver says its port");
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"],
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "performance": "ALL" },
        } } });
        let (_, made) = ask(port, "POST", "/session", &wanted).unwrap();
        let session = format!("/session/{}", made["sessionId"].as_str().unwrap_or_else(|| panic!("{made}")));
        Some(Chrome { driver, port, session, base: format!("http://127.0.0.1:{}", server.port) })
    }

    #[track_caller]
    fn tell(&self, path: &str, body: &Json) -> Json {
        let (status, value) = ask(self.port, "POST", &format!("{}{path}", self.session), body).unwrap();
        assert_eq!(status, 200, "{path} {body}: {value}");
        value
    }

    #[track_caller]
    pub fn goes(&self, path: &str) {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        self.tell("/url", &json!({ "url": url }));
    }

    /// What a script in the page returns.
    #[track_caller]
    pub fn js(&self, script: &str) -> Json {
        self.tell("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same of one that calls back.
    #[track_caller]
    pub fn js_later(&self, script: &str) -> Json {
        self.tell("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// A word to the browser itself.
    #[track_caller]
    pub fn cdp(&self, command: &str, params: &Json) -> Json {
        self.tell("/goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    #[track_caller]
    fn find(&self, css: &str) -> String {
        let began = Instant::now();
        loop {
            // One look: a page that is being left has it now and not a moment later.
            if let Some(found) = self.all(css).into_iter().next() {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "never there: {css}");
            std::thread::sleep(LOOKS_EVERY);
        }
    }

    fn all(&self, css: &str) -> Vec<String> {
        let found = self.tell("/elements", &json!({ "using": "css selector", "value": css }));
        found.as_array().unwrap().iter().map(|found| found[ELEMENT].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub fn clicks(&self, css: &str) {
        let element = self.find(css);
        self.tell(&format!("/element/{element}/click"), &json!({}));
    }

    #[track_caller]
    pub fn types(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.tell(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses a key where the focus is.
    #[track_caller]
    pub fn presses(&self, key: &str) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.tell("/actions", &json!({ "actions": [{ "type": "key", "id": "k", "actions": actions }] }));
    }

    /// The text that people see.
    #[track_caller]
    pub fn text(&self) -> String {
        let body = self.find("body");
        let path = format!("{}/element/{body}/text", self.session);
        let (status, text) = ask(self.port, "GET", &path, &Json::Null).unwrap();
        // A page that is just being left has no text any more.
        if status == 200 { text.as_str().unwrap().to_owned() } else { String::new() }
    }

    #[track_caller]
    pub fn sees(&self, text: &str) {
        self.until(&format!("the page says {text:?}"), |chrome| chrome.text().contains(text));
    }

    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn(&Chrome) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "never happened: {what}, but:\n{}", self.text());
            std::thread::sleep(LOOKS_EVERY);
        }
    }

    /// A screen of this size, by day or by night.
    pub fn screen(&self, width: u32, dark: bool) {
        let size = json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.cdp("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.cdp("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Keeps a picture of the whole page, for people to look at.
    pub fn pictures(&self, name: &str) {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("web");
        std::fs::create_dir_all(&dir).unwrap();
        let picture = self.cdp("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(dir.join(format!("{name}.png")), bytes).unwrap();
    }

    /// Every address that was asked for since the last time.
    pub fn asked_for(&self) -> Vec<String> {
        let log = self.tell("/se/log", &json!({ "type": "performance" }));
        let messages = log.as_array().unwrap().iter().map(|entry| {
            let message: Json = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            message["message"].clone()
        });
        let sent = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        sent.map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }
}

/// One request to the driver, which speaks version 1.1 alone and leaves its connections open.
fn ask(port: u16, method: &str, path: &str, body: &Json) -> std::io::Result<(u16, Json)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}content-type: application/json\r\n\r\n{body}").as_bytes())?;
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest.get(..3).and_then(|status| status.parse().ok()).unwrap_or(0);
        }
        if let Some(rest) = line.strip_prefix("content-length:") {
            length = rest.trim().parse().unwrap_or(0);
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    let json: Json = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok((status, json["value"].clone()))
}

impl Drop for Chrome {
    fn drop(&mut self) {
        ask(self.port, "DELETE", &self.session, &Json::Null).ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
