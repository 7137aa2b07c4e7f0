//! Pages of a run of whose every text somebody else is the author: nothing of it is obeyed, and no page grows with it.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::engine::event::Actor;
use crate::engine::facts::Facts;
use crate::engine::outcome::Outcome;
use crate::runbook::model::Level;
use crate::runbook::spec::Effect;
use crate::runs::{Hash, RunRow, Status, Waiting};
use crate::surfaces::web::frame::{Page, outside};
use crate::surfaces::web::{approval, lists, problems, run, view};
use crate::transcript::hostile::{self, CORPUS, assert_plain};
use crate::transcript::story::{Story, run_id};

/// What any page has at most.
const PAGE_BYTES_MAX: usize = 100_000;
/// What pages may be made of.
const ELEMENTS: &str = "html head meta title link script noscript body a header nav ul li p main footer form input button \
    details summary div section h1 h2 strong span table caption thead tbody tr th td time dl dt dd pre code label select \
    option textarea fieldset legend img br";
const ATTRIBUTES: &str = "lang charset name content rel href type src defer class id aria-label aria-labelledby aria-current \
    aria-hidden aria-describedby role tabindex method action value for required autocomplete spellcheck placeholder rows \
    step datetime title scope colspan data-label data-waits data-live data-copy data-lines-max alt formaction open hidden checked \
    selected download http-equiv";
/// Attributes that are addresses.
const ADDRESSES: [&str; 5] = ["href", "src", "action", "formaction", "data-live"];

/// Panics if a browser would find anything but what our templates write.
#[track_caller]
fn assert_ours(page: &str) {
    let has = |list: &str, word: &str| list.split_whitespace().any(|known| known == word);
    let mut scripts = 0;
    for token in html5gum::Tokenizer::new(page) {
        let Ok(token) = token;
        match token {
            html5gum::Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert!(has(ELEMENTS, &name), "<{name}> in {page}");
                scripts += usize::from(name == "script");
                for (key, value) in &tag.attributes {
                    let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(&value.value));
                    assert!(has(ATTRIBUTES, &key), "{key}= in <{name}> of {page}");
                    if ADDRESSES.contains(&&*key) {
                        let ours = value.starts_with('/') && !value.starts_with("//") || value.starts_with('#');
                        assert!(ours, "{key}={value} in {page}");
                    }
                }
            }
            html5gum::Token::String(text) => assert_plain(&String::from_utf8_lossy(&text).replace('\t', " ")),
            html5gum::Token::Comment(_) => panic!("a comment in {page}"),
            html5gum::Token::Error(error) => panic!("{error:?} in {page}"),
            html5gum::Token::Doctype(_) | html5gum::Token::EndTag(_) => {}
        }
    }
    assert_eq!(scripts, 1, "{page}");
    assert!(page.len() <= PAGE_BYTES_MAX, "{} bytes", page.len());
}

fn row(evil: &str) -> RunRow {
    RunRow {
        number: 1,
        run: run_id(),
        runbook: evil.into(),
        title: evil.into(),
        target: Some(evil.into()),
        actor: Actor::new(evil, evil),
        incident: Some(evil.into()),
        status: Status::Waiting,
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: None,
        last_seq: 1,
        head: Hash::of(b""),
        fence: 1,
    }
}

fn around(evil: &str) -> Json {
    let mut around = outside();
    around["who"] = json!({ "name": evil, "roles": [evil, evil] });
    around["hold"] = json!({ "by": evil, "reason": evil, "since": view::time(Timestamp::UNIX_EPOCH) });
    around["csrf"] = json!("c");
    around["signed_in"] = json!(true);
    around
}

fn told(evil: &str) -> run::Told {
    run::Told { pending: vec![evil.to_owned(); 30], answered: Vec::new(), driven: false }
}

#[track_caller]
fn page_of(template: &'static str, evil: &str, data: Json) {
    let page = Page::new(template, "runs", evil).live(Some("/live".to_owned()));
    assert_ours(&page.write(&around(evil), data).unwrap());
}

