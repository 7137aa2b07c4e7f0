//! A whole incident in a real browser: by mouse, by keyboard alone, without JavaScript, on a phone, in the dark.

use serde_json::{Value as Json, json};

use super::chrome::{Chrome, ENTER, TAB};
use super::kit::{Browser, next, place, team};
use crate::binary::gate::Gate;
use crate::serve::kit::{ASKS_EVERY, Served};
use crate::services::skipped;

/// Signs in by typing a token.
fn signs_in(chrome: &Chrome, token: &str) {
    chrome.goes("/login");
    chrome.types("#token", token);
    chrome.types("#token", ENTER);
    chrome.sees("Waits for people");
}

/// The page of a run whose question was answered, and which waits for an approval.
fn asks_for_approval(server: &Served, ana: &Browser, base: &str) -> String {
    let given = [("input.base", base), ("yes", "true"), ("incident", "INC-42"), ("reason", "502 since 14:00")];
    let url = next(ana.submits("/runbooks/long", "/runbooks/long/run", &given));
    server.unix().until_status(url.strip_prefix("/runs/").unwrap(), "waiting");
    next(ana.submits(&url, &format!("{url}/answer"), &[("answer", "yes")]));
    crate::binary::kit::until("it asks for the approval", || {
        std::thread::sleep(ASKS_EVERY);
        ana.get(&url).body.contains("Waits for an approval:")
    });
    url
}

