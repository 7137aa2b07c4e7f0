//! Ways in and out, and what a session is worth where it has no business.

use serde_json::json;

use super::kit::{Browser, hidden_of, place, team};
use crate::binary::kit::Place;
use crate::serve::kit::Served;

#[test]
fn a_link_from_the_terminal_signs_in_once() {
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let made = place.json(&["login-link"]);
    let link = made["url"].as_str().unwrap();
    assert_eq!((&made["as"], &made["seconds"]), (&json!("ana"), &json!(60)));
    let path = link.strip_prefix(&format!("http://127.0.0.1:{}", server.port)).unwrap();
    let browser = Browser::new(&server);
    // Looking at it, as chats and mail readers do, uses nothing up.
    for _ in 0..2 {
        browser.get(path).is(200);
    }
    let fields = hidden_of(&browser.get(path).body, "/login");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let reply = browser.sends("/login", &fields).is(303);
    assert_eq!(reply.header("location"), Some("/"));
    let kept = reply.header("set-cookie").unwrap();
    for word in ["rerail-local=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(kept.contains(word), "{kept}");
    }
    let cookie = kept.split(';').next().unwrap();
    let ana = Browser { client: browser.client.clone().with("cookie", cookie) };
    assert!(ana.get("/").is(200).body.contains("You are <strong>ana</strong>"));
    // The second one who follows it is nobody.
    let again = browser.sends("/login", &fields).is(401);
    assert!(again.body.contains("was used, or is older than a minute") && again.header("set-cookie").is_none());
    // The store knows digests alone.
    let secret = cookie.split('=').nth(1).unwrap();
    let code = link.split("code=").nth(1).unwrap();
    for file in std::fs::read_dir(place.state()).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = std::fs::read(&file).unwrap();
        for hidden in [secret, code] {
            assert!(!bytes.windows(hidden.len()).any(|at| at == hidden.as_bytes()), "{} holds it", file.display());
        }
    }
}

#[test]
fn who_signs_out_or_loses_the_token_is_out_at_once() {
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    let eve = Browser::of(&server, team.token("eve"));
    ana.get("/runs").is(200);
    // A form that was not read by whoever is signed in ends nothing.
    ana.sends("/logout", &[("csrf", "x")]).is(303);
    ana.get("/runs").is(200);
    let reply = ana.submits("/runs", "/logout", &[]).is(303);
    assert!(reply.header("set-cookie").unwrap().contains("Max-Age=0"));
    let out = ana.get("/runs?status=failed").is(401);
    assert!(out.body.contains("value=\"/runs?status=failed\"") && out.body.contains("sign in again"), "{}", out.body);
    eve.get("/runs").is(200);
    let without = team.yaml.replace("  eve:", "  eva:");
    let without =
        without.replace(&rerail::runs::token_digest(team.token("eve")).text(), &format!("sha256:{}", "0".repeat(64)));
    std::fs::write(place.project().join("rerail.yaml"), without).unwrap();
    eve.get("/runs").is(401);
}