#[test]
fn texts_of_others_are_texts_on_every_page_of_a_run() {
    for evil in CORPUS {
        let story = hostile::run(evil);
        let row = row(evil);
        // Also while it moves: what was asked, before anybody had answered.
        for events in (1..=story.events.len()).filter(|count| count % 3 == 0 || *count == story.events.len()) {
            let events = &story.events[..events];
            let facts = Facts::fold(events).unwrap();
            page_of("run.html", evil, run::data(&row, events, &facts, &told(evil)));
            page_of("transcript.html", evil, lists::window(&row, events, &facts, 0));
            for open in facts.approvals.all() {
                let waiting = Waiting {
                    run: row.clone(),
                    approval: open.clone(),
                    requester: Actor::new(evil, evil),
                    actor: Actor::new(evil, evil),
                    who: vec![evil.to_owned(); 3],
                    refused: Some(evil.to_owned()),
                    said: Vec::new(),
                };
                page_of("approval.html", evil, approval::data(&waiting, Timestamp::UNIX_EPOCH));
            }
        }
    }
}

#[test]
fn texts_of_others_are_texts_on_every_other_page() {
    for evil in CORPUS {
        let rows = view::rows(&[row(evil)]);
        let time = view::time(Timestamp::UNIX_EPOCH);
        let note = json!({ "text": evil, "by": evil, "at": time, "url": "/runs/x", "run": evil });
        let wait = json!({
            "row": rows[0], "what": evil, "who": evil, "verb": evil, "url": "/runs/x", "mine": true, "expires": time,
        });
        let proposed = json!({
            "url": "/proposals/x", "name": evil, "id": "x", "target": evil, "reason": evil, "plan": evil, "fires": false,
            "until": time,
        });
        let home = json!({
            "waits": [wait], "running": rows, "trouble": rows, "proposals": [proposed], "proposals_left": 1,
        });
        page_of("home.html", evil, home);
        for (state, asks, open) in [("made", "yes", true), ("made", "confirm", true), ("failed", "", false)] {
            let proposal = json!({
                "url": "/proposals/x", "name": evil, "id": "x", "book_url": "/runbooks/x", "target": evil, "incident": evil,
                "reason": evil, "why": evil, "fires": false, "alert_url": evil, "made": time, "until": time,
                "inputs": [[evil, evil]], "state": state, "planned": time, "why_not": null, "outdated": evil,
                "lines": [[{ "tone": "bad", "text": evil }]], "left_out": 1, "digest": evil, "asks": asks,
                "changes": evil, "place": evil, "open": open, "may_start": open, "decided": evil, "run_url": "/runs/x",
                "form": "/r/x", "fault": { "message": evil, "hints": [evil] },
            });
            page_of("proposal.html", evil, proposal);
        }
        page_of("incident.html", evil, json!({ "incident": evil, "rows": rows, "notes": [note], "next": "/runs" }));
        let filter = json!({ "status": evil, "runbook": evil, "incident": evil, "operator": evil, "since": evil });
        let statuses = [view::status(evil)];
        page_of(
            "runs.html",
            evil,
            json!({ "filter": filter, "statuses": statuses, "rows": rows, "next": null, "first": null }),
        );
        let book =
            json!({ "url": "/runbooks/x", "name": evil, "title": evil, "tags": evil, "effects": evil, "tone": "dim" });
        page_of("books.html", evil, json!({ "words": evil, "books": [book], "more": 1 }));
        let field = |kind: &str| {
            json!({
                "key": evil, "name": evil, "type": "string", "kind": kind, "step": "", "required": true, "about": evil,
                "empty": evil, "choices": [evil, "x"], "value": evil,
            })
        };
        let described = json!({
            "name": evil, "title": evil, "meaning": evil, "impact": evil, "owner": evil, "reviewed": evil, "tags": evil,
            "effects": evil, "secrets": evil, "group": evil,
        });
        let step = json!({ "heading": null, "depth": 1, "id": evil, "effect": evil, "tone": "dim", "what": evil, "how": evil });
        let fault = json!({ "message": evil, "hints": [evil] });
        for consent in ["", "yes", "confirm"] {
            page_of(
                "book.html",
                evil,
                json!({
                    "book": described, "fields": [field("text"), field("choice"), field("long")], "targets": [evil], "target": evil,
                    "reason": evil, "incident": evil, "unused": evil, "fault": fault, "consent": consent, "changes": evil,
                    "run_url": "/x", "plan_url": "/x", "last": rows[0], "steps": [{ "heading": evil }, step], "left_out": 1,
                }),
            );
            page_of(
                "plan.html",
                evil,
                json!({
                    "name": evil, "target": evil, "lines": [[{ "tone": "bad", "text": evil }]], "left_out": 1,
                    "given": [[evil, evil]], "consent": consent, "changes": evil, "place": evil, "run_url": "/x", "back": "/x",
                }),
            );
        }
        let token = json!({ "name": evil, "scopes": evil, "max_effect": evil, "until": evil, "tone": "dim" });
        page_of(
            "admin.html",
            evil,
            json!({
                "people": [{ "name": evil, "roles": evil, "tokens": [token] }], "counts": [[evil, 1]], "fault": fault,
                "version": "1", "driven": 1,
            }),
        );
        let check = json!({ "sign": "x", "tone": "bad", "what": evil, "word": evil, "says": evil, "hint": evil });
        page_of("doctor.html", evil, json!({ "checks": [check] }));
        let waiting = json!({
            "what": evil, "url": "/x", "run": evil, "run_url": "/x", "target": evil, "by": evil, "expires": time, "who": evil,
            "mine": true,
        });
        let decided = json!({
            "what": evil, "url": "/x", "run": evil, "run_url": "/x", "sign": "x", "tone": "bad", "said": evil, "at": time,
        });
        page_of("approvals.html", evil, json!({ "waiting": [waiting], "more": 1, "decided": [decided] }));
        page_of("login.html", evil, json!({ "code": evil, "next": evil, "fault": fault }));
        page_of("problem.html", evil, json!({ "fault": fault, "back": "/" }));
        // An address of ours may have anything in it.
        let page = problems::go_on(&format!("/r/x?{}", view::in_path(evil))).body;
        assert_ours(&page);
    }
}