#[test]
fn an_incident_is_worked_through_in_a_browser() {
    let gate = Gate::serve();
    let team = team();
    let place = place(&team);
    let server = Served::start(&place, "a.sock");
    let Some(ana) = Chrome::start(&server) else { return };
    let link = place.json(&["login-link"])["url"].as_str().unwrap().to_owned();
    ana.goes(&link);
    ana.clicks("main button");
    ana.sees("You are ana");

    // From the link of an alert to a running page, which goes on by itself.
    ana.goes(&format!("/r/long?base={}&service=worker&alertname=Down", gate.ledger.url));
    ana.clicks("#f-yes");
    ana.clicks("form[action$='/run'] button:not([formaction])");
    ana.sees("Still down?");
    ana.js("window.same = true");
    ana.clicks("button[value='yes']");
    ana.sees("Waits for an approval:");
    ana.js("window.same = true");
    let url = ana.js("return location.pathname").as_str().unwrap().to_owned();

    // Somebody else says yes, with the keyboard alone.
    let ben = Chrome::start(&server).unwrap();
    signs_in(&ben, team.token("ben"));
    ben.goes(&format!("{url}/approve/copy"));
    let focused = |chrome: &Chrome| chrome.js("return document.activeElement.className").as_str() == Some("yes");
    let mut pressed = 0;
    while !focused(&ben) {
        ben.presses(TAB);
        pressed += 1;
        assert!(pressed < 30, "no way to the button by keyboard");
    }
    let outline = ben.js("return getComputedStyle(document.activeElement).outlineStyle");
    assert_ne!(outline, "none", "one sees where one is");
    ben.presses(ENTER);
    ben.sees("success");

    // The first page has seen it without being loaded anew.
    ana.sees("success");
    ana.sees("Two variables were missing");
    assert_eq!(ana.js("return window.same"), true, "the page was loaded anew");
    ana.goes(&url);
    ana.clicks("#p-acts details:last-of-type summary");
    ana.types("#n-text", "<img src=x onerror=window.hit=1> was it");
    ana.clicks("#p-acts details:last-of-type button");
    ana.sees("<img src=x onerror=window.hit=1> was it");
    assert_eq!(ana.js("return window.hit === undefined && document.querySelectorAll('img').length === 1"), true);
    let export = "const done = arguments[0]; fetch(document.querySelector('a[href$=\"export.md\"]').href)\
                  .then(async (r) => done([r.status, await r.text()]))";
    let export = ana.js_later(export);
    assert!(
        export[0] == 200 && export[1].as_str().unwrap().contains("INC") | export[1].as_str().unwrap().contains("long")
    );

    // Without JavaScript everything works as well.
    let by_hand = Browser::of(&server, team.token("ana"));
    let url = asks_for_approval(&server, &by_hand, &gate.ledger.url);
    ben.cdp("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    ben.goes(&url);
    ben.sees("This page is loaded anew every 10 seconds");
    ben.clicks(".focus a.button");
    ben.clicks(".decide summary");
    ben.types("#r-reason", "not on a Friday");
    ben.clicks(".decide button.danger");
    ben.sees("rejected");
    server.unix().until_status(url.strip_prefix("/runs/").unwrap(), "rejected");

    // A link on somebody else's page leads here, to whoever is signed in.
    ana.goes(&format!("data:text/html,<a id=x href='{}/runs'>x</a>", ana.base));
    ana.clicks("#x");
    ana.sees("You are ana");

    let elsewhere = |url: &String| !url.starts_with(&ana.base) && !url.starts_with("data:text/html,<a");
    for chrome in [&ana, &ben] {
        let asked = chrome.asked_for();
        assert!(asked.len() > 10, "{asked:?}");
        let others: Vec<&String> = asked.iter().filter(|url| elsewhere(url)).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

/// Controls that a finger misses.
const SMALL: &str = "return [...document.querySelectorAll('button, a.button, summary, select, textarea, .top a, \
    input:not([type=hidden]):not([type=checkbox]):not([type=radio])')].filter((e) => e.checkVisibility() && \
    e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML)";

#[test]
fn every_page_is_for_everybody_on_every_screen() {
    let gate = Gate::serve();
    let team = team();
    let place = place(&team).file("targets/production.yaml", "version: 1\n");
    let server = Served::start(&place, "a.sock");
    let Some(chrome) = Chrome::start(&server) else { return };
    let by_hand = Browser::of(&server, team.token("ana"));
    let url = asks_for_approval(&server, &by_hand, &gate.ledger.url);
    let broken = next(by_hand.submits(
        "/runbooks/long",
        "/runbooks/long/run",
        &[("input.base", "http://127.0.0.1:1"), ("yes", "true")],
    ));
    server.unix().until_status(broken.strip_prefix("/runs/").unwrap(), "waiting");
    let axe = std::env::var("RERAIL_AXE").ok().map(|path| std::fs::read_to_string(path).unwrap());
    if axe.is_none() {
        skipped("RERAIL_AXE names no axe.min.js: npm pack axe-core");
    }
    signs_in(&chrome, team.token("ben"));
    let pages = [
        ("now", "/".to_owned()),
        ("runbooks", "/runbooks".to_owned()),
        ("runbook", format!("/r/long?base={}&target=production&severity=page", gate.ledger.url)),
        ("runs", "/runs".to_owned()),
        ("run", url.clone()),
        ("run-2", broken),
        ("transcript", format!("{url}/transcript")),
        ("approval", format!("{url}/approve/copy")),
        ("approvals", "/approvals".to_owned()),
        ("incident", "/incidents/INC-42".to_owned()),
        ("admin", "/admin".to_owned()),
        ("missing", "/runs/zzzzzz".to_owned()),
        ("login", "/login".to_owned()),
    ];
    let mut wrong = Vec::new();
    for (name, path) in &pages {
        for (screen, width, dark) in
            [("desktop", 1280, false), ("phone", 390, false), ("dark", 390, true), ("narrow", 320, false)]
        {
            chrome.screen(width, dark);
            chrome.goes(path);
            chrome.until("its times are told", |chrome| chrome.js("return document.readyState") == "complete");
            if chrome.js("return document.documentElement.scrollWidth > window.innerWidth") == true {
                wrong.push(format!("{name} on {screen} is wider than its screen"));
            }
            let small = chrome.js(SMALL);
            wrong.extend(small.as_array().unwrap().iter().map(|it| format!("{name} on {screen}: {it} is small")));
            chrome.pictures(&format!("{name}-{screen}"));
            let Some(axe) = axe.as_ref().filter(|_| screen != "narrow") else { continue };
            chrome.js(axe);
            let found = chrome.js_later("const done = arguments[0]; axe.run().then((r) => done(r.violations))");
            for violation in found.as_array().unwrap() {
                let places: Vec<&Json> =
                    violation["nodes"].as_array().unwrap().iter().map(|node| &node["html"]).collect();
                wrong.push(format!("{name} on {screen}: {}: {places:?}", violation["help"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
