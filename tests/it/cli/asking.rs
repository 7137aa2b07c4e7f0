//! Asking a run afterwards: `eval`, `show --why`, `diff`.

use crate::cli::kit::{Backend, Place};

const LOOP: &str = r##"
version: 1
title: Look at each
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
  deep: { type: bool, default: false }
secrets: [TOKEN]
vars:
  twice: "${{ [1, 2] }}"
steps:
  - id: all
    foreach: "${{ vars.twice }}"
    uses: http.probe
    with: { url: "${{ inputs.base_url }}/health" }
    outputs: { n: "${{ each.value }}", status: "${{ result.status }}" }
  - id: more
    if: inputs.deep
    steps:
      - id: inner
        script: steps.all.outputs.len()
  - id: sum
    if: not(inputs.deep)
    script: "#{ count: steps.all.outputs.len() }"
"##;

fn place() -> (Place, Backend) {
    let (place, backend) = (Place::new(), Backend::start());
    place.file("runbooks/each.yaml", LOOP.trim_start());
    place.file("targets/here.yaml", "version: 1\nsecrets:\n  TOKEN: { from: env, name: OWN_TOKEN }\n");
    (place, backend)
}

fn ran(place: &Place, backend: &Backend, more: &[&str]) {
    let input = backend.input();
    let args = [&["run", "each", "-q", "--target", "here", "-i", &input], more].concat();
    let done = place.command(&args).env("OWN_TOKEN", "obviously-fake-token-value").output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn an_expression_sees_what_the_run_saw() {
    let (place, backend) = place();
    ran(&place, &backend, &[]);
    let ask = |expression: &str, at: &[&str]| {
        let out = place.run(&[&["eval", expression, "--run", "@last"], at].concat()).expect(0).out;
        out.trim_end().to_owned()
    };
    assert_eq!(ask("steps.all.outputs.map(|o| o.status)", &[]), "[\n  502,\n  502\n]");
    assert_eq!(ask("steps.all.outcomes[1]", &[]), "done");
    assert_eq!(ask("steps.sum.outputs.count + vars.twice[0]", &[]), "3");
    assert_eq!(ask("steps.inner.outcome", &[]), "skipped");
    assert_eq!(ask("run.outcome", &[]), "success");
    assert_eq!(ask("secrets.TOKEN", &[]), "\"[secret TOKEN]\"");
    assert_eq!(ask("each.value * 10 + each.index", &["--at", "all[1]"]), "21");
    assert_eq!(ask("\"sum\" in steps", &["--at", "sum"]), "false");
    let json = place.run(&["eval", "inputs.base_url", "-o", "json"]).expect(0).json();
    assert_eq!(json, backend.url.as_str());
}

#[test]
fn a_wrong_expression_is_shown_where_it_is_wrong() {
    let (place, backend) = place();
    ran(&place, &backend, &[]);
    let wrong = place.run(&["eval", "inputs.deep +"]).expect(2);
    assert!(wrong.err.contains("--> (expression):1:") && wrong.err.contains("^"), "{}", wrong.err);
    let failed = place.run(&["eval", "inputs.deep == 1"]).expect(2);
    assert!(failed.err.contains("= values: inputs.deep = false"), "{}", failed.err);
    let called = place.run(&["eval", "http::probe(#{ url: \"https://api.example.com\" })"]).expect(2);
    assert!(called.err.contains("can be called from `script` only"), "{}", called.err);
    let never = place.run(&["eval", "1", "--at", "summ"]).expect(2);
    assert!(never.err.contains("did you mean `sum`?"), "{}", never.err);
    let huge = "1+".repeat(10_000);
    assert!(place.run(&["eval", &huge]).expect(2).err.contains("20000 bytes, more than 16384"));
}

#[test]
fn a_run_says_why_it_went_this_way() {
    let (place, backend) = place();
    ran(&place, &backend, &[]);
    let why = place.run(&["show", "--why"]).expect(0).out;
    assert!(
        why.contains("more          skipped, because this is false:\n      inputs.deep\n      inputs.deep = false"),
        "{why}"
    );
    assert!(why.contains("sum           ran, because this is true:\n      not(inputs.deep)\n"), "{why}");
    let inner = place.run(&["show", "@last", "--why", "inner"]).expect(0).out;
    assert!(inner.contains("inner         not run: what it stands in was skipped"), "{inner}");
    assert!(place.run(&["show", "@last", "--why", "inne"]).expect(2).err.contains("is not in this run"));
    let json = place.run(&["show", "-o", "json"]).expect(0).json();
    let more = json["steps"].as_array().unwrap().iter().find(|step| step["step"] == "more").unwrap().clone();
    assert_eq!((&more["condition"], &more["why"]["inputs.deep"]), (&"inputs.deep".into(), &false.into()));
}

#[test]
fn two_runs_are_compared() {
    let (place, backend) = place();
    ran(&place, &backend, &[]);
    ran(&place, &backend, &[]);
    let runs = place.run(&["runs", "--json"]).expect(0).json();
    let (one, two) = (runs[0]["run"].as_str().unwrap(), runs[1]["run"].as_str().unwrap());
    assert!(place.run(&["diff", one, one, "--exit-code"]).expect(0).out.contains("nothing was different"));
    ran(&place, &backend, &["-i", "deep=true"]);
    let diff = place.run(&["diff", two, "@last"]).expect(0).out;
    assert!(diff.contains("inputs\n    deep: false → true\n") || diff.contains("deep: false -> true"), "{diff}");
    assert!(diff.contains("step sum\n") && diff.contains("outcome: \"done\""), "{diff}");
    place.run(&["diff", two, "@last", "--exit-code"]).expect(21);
    let json = place.run(&["diff", two, "@last", "-o", "json"]).expect(0).json();
    assert_eq!((&json["equal"], &json["parts"][0]["name"]), (&false.into(), &"inputs".into()));
    place.run(&["diff", two, "zzzzzz"]).expect(2);
}
