use super::*;
use crate::runbook::model::{Body, Level};
use crate::runbook::problem::render;
use crate::runbook::snippet::{Piece, TemplateNode};
use crate::runbook::types::Type;
use crate::script::value::Value;

const HEAD: &str = "version: 1\ntitle: T\n";

fn read(text: &str) -> (Option<Runbook>, Vec<Problem>) {
    read_runbook("backend-down", Kind::Runbook, &Source::new("runbooks/backend-down.yaml", text))
}

/// The runbook, or a picture of why there is none.
fn good(text: &str) -> Runbook {
    let (runbook, problems) = read(text);
    runbook.unwrap_or_else(|| panic!("{}", render(&problems, false)))
}

fn steps(text: &str) -> Runbook {
    good(&format!("{HEAD}steps:\n{text}"))
}

/// Code and the text under the caret of each problem.
fn found(text: &str) -> Vec<(&'static str, String)> {
    let (_, problems) = read(text);
    problems
        .iter()
        .map(|problem| (problem.code, problem.source.text[problem.span.start..problem.span.end].to_owned()))
        .collect()
}

fn in_steps(text: &str) -> Vec<(&'static str, String)> {
    found(&format!("{HEAD}steps:\n{text}"))
}

fn one(code: &'static str, under: &str) -> Vec<(&'static str, String)> {
    vec![(code, under.to_owned())]
}

const FULL: &str = r#"# yaml-language-server: $schema=../.rerail/runbook.v1.schema.json
version: 1
title: Backend not responding
owner: platform
reviewed: 2026-11-01
tags: [backend, outage]
meaning: The public health endpoint fails or times out.
impact: Every API call fails.
links: { dashboard: "https://example.com/d" }

inputs:
  base_url: { type: url, description: Public address of the API }
  service: { type: string, default: backend }
  version: { type: string, default: 1.10 }
  need: { type: list, default: [DATABASE_URL, FRONTEND_URL] }
  answer: { type: choice, choices: [yes, no], default: no }
  to: { type: string, required: false }
  wait: { type: duration, default: 5s }
  loud: { type: bool, default: true }

secrets: [RAILWAY_TOKEN]

vars:
  z_first: "${{ inputs.base_url }}/health"
  a_second: ${{ vars.z_first }}

steps:
  - id: health
    name: Look at ${{ inputs.service }}
    if: inputs.service != ""
    uses: http.probe
    with: { url: "${{ vars.z_first }}", timeout: 5s, retries: 3, headers: { Accept-Encoding: gzip } }
    timeout: 30s
    continue_on_failure: true
  - uses: http.probe
    with:
      url: "${{ inputs.base_url }}"
    until: result.ok && result.status == 200
    every: 3s
    within: 2m
    in_a_row: 2
  - uses: http.probe
  - steps:
      - id: script
        script: |
          let names = inputs.need;
          #{ missing: names.filter(|n| n != "x") }
      - script: 1 + 1
        outputs: { two: "${{ result }}" }
  - assert:
      - that: steps.health.outcome == "done"
        else: "It is ${{ steps.health.outcome }}"
  - id: verdict
    findings:
      - when: steps.health.outputs.ok
        level: ok
        say: The backend answers (${{ steps.health.outputs.ms }} ms).
        suggest: { runbook: cors-errors, with: { origin: "${{ inputs.base_url }}" } }
on_failure:
  - uses: chat.post
    with: { text: "failed: ${{ run.error }}" }
finally:
  - uses: run.note
    with: { text: done }
outputs:
  ok: "${{ steps.health.outputs.ok }}"
"#;

