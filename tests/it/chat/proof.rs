//! Proof of who sends: signed samples of others, malformed ones of our own, replays.

use jiff::Timestamp;
use rerail::script::secret::hmac_sha256_hex;
use rerail::surfaces::chat::sign;
use serde_json::Value as Json;

use super::standin::{SECRET, Slack, signed, with};
use super::story::PEOPLE;
use crate::binary::kit::until;
use crate::serve::kit::Served;
use crate::services::skipped;

#[test]
fn the_signed_samples_are_accepted_and_refused_as_they_say() {
    let Some(folder) = std::env::var_os("RERAIL_CONTRACTS") else {
        skipped("RERAIL_CONTRACTS names no folder with samples/signed-requests.json");
        return;
    };
    let path = std::path::Path::new(&folder).join("samples/signed-requests.json");
    let all: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut judged = 0;
    for sample in all["vectors"].as_array().unwrap() {
        let text = |name: &str| sample[name].as_str().unwrap_or_default();
        let header = |name: &str| sample["headers"][name].as_str().unwrap_or_default();
        let (key, body) = (text("key"), text("body").as_bytes());
        let at = Timestamp::from_second(sample["received_at"].as_i64().unwrap()).unwrap();
        let proved = match text("scheme") {
            "slack-v0" => {
                sign::slack(key, header("x-slack-request-timestamp"), header("x-slack-signature"), body, at).is_ok()
            }
            "mattermost-token" => {
                sign::mattermost(key, header("authorization").strip_prefix("Token ").unwrap_or_default()).is_ok()
            }
            "discord-ed25519" => {
                let key: Vec<u8> =
                    (0..key.len() / 2).map(|at| u8::from_str_radix(&key[at * 2..at * 2 + 2], 16).unwrap()).collect();
                let (moment, signature) = (header("x-signature-timestamp"), header("x-signature-ed25519"));
                sign::discord(&key, moment, signature, body, at).is_ok()
            }
            _ => continue,
        };
        judged += 1;
        assert_eq!(proved, text("expect") == "accept", "{}", text("name"));
    }
    assert!(judged >= 14, "{judged}");
}

/// The bits of a seed, one after the other: the same 500 cases each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[test]
fn of_five_hundred_malformed_signatures_none_is_accepted() {
    let (moment, body) = ("1795250484", "command=%2Frerail&text=run+x&trigger_id=1");
    let at = Timestamp::from_second(1_795_250_484).unwrap();
    let good = format!("v0={}", hmac_sha256_hex(SECRET, &format!("v0:{moment}:{body}")));
    assert_eq!(sign::slack(SECRET, moment, &good, body.as_bytes(), at), Ok(()));
    let mut dice = Dice(2_026);
    let mut tried = 0;
    while tried < 500 {
        let mut letters: Vec<char> = good.chars().collect();
        match dice.next(6) {
            0 => letters.truncate(dice.next(letters.len())),
            1 => letters.push(char::from(b'0' + u8::try_from(dice.next(10)).unwrap())),
            2 => drop(letters.remove(dice.next(letters.len()))),
            3 => {
                let place = dice.next(letters.len());
                letters[place] = ['0', 'f', 'F', 'g', ' ', '=', 'é', '\u{0}'][dice.next(8)];
            }
            4 => {
                let place = dice.next(letters.len());
                letters.insert(place, ['0', 'a', ' ', ',', '='][dice.next(5)]);
            }
            _ => letters = letters.iter().map(char::to_ascii_uppercase).collect(),
        }
        let bad: String = letters.into_iter().collect();
        if bad == good {
            continue;
        }
        assert!(sign::slack(SECRET, moment, &bad, body.as_bytes(), at).is_err(), "{bad}");
        tried += 1;
    }
}

#[test]
fn what_is_replayed_late_early_or_forged_does_nothing_at_the_door() {
    let slack = Slack::new();
    let place = slack.project(PEOPLE, false);
    let server = Served::start(&place, "a.sock");
    let body = slack.command_body("UANA", "runs");
    let now = Timestamp::now().as_second();
    let sign = |moment: i64| format!("v0={}", hmac_sha256_hex(SECRET, &format!("v0:{moment}:{body}")));
    for off in [-400, 400] {
        with(&server, &body, &(now + off).to_string(), &sign(now + off)).is(401);
    }
    with(&server, &body, &now.to_string(), &sign(now + 1)).is(401);
    with(&server, &format!("{body}&x=y"), &now.to_string(), &sign(now)).is(401);
    server.tcp().send("POST", "/chat/slack", &[("content-type", "application/x-www-form-urlencoded")], &body).is(401);
    for path in ["/chat/mattermost", "/chat/discord", "/chat/generic"] {
        server.tcp().send("POST", path, &[("content-type", "application/json")], "{}").is(401);
    }
    for _ in 0..5 {
        with(&server, &body, &now.to_string(), &sign(now)).is(200);
    }
    slack.whisper_with("UANA", "newest runs");
    // Another one after it has been worked through: whatever the five came to is there by then.
    slack.command(&server, "UBEN", "runs");
    slack.whisper_with("UBEN", "newest runs");
    let heard = slack.state.lock().unwrap().whispers.iter().filter(|(who, _)| who == "UANA").count();
    assert_eq!(heard, 1);
    // What is signed and makes no sense is refused, and kept nowhere.
    signed(&server, "text=x").is(400);
    until("nothing is open", || slack.state.lock().unwrap().whispers.len() == 2);
}