#[test]
fn a_session_is_for_pages_and_its_forms_alone() {
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    // Not for programs: there a cookie proves nothing.
    ana.get("/api/v1/runs").is(401);
    ana.client.post("/api/v1/hold", "k", &json!({ "on": true, "reason": "x" })).is(401);
    // Not without the proof that the form was read.
    let fields = [("on", "true"), ("reason", "test"), ("key", "k1")];
    ana.sends("/admin/hold", &fields).is(403);
    ana.sends("/admin/hold", &[&fields[..], &[("csrf", "0".repeat(64).as_str())]].concat()).is(403);
    assert_eq!(server.unix().get("/api/v1/hold").is(200).json()["on"], false);
    // Not from another page, whatever it has found out.
    let page = ana.get("/admin").is(200);
    let hidden = hidden_of(&page.body, "/admin/hold");
    let proof: Vec<(&str, &str)> = hidden.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let all = [&proof[..], &[("reason", "test")]].concat();
    for (name, value) in [("origin", "https://evil.example.com"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
    {
        let other = Browser { client: ana.client.clone().with(name, value) };
        other.sends("/admin/hold", &all).is(403);
    }
    // Not with the proof of somebody else's session.
    let ben = Browser::of(&server, team.token("ben"));
    ben.sends("/admin/hold", &all).is(403);
    ana.sends("/admin/hold", &all).is(303);
    assert_eq!(server.unix().get("/api/v1/hold").is(200).json()["on"], true);
    assert!(ben.get("/").is(200).body.contains("Writes are on hold"));
    // Who may only look may not lift it.
    let eve = Browser::of(&server, team.token("eve"));
    eve.submits("/admin", "/admin/hold", &[("on", "false")]).is(403);
    // The same form again is the same word, not another one.
    ana.sends("/admin/hold", &all).is(303);
}

#[test]
fn a_session_is_no_good_under_another_name_or_in_another_project() {
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    // Behind TLS a cookie from here counts for nothing, so nobody can plant one.
    let planted = ana.client.clone();
    drop(server);
    let mut other = Served::with(&place, "b.sock", &["--listen", "127.0.0.1:0", "--url", "https://ops.example.com"]);
    let at = |port: u16| planted.clone().at(port);
    at(other.port).get("/runs").is(200);
    at(other.port).with("host", "ops.example.com").get("/runs").is(401);
    let named = Browser { client: other.tcp().with("accept", "text/html").with("host", "ops.example.com") };
    let kept = named.sends("/login", &[("token", team.token("ana"))]).is(303);
    let kept = kept.header("set-cookie").unwrap().to_owned();
    assert!(kept.starts_with("__Host-rerail=") && kept.ends_with("; Secure"), "{kept}");
    assert!(place.json(&["login-link"])["url"].as_str().unwrap().starts_with("https://ops.example.com/login?code="));
    // Another project on the same store, where somebody else may be called ana.
    let elsewhere = Place::new().file("rerail.yaml", &team.yaml).state_at(place.state());
    other = Served::start(&elsewhere, "c.sock");
    at(other.port).get("/runs").is(401);
}

#[test]
fn the_one_operator_signs_in_by_link_or_by_the_token_beside_the_journal() {
    let place = Place::new();
    let server = Served::start(&place, "a.sock");
    let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
    let operator = Browser::of(&server, token.trim());
    operator.get("/admin").is(200);
    Browser::new(&server).sends("/login", &[("token", "rerail_wrong")]).is(401);
    Browser::new(&server).sends("/login", &[]).is(400);
    let link = place.json(&["login-link"])["url"].as_str().unwrap().to_owned();
    let code = link.split("code=").nth(1).unwrap();
    Browser::new(&server).sends("/login", &[("code", code)]).is(303);
    // As soon as there are people it is nobody's.
    std::fs::write(place.project().join("rerail.yaml"), team().yaml).unwrap();
    operator.get("/admin").is(401);
}

#[test]
fn a_link_from_elsewhere_shows_the_way_on_and_nothing_else() {
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let followed = Browser::new(&server)
        .client
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "document");
    let page = followed.get("/r/long?base=https%3A%2F%2Fapi.example.com&x=%22%3E").is(200);
    assert!(page.body.contains("url=/r/long?base=https%3A%2F%2Fapi.example.com&amp;x=%22%3E"), "{}", page.body);
    // Also with a session, which browsers leave at home: the answer is the same.
    let ana = Browser::of(&server, team.token("ana"));
    let with = ana
        .client
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "document");
    assert!(!with.get("/admin").is(200).body.contains("ana"));
    // In a frame, as an image, by a form, under another name: no.
    for (name, value) in [("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "no-cors"), ("host", "evil.example.com")] {
        with.clone().with(name, value).get("/admin").is(403);
    }
    with.get("/runs/zzzzzz/export.md").is(200);
    Browser { client: with }.sends("/login", &[("token", "x")]).is(403);
}