#[test]
fn every_field_reaches_the_model() {
    let runbook = good(FULL);
    assert_eq!((runbook.name.as_str(), runbook.kind), ("backend-down", Kind::Runbook));
    assert_eq!(runbook.reviewed.as_deref(), Some("2026-11-01"));
    assert_eq!(runbook.tags, ["backend", "outage"]);
    let input = |name: &str| runbook.inputs.iter().find(|input| input.name.value == name).unwrap();
    assert_eq!((&input("base_url").ty, input("base_url").required), (&Type::Url, true));
    assert_eq!(input("version").default, Some(Value::from("1.10")));
    assert_eq!(input("answer").default, Some(Value::from("no")));
    assert_eq!(input("loud").default, Some(Value::Bool(true)));
    assert!(!input("to").required && !input("service").required);
    assert_eq!(runbook.secrets[0].value, "RAILWAY_TOKEN");
    let vars: Vec<&str> = runbook.vars.iter().map(|(name, _)| name.value.as_str()).collect();
    assert_eq!(vars, ["z_first", "a_second"]);
    assert!(matches!(runbook.vars[1].1.node, TemplateNode::Expression(_)));

    let ids: Vec<&str> = runbook.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["health", "http_probe", "http_probe_2", "steps", "assert", "verdict"]);
    let health = &runbook.steps[0];
    assert!(health.condition.is_some() && health.continue_on_failure && health.poll.is_none());
    let Body::Uses { action, with } = &health.body else { panic!("{:?}", health.body) };
    assert_eq!(action.value, "http.probe");
    let names: Vec<&str> = with.iter().map(|(name, _)| name.value.as_str()).collect();
    assert_eq!(names, ["url", "timeout", "retries", "headers"]);
    assert_eq!(with[1].1.literal(), Some(Value::from("5s")));
    assert_eq!(with[2].1.literal(), Some(Value::Int(3)));
    let poll = runbook.steps[1].poll.as_ref().unwrap();
    assert_eq!((&*poll.until.text, poll.in_a_row), ("result.ok && result.status == 200", 2));
    let Body::Steps(inner) = &runbook.steps[3].body else { panic!() };
    assert_eq!((inner[0].id.as_str(), inner[1].id.as_str()), ("script", "script_2"));
    assert!(inner[1].outputs.is_some());
    let Body::Findings(rules) = &runbook.steps[5].body else { panic!() };
    assert_eq!((rules[0].level, rules[0].suggest.as_ref().unwrap().runbook.value.as_str()), (Level::Ok, "cors-errors"));
    let TemplateNode::Mixed(pieces) = &rules[0].say.node else { panic!() };
    assert!(matches!(pieces.as_slice(), [Piece::Text(_), Piece::Expression(_), Piece::Text(end)] if end == " ms)."));
    assert_eq!((runbook.on_failure.len(), runbook.finally.len(), runbook.outputs.len()), (1, 1, 1));
    assert_eq!(runbook.on_failure[0].id, "chat_post");
}

#[test]
fn generated_ids_avoid_those_written_later() {
    let runbook = steps("  - uses: http.probe\n  - uses: dns.resolve\n    id: http_probe\n  - uses: http.probe\n");
    let ids: Vec<&str> = runbook.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["http_probe_2", "http_probe", "http_probe_3"]);
}

#[test]
fn all_problems_come_at_once_and_in_order() {
    let text = "version: 2\ntitel: T\nsteps:\n  - id: Have\n    use: railway.variables\n  - id: x\n    uses: http.probe\n    with: { url: \"${{ stpes.a }}\" }\n    if: inputs.a ==\n";
    let codes: Vec<&str> = found(text).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["E0107", "E0103", "E0105", "E0103", "E0306", "E0301"]);
}

#[test]
fn unknown_keys_get_the_nearest_name_or_the_word_of_this_format() {
    let help = |text: &str| read(&format!("{HEAD}steps:\n{text}")).1[0].help.clone().unwrap();
    assert_eq!(help("  - script: '1'\n    continue-on-failure: true\n"), "did you mean `continue_on_failure`?");
    assert_eq!(help("  - uses: a.b\n    wiht: {}\n"), "did you mean `with`?");
    assert_eq!(help("  - uses: a.b\n    when: true\n"), "a condition of a step is `if`");
    assert!(help("  - uses: a.b\n    frobnicate: true\n").starts_with("a step has the keys id name if"));
}

#[test]
fn parts_of_the_language_that_come_later_are_named_as_such() {
    for key in RUNBOOK.later {
        let text = format!("{HEAD}{key}: 1\nsteps:\n  - uses: a.b\n");
        assert_eq!(found(&text), one("E0108", key));
    }
}

