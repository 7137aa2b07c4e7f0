//! `rerail triggers`, and what `rerail check` says of triggers.

use serde_json::json;

use super::kit::{LOOK, alert, group, place};
use crate::binary::kit::Place;

fn project() -> Place {
    place()
        .runbook("look", LOOK)
        .runbook("fix", "inputs: { service: { type: string } }\nsteps:\n  - uses: http.request\n    with: { method: POST, url: 'http://127.0.0.1:9/${{ inputs.service }}' }\n")
        .file(
            "rerail.yaml",
            "version: 1\nhooks: { generic: { up: { secret: { from: env }, map: '{ id: .id, labels: { alertname: .name, service: .svc } }' } } }\ntriggers:\n  - alert: { alertname: Down, severity: page }\n    runbook: fix\n    inputs: { service: '${{ alert.labels.service }}' }\n  - schedule: { cron: '0 3 * * *', time_zone: UTC }\n    runbook: look\n    inputs: { service: nightly }\n",
        )
}

#[test]
fn triggers_are_listed_with_their_times() {
    let place = project();
    place.ask(&["check"]).exits(0);
    let listed = place.json(&["triggers"]);
    let triggers = listed["triggers"].as_array().unwrap();
    assert_eq!(triggers.len(), 3);
    assert_eq!(
        (&triggers[0]["runbook"], &triggers[0]["on"]),
        (&json!("fix"), &json!("alert with alertname, severity"))
    );
    assert!(triggers[1]["next"].as_str().unwrap().ends_with("T03:00:00Z"), "{listed}");
    assert_eq!((&triggers[2]["runbook"], &triggers[2]["file"]), (&json!("look"), &json!("runbooks/look.yaml")));
    place.ask(&["triggers"]).exits(0).says(&["0 3 * * * (UTC)"]);
    Place::new().ask(&["triggers"]).exits(0).says(&["nothing starts by itself here"]);
}

#[test]
fn a_message_is_tried_out_without_starting_anything() {
    let place = project();
    let file = |name: &str, json: &serde_json::Value| {
        let path = place.beside(name);
        std::fs::write(&path, json.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let test = |path: &str, more: &[&str]| place.json(&[&["triggers", "--test", path], more].concat());
    let of = |labels: serde_json::Value| alert("firing", "f", "2026-11-21T08:41:25Z", &labels);
    let both = group(
        "g",
        "firing",
        &[
            of(json!({ "alertname": "Down", "service": "a" })),
            of(json!({ "alertname": "Down", "service": "b", "severity": "page" })),
            of(json!({ "alertname": "Other" })),
        ],
    );
    let said = test(&file("group.json", &both), &[]);
    let does: Vec<&str> = said.as_array().unwrap().iter().map(|row| row["does"].as_str().unwrap()).collect();
    assert_eq!(does, ["starts at once", "waits for a person: it may write", "nothing: no trigger fits it"]);
    assert_eq!((&said[0]["runbook"], &said[1]["inputs"]), (&json!("look"), &json!({ "service": "b" })));
    let one = test(&file("one.json", &json!({ "labels": { "alertname": "Down" }, "status": "firing" })), &[]);
    assert!(one[0]["does"].as_str().unwrap().starts_with("is refused: input `service` of the trigger"), "{one}");
    let over = json!({ "labels": { "alertname": "Down", "service": "x" }, "status": "resolved" });
    assert_eq!(test(&file("over.json", &over), &[])[0]["does"], "nothing: it is resolved");
    let up = file("up.json", &json!({ "id": 1, "name": "Down", "svc": "c" }));
    assert_eq!(test(&up, &["--source", "generic/up"])[0]["inputs"], json!({ "service": "c" }));
    place.ask(&["triggers", "--test", &up]).exits(2).says(&["neither `alerts` nor `labels`"]);
    place.ask(&["triggers", "--test", &up, "--source", "generic/down"]).exits(2).says(&["no mapping"]);
    assert_eq!(place.json(&["runs"]), json!([]), "nothing has begun");
}

#[test]
fn what_is_wrong_with_a_trigger_is_said_where_it_stands() {
    for (yaml, says) in [
        ("- { alert: { a: b }, runbook: lok, inputs: { service: x } }", "no runbook `lok`"),
        ("- { alert: { a: b }, runbook: look }", "doesn't give what runbook `look` needs: `service`"),
        ("- { alert: { a: b }, runbook: look, inputs: { servce: x } }", "has no input `servce`"),
        ("- { alert: { a: b }, runbook: look, inputs: { service: 3 } }", "input `service`: expected string"),
        (
            "- { alert: { a: b }, runbook: look, inputs: { service: '${{ alert.labels }}' } }",
            "expected string, got map",
        ),
        (
            "- { alert: { a: b }, runbook: look, inputs: { service: '${{ alert.label.x }}' } }",
            "an alert has no field `label`",
        ),
        ("- { alert: { a: b }, runbook: look, inputs: { service: '${{ inputs.x }}' } }", "`inputs` can't be read"),
        (
            "- { alert: { a: b }, runbook: look, inputs: { service: '${{ http::probe(#{}) }}' } }",
            "nothing is looked at before a start",
        ),
        (
            "- { schedule: { cron: '* * * * *', time_zone: Europe/Nowhere }, runbook: look, inputs: { service: x } }",
            "knows no time zone",
        ),
        (
            "- { schedule: { cron: '* * * * *' }, runbook: look, inputs: { service: '${{ alert.url }}' } }",
            "a schedule has nothing to read",
        ),
        (
            "- { schedule: { cron: '* * * * *' }, acts_as: ana, runbook: look, inputs: { service: x } }",
            "names no `people`",
        ),
        (
            "- { alert: { a: b }, runbook: look, inputs: { service: x } }\n- { alert: { a: [b, c] }, runbook: look, inputs: { service: x } }\n- { alert: { a: b }, runbook: look, inputs: { service: y } }",
            "comes first",
        ),
    ] {
        let yaml = yaml.replace('\n', "\n  ");
        let place = place().runbook("look", LOOK).file("rerail.yaml", format!("version: 1\ntriggers:\n  {yaml}\n"));
        let said = place.ask(&["check"]);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(all.contains(says), "{yaml}: {all}");
    }
}