#[test]
fn no_page_of_a_run_grows_with_what_happened_in_it() {
    let mut story = Story::begun();
    let long = "'\u{202e}<&>".repeat(400);
    for number in 0..400 {
        let step = format!("step_{number}_{long}");
        story.starts(&step, Some(&long), "http.request", Effect::Write, json!({ "url": long, "long": [long, long] }));
        let outcome = if number % 3 == 0 { Outcome::InDoubt } else { Outcome::Done };
        story.ends(&step, outcome, json!({ "text": long }), None);
        if number % 10 == 0 {
            story.finds(&format!("f{number}"), Level::Critical, &long, None).asks(&format!("q{number}"), &long);
        }
        story.tell(crate::engine::event::Body::Note { text: long.clone(), actor: None, step: None });
    }
    let row = row(&long);
    let data = run::data(&row, &story.events, &story.facts, &told(&long));
    let around = around("ana");
    let page = Page::new("run.html", "runs", "x").write(&around, data).unwrap();
    assert!(page.len() <= PAGE_BYTES_MAX, "{} bytes", page.len());
    assert!(page.len() > 50_000, "there is much to show, and it is: {} bytes", page.len());
    for from in [0, 5, story.events.len() - 1, story.events.len(), story.events.len() + 9] {
        let data = lists::window(&row, &story.events, &story.facts, from);
        let page = Page::new("transcript.html", "runs", "x").write(&around, data).unwrap();
        assert!(page.len() <= PAGE_BYTES_MAX, "{} bytes from {from}", page.len());
    }
    let rows = view::within(view::rows(&vec![row; 50]), 80_000).0;
    assert!(!rows.is_empty());
}