#[test]
fn outputs_of_a_file_may_be_sealed_and_a_step_may_reveal() {
    let outputs = "outputs:\n  a: { value: \"${{ inputs.x }}\", sealed: true }\n  b: { value: \"1\", sealed: false }\n  c: { value: 1 }\n";
    let text = format!(
        "{HEAD}inputs: {{ x: {{ type: secret }} }}\nsteps:\n  - uses: a.b\n    reveal: [A, \"${{{{ inputs.x }}}}\"]\n{outputs}"
    );
    let (runbook, problems) = read(&text);
    assert!(problems.is_empty(), "{}", render(&problems, false));
    let runbook = runbook.unwrap();
    assert_eq!(runbook.outputs.len(), 3);
    assert_eq!(runbook.sealed.iter().collect::<Vec<_>>(), ["a"], "`c` is a map");
    assert_eq!(runbook.steps[0].reveal.len(), 2);
    for (step, code, under) in [
        ("  - uses: a.b\n    reveal: []\n", "E0107", "[]"),
        ("  - uses: a.b\n    reveal: A\n", "E0107", "A"),
        ("  - uses: a.b\n    reveal: [\"\"]\n", "E0107", "\"\""),
        ("  - script: '1'\n    reveal: [A]\n", "E0115", "reveal"),
        ("  - uses: a.b\n    outputs: { a: { value: 1, sealed: true } }\n", "E0115", "sealed"),
        ("  - uses: a.b\noutputs: { a: { value: 1, sealed: maybe } }\n", "E0107", "maybe"),
    ] {
        assert_eq!(in_steps(step), one(code, under), "{step}");
    }
}

#[test]
fn a_step_has_exactly_one_body_and_what_goes_with_it() {
    for (text, code, under) in [
        ("  - uses: a.b\n    script: '1'\n", "E0115", "script"),
        ("  - script: '1'\n    uses: a.b\n", "E0115", "uses"),
        ("  - id: x\n", "E0115", "id: x"),
        ("  - script: '1'\n    with: {}\n", "E0115", "with"),
        ("  - uses: a.b\n    every: 5s\n", "E0115", "every"),
        ("  - uses: a.b\n    until: result.ok\n", "E0106", "until"),
        ("  - assert: [{ that: 'true' }]\n    timeout: 5s\n", "E0115", "timeout"),
        ("  - assert: []\n", "E0107", "[]"),
        ("  - steps: []\n", "E0107", "[]"),
        ("  - parallel: []\n", "E0107", "[]"),
        ("  - steps: [{ script: '1' }]\n    parallel: [{ script: '1' }]\n", "E0115", "parallel"),
        ("  - uses: a.b\n    in_a_row: 0\n    until: 'true'\n    within: 1s\n", "E0107", "0"),
        ("  - uses: a.b\n    timeout: 5\n", "E0107", "5"),
        ("  - findings: [{ when: 'true', level: critcal, say: x }]\n", "E0107", "critcal"),
        ("  - findings: [{ when: 'true', say: x }]\n", "E0106", "when"),
        ("  - just text\n", "E0107", "just text"),
    ] {
        assert_eq!(in_steps(text), one(code, under), "{text}");
    }
}

#[test]
fn names_keep_to_the_rules() {
    for (text, under) in [
        ("  - id: set-vars\n    uses: a.b\n", "set-vars"),
        ("  - id: match\n    uses: a.b\n", "match"),
        ("  - id: finally\n    uses: a.b\n", "finally"),
        ("  - uses: ./restart.yaml\n", "./restart.yaml"),
        ("  - uses: a.b\n    with: { For: 1 }\n", "For"),
        ("  - findings: [{ when: 'true', level: ok, say: x, suggest: { runbook: a_b } }]\n", "a_b"),
    ] {
        assert_eq!(in_steps(text), one("E0105", under), "{text}");
    }
    let body = "steps:\n  - uses: a.b\n";
    assert_eq!(found(&format!("{HEAD}inputs: {{ new: {{ type: int }} }}\n{body}")), one("E0105", "new"));
    assert_eq!(found(&format!("{HEAD}secrets: [MY-TOKEN]\n{body}")), one("E0105", "MY-TOKEN"));
    assert_eq!(found(&format!("{HEAD}secrets: [A, A]\n{body}")), one("E0116", "A"));
    assert_eq!(in_steps("  - id: x\n    uses: a.b\n  - id: x\n    uses: a.b\n"), one("E0116", "x"));
    let source = Source::new("x.yaml", format!("{HEAD}{body}"));
    assert!(read_runbook("Not-Kebab", Kind::Runbook, &source).1.iter().any(|problem| problem.code == "E0105"));
    assert!(read_runbook("railway.redeploy", Kind::Action, &source).0.is_some());
}

