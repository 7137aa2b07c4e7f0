//! Where a write lands, as people name places: for the blast radius of a plan. What can't be told is left out, never
//! guessed.

use crate::script::value::{Map, Value};

/// Hosts, files and programs that a call of a primitive changes.
pub fn places_of(uses: &str, with: &Map) -> Vec<String> {
    let text = |name: &str| with.get(name).and_then(Value::as_text);
    let host = |text: &str| {
        url::Url::parse(text).ok().and_then(|url| {
            let host = url.host_str()?.to_owned();
            Some(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
        })
    };
    let place = match uses {
        "file.write" => text("path").map(|path| format!("file {path}")),
        "exec.run" => match with.get("argv") {
            Some(Value::List(argv)) => {
                argv.first().and_then(Value::as_text).map(|program| format!("command {program}"))
            }
            _ => None,
        },
        _ => text("url").and_then(host),
    };
    place.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_place_is_named_only_if_it_is_known() {
        let of = |uses: &str, with: serde_json::Value| {
            let Value::Map(with) = Value::from_json(&with) else { panic!("a map") };
            places_of(uses, &with).join(" ")
        };
        assert_eq!(of("http.request", json!({ "url": "https://api.example.com/v1?x=1" })), "api.example.com");
        assert_eq!(of("graphql.mutate", json!({ "url": "http://127.0.0.1:8080/graphql" })), "127.0.0.1:8080");
        assert_eq!(of("file.write", json!({ "path": "etc/app.conf" })), "file etc/app.conf");
        assert_eq!(of("exec.run", json!({ "argv": ["systemctl", "restart", "app"] })), "command systemctl");
        // A secret address, one that is known later, and none at all.
        assert_eq!(of("chat.post", json!({ "url": { "$secret": "HOOK" } })), "");
        assert_eq!(of("http.request", json!({ "url": { "$unknown": "deploy" } })), "");
        assert_eq!(of("email.send", json!({ "to": "a@example.com" })), "");
    }
}