#[test]
fn inputs_and_their_defaults_fit_their_type() {
    let body = "steps:\n  - uses: a.b\n";
    for (input, code, under) in [
        ("type: strng", "E0107", "strng"),
        ("type: int, default: x", "E0107", "x"),
        ("type: duration, default: 5", "E0107", "5"),
        ("type: url, default: example.com", "E0107", "example.com"),
        ("type: bool, default: yes", "E0113", "yes"),
        ("type: secret, default: hunter2hunter2", "E0107", "hunter2hunter2"),
        ("type: choice", "E0106", "choice"),
        ("type: choice, choices: []", "E0107", "choices"),
        ("type: choice, choices: [a], default: b", "E0107", "b"),
        ("type: int, choices: [a]", "E0115", "choices"),
        ("type: int, required: true, default: 1", "E0115", "required"),
        ("type: string, default: \"${{ inputs.x }}\"", "E0107", "\"${{ inputs.x }}\""),
        ("type: string, default: null", "E0107", "null"),
        ("description: x", "E0106", "description"),
    ] {
        let text = format!("{HEAD}inputs: {{ a: {{ {input} }} }}\n{body}");
        assert_eq!(found(&text), one(code, under), "{input}");
    }
    assert_eq!(found(&format!("{HEAD}inputs: {{ a: string }}\n{body}")), one("E0107", "string"));
}

#[test]
fn plain_values_of_any_type_are_read_one_way_only() {
    for (value, code) in [
        ("yes", Some("E0113")),
        ("Off", Some("E0113")),
        ("0755", Some("E0113")),
        ("1.10", Some("E0113")),
        ("99999999999999999999", Some("E0107")),
        (".nan", Some("E0107")),
        ("\"yes\"", None),
        ("'0755'", None),
        ("12:30:45", None),
        ("true", None),
        ("null", None),
        ("2026-11-01", None),
    ] {
        let text = format!("  - uses: a.b\n    with: {{ x: {value} }}\n");
        let codes: Vec<&str> = in_steps(&text).iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.first().copied(), code, "{value}");
    }
}

#[test]
fn traps_of_yaml_and_rhai_have_an_answer_of_their_own() {
    for (line, code, under) in [
        ("if: !steps.x.outputs.y", "E0110", "!steps.x.outputs.y"),
        ("if: true && inputs.x #{b: 1}", "E0111", "#{b: 1}"),
        ("if: '\"a\" == '", "E0301", ""),
        ("if: \"a\" == inputs.b", "E0112", "\""),
        ("if: inputs.a == \"b: c\"", "E0112", ":"),
        ("if: `a` == inputs.b", "E0112", "`"),
        ("if: [1, 2].len() > 1", "E0112", "["),
        ("if: [1, 2]", "E0112", "[1, 2]"),
        ("if: yes", "E0113", "yes"),
        ("if: inputs.default == 1", "E0302", "default"),
        ("if: '#{ [inputs.k]: 1 } == ()'", "E0303", "["),
        ("if: '${{ inputs.a }} == ${{ inputs.b }}'", "E0304", "$"),
        ("if: stpes.x.outputs.y", "E0306", "stpes"),
        ("name: \"${{ inputs.a \"", "E0109", "${{"),
        ("name: ${{ #{a: 1} }}", "E0109", "${{"),
        ("name: \"${{ inputs.a + }}\"", "E0301", ""),
        ("name: \"a ${{ inptus.a }} b\"", "E0306", "inptus"),
    ] {
        let problems = in_steps(&format!("  - uses: a.b\n    {line}\n"));
        assert_eq!(problems.first().map(|(code, _)| *code), Some(code), "{line}: {problems:?}");
        if !under.is_empty() {
            assert!(problems[0].1.starts_with(under), "{line}: {problems:?}");
        }
    }
    for (script, code, under) in [
        ("let x = ${{ inputs.a }}; x", "E0304", "$"),
        ("let x = 1;\n        # a comment\n        x", "E0305", "#"),
        ("let x = steps.a.outputs.match; x", "E0302", "match"),
        ("let m = #{ [inputs.k]: 1 }; m", "E0303", "["),
        ("let x = hav; x", "E0306", "hav"),
    ] {
        let problems = in_steps(&format!("  - script: |\n        {script}\n"));
        assert_eq!(problems.first().map(|(code, _)| *code), Some(code), "{script}: {problems:?}");
        assert!(problems[0].1.starts_with(under), "{script}: {problems:?}");
    }
}

#[test]
fn an_unknown_variable_gets_the_context_or_input_that_was_meant() {
    let help = |name: &str| {
        let text =
            format!("{HEAD}inputs: {{ service: {{ type: string }} }}\nsteps:\n  - uses: a.b\n    if: {name} == 1\n");
        read(&text).1[0].help.clone().unwrap()
    };
    assert_eq!(help("stpes.x"), "did you mean `steps`?");
    assert_eq!(help("input.x"), "did you mean `inputs`?");
    assert_eq!(help("service"), "did you mean `inputs.service`?");
    assert_eq!(help("zebra"), "expressions see inputs, vars, steps, secrets, run, each, result");
}

#[test]
fn templates_keep_types_split_text_and_find_their_end() {
    let template = |value: &str| {
        let runbook = steps(&format!("  - uses: a.b\n    with:\n      x: {value}\n"));
        let Body::Uses { with, .. } = &runbook.steps[0].body else { panic!() };
        with[0].1.node.clone()
    };
    let expression = |value: &str| match template(value) {
        TemplateNode::Expression(snippet) => snippet.text.to_string(),
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(expression("${{ inputs.a }}"), "inputs.a");
    assert_eq!(expression("\"${{ #{a: #{b: 1}} }}\""), "#{a: #{b: 1}}");
    assert_eq!(expression("'${{ \"}} }}\" }}'"), "\"}} }}\"");
    assert_eq!(expression("'${{ `..${1 + 1} }}..` }}'"), "`..${1 + 1} }}..`");
    assert_eq!(expression("|\n        ${{ inputs.a }}\n"), "inputs.a");
    let pieces = |value: &str| match template(value) {
        TemplateNode::Mixed(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Expression(snippet) => format!("<{}>", snippet.text),
            })
            .collect::<String>(),
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(pieces("\"${{ inputs.a }} to ${{ inputs.b }}\""), "<inputs.a> to <inputs.b>");
    assert_eq!(pieces("\"literal $${{ x }} and ${{ inputs.b }}\""), "literal ${{ x }} and <inputs.b>");
    assert!(matches!(template("\"$${{ x }}\""), TemplateNode::Literal(Value::Text(text)) if text == "${{ x }}"));
    assert!(matches!(template(""), TemplateNode::Literal(Value::Null)));
}

/// The ten ways to write code in YAML; `WRONG` is an unknown variable in each.
#[test]
fn the_caret_is_right_in_every_style_of_scalar() {
    for (style, text) in [
        ("plain", "  - if: inputs[\"é\"] == WRONG\n    uses: a.b\n"),
        ("plain over lines", "  - if: inputs.a\n      && true\n\n      && WRONG\n    uses: a.b\n"),
        ("single quotes", "  - if: '\"it''s é\" == \"x\" || WRONG'\n    uses: a.b\n"),
        (
            "double quotes",
            "  - if: \"\\\"\\u0041\\\\n é\\\" == \\\"x\\\" \\\n      || \\x74rue\n\n      || WRONG\"\n    uses: a.b\n",
        ),
        ("flow", "  - { uses: a.b, with: { x: [\"é ${{ WRONG }}\"] } }\n"),
        ("literal", "  - script: |\n      let e = \"é\";\n        if true {\n\n      WRONG }\n"),
        ("literal with indent", "  - script: |2\n        let x = 1;\n      x + WRONG\n"),
        (
            "folded",
            "  - script: >\n      let x =\n      1;\n\n      let y = 2;\n\n        let z = 3;\n      x + WRONG\n",
        ),
        ("literal with CRLF", "  - script: |\r\n      let x = 1;\r\n      x + WRONG\r\n"),
        ("literal after blank lines, stripped", "  - script: |-\n\n\n      let x = 1;\n      x + WRONG"),
        ("folded and stripped", "  - script: >-\n      1 +\n      WRONG\n"),
        ("plain over lines with CRLF", "  - if: inputs.a\r\n      && WRONG\r\n    uses: a.b\r\n"),
    ] {
        let text = format!("{HEAD}# é\nsteps:\n{text}");
        let (_, problems) = read(&text);
        let [problem] = problems.as_slice() else { panic!("{style}: {}", render(&problems, false)) };
        assert_eq!(problem.code, "E0306", "{style}: {}", render(&problems, false));
        let expected = text.find("WRONG").unwrap();
        assert_eq!(
            (problem.span.start, problem.span.end),
            (expected, expected + 5),
            "{style}: {}",
            render(&problems, false)
        );
    }
}
