//! What the check says of branches, items, looks, retries, writes in doubt and runbooks inside runbooks.

use crate::runbook::testing::{Shelf, problems};

const URL: &str = "with: { url: \"https://a.example\" }";

/// A step that calls one primitive; `beside` are more keys, a line each.
fn step(id: &str, uses: &str, beside: &[&str]) -> String {
    let with = if uses == "run.note" { "with: { text: x }" } else { URL };
    let lines: String = beside.iter().map(|line| format!("    {line}\n")).collect();
    format!("  - id: {id}\n    uses: {uses}\n    {with}\n{lines}")
}

fn one(uses: &str, beside: &[&str]) -> Vec<String> {
    problems(&format!("steps:\n{}", step("x", uses, beside)))
}

/// The words of the first problem: message and help.
fn said(shelf: &Shelf, body: &str) -> (String, String) {
    let (_, problems) = shelf.load(body);
    let first = problems.first().unwrap_or_else(|| panic!("no problem in\n{body}"));
    (first.message.clone(), first.help.clone().unwrap_or_default())
}

fn read_of(id: &str) -> String {
    format!("  - uses: run.note\n    with: {{ text: \"${{{{ steps.{id}.outcome }}}}\" }}\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[test]
fn branches_see_what_was_before_and_not_each_other() {
    let note = |id: &str, reads: &str| {
        format!("  - id: {id}\n    uses: run.note\n    with: {{ text: \"${{{{ steps.{reads}.outcome }}}}\" }}\n")
    };
    let all = |branches: &str, behind: &str| {
        format!("steps:\n{}  - id: all\n    parallel:\n{}{behind}", step("before", "look.at", &[]), indented(branches))
    };
    let two = |reads: &str| format!("{}{}", step("one", "look.at", &[]), note("two", reads));
    assert_eq!(problems(&all(&two("before"), "")), [""; 0]);
    assert_eq!(problems(&all(&two("one"), "")), ["E0204 one"]);
    assert_eq!(problems(&all(&two("before"), &note("after", "one"))), [""; 0]);
    assert_eq!(problems(&all(&format!("{}{}", note("two", "one"), step("one", "look.at", &[])), "")), ["E0204 one"]);
    let (message, help) = said(&Shelf::default(), &all(&two("one"), ""));
    assert_eq!(message, "step `one` stands in another branch of `all`");
    assert!(help.contains("behind"), "{help}");
    // Inside of one branch the order is that of the text.
    let branch = format!("  - steps:\n{}{}", indented(&step("a", "look.at", &[])), indented(&note("b", "a")));
    assert_eq!(problems(&all(&branch, &note("after", "b"))), [""; 0]);
    let late = format!("  - steps:\n{}{}", indented(&note("b", "a")), indented(&step("a", "look.at", &[])));
    assert_eq!(said(&Shelf::default(), &all(&late, "")).0, "step `a` runs after this place");
}

#[test]
fn a_finish_in_a_branch_ends_what_is_behind_and_not_beside() {
    let finish = "  - uses: run.finish\n    with: { message: x }\n    if: inputs.a\n";
    let head = "inputs: { a: { type: bool } }\n";
    let parallel = |branches: &str| {
        format!(
            "{head}steps:\n  - parallel:\n{}{}outputs: {{ o: \"${{{{ steps.beside.outputs.ok }}}}\", b: \"${{{{ steps.behind.outputs.ok }}}}\" }}\n",
            indented(branches),
            step("behind", "look.at", &[])
        )
    };
    let found = problems(&parallel(&format!("{finish}{}", step("beside", "look.at", &[]))));
    assert_eq!(found, ["W0401 outputs"], "only what is behind may be missing");
}

#[test]
fn what_is_inside_a_foreach_is_a_list_outside() {
    let group = |beside: &str, behind: &str| {
        format!(
            "steps:\n  - id: each_host\n    foreach: [a, b]\n    steps:\n{}{beside}{behind}",
            indented(&step("probe", "look.at", &[]))
        )
    };
    let outputs = "    outputs: { ok: \"${{ steps.probe.outputs.ok }}\" }\n";
    assert_eq!(problems(&group(outputs, &read_of("each_host"))), [""; 0]);
    assert_eq!(problems(&group(outputs, &read_of("probe"))), ["E0204 probe"]);
    let (message, help) = said(&Shelf::default(), &group(outputs, &read_of("probe")));
    assert_eq!(message, "step `probe` runs once for each item of `each_host`");
    assert_eq!(help, "read `steps.each_host.outputs`, the list of what each item gave");
    let (_, help) = said(&Shelf::default(), &group("", &read_of("probe")));
    assert_eq!(help, "give `each_host` `outputs`, and read the list `steps.each_host.outputs`");
    let script = |code: &str| {
        let code = format!("  - script: '{code}'\n");
        problems(&group(outputs, &code))
    };
    assert_eq!(script("steps.each_host.outputs.len()"), [""; 0]);
    assert_eq!(script("steps.each_host.outputs[0].ok"), [""; 0]);
    assert_eq!(script("steps.each_host.outcomes.len()"), [""; 0]);
    assert_eq!(script("steps.each_host.outputs.ok"), ["E0205 ok"]);
    let plain = format!("steps:\n{}  - script: 'steps.x.outcomes'\n", step("x", "look.at", &[]));
    assert_eq!(problems(&plain), ["E0209 outcomes"]);
    let again =
        "  - uses: run.note\n    foreach: steps.each_host.outputs\n    with: { text: \"${{ each.value.ok }}\" }\n";
    assert_eq!(problems(&group(outputs, again)), [""; 0]);
}

#[test]
fn until_looks_at_reads_whatever_they_are_made_of() {
    let shelf = Shelf::default()
        .action("looks", "steps:\n  - id: l\n    uses: look.at\n    with: { url: \"https://a.example\" }\noutputs: { ok: \"${{ steps.l.outputs.ok }}\" }\n")
        .action("writes", "steps:\n  - uses: change.it\n    with: { url: \"https://a.example\" }\noutputs: { ok: 1 }\n");
    let wait = |body: &str| shelf.problems(&format!("steps:\n  - {body}\n    until: result.ok\n    within: 1m\n"));
    let look = "look::at(#{ url: \"https://a.example\" })";
    assert_eq!(wait(&format!("uses: look.at\n    {URL}")), [""; 0]);
    assert_eq!(wait("uses: looks"), [""; 0]);
    assert_eq!(wait(&format!("script: '{look}'")), [""; 0]);
    assert_eq!(wait("script: 'change::it(#{ url: \"https://a.example\" })'"), ["E0211 result.ok"]);
    assert_eq!(wait(&format!("uses: change.it\n    {URL}")), ["E0211 result.ok"]);
    assert_eq!(wait("uses: writes"), ["E0211 result.ok"]);
    assert_eq!(wait("uses: time.sleep\n    with: { duration: 1s }"), ["E0211 result.ok"]);
    let group = |uses: &str, outputs: &str| {
        wait(&format!("steps:\n      - id: p\n        uses: {uses}\n        {URL}{outputs}"))
    };
    let outputs = "\n    outputs: { ok: \"${{ steps.p.outputs.ok }}\" }";
    assert_eq!(group("look.at", outputs), [""; 0]);
    assert_eq!(group("look.at", "\n    outputs: { fine: \"${{ steps.p.outputs.ok }}\" }"), ["E0205 ok"]);
    assert_eq!(group("change.it", outputs), ["E0211 result.ok"]);
    assert!(group("look.at", "").contains(&"E0106 result.ok".to_owned()));
}

#[test]
fn until_on_a_foreach_needs_one_item_at_a_time_and_may_write() {
    let with = |beside: &[&str]| one("change.it", &[&["foreach: [a, b]", "until: result.ok"], beside].concat());
    assert_eq!(with(&[]), [""; 0]);
    assert_eq!(with(&["max_parallel: 1"]), [""; 0]);
    assert_eq!(with(&["max_parallel: 2"]), ["E0115 result.ok"]);
    assert_eq!(with(&["outputs: { fine: \"${{ result.ok }}\" }"]), ["E0205 ok"], "`result` is what the item gave");
}

#[test]
fn fail_if_judges_reads() {
    assert_eq!(one("look.at", &["fail_if: result.status == 404"]), [""; 0]);
    assert_eq!(one("look.at", &["fail_if: result.sttaus == 404"]), ["E0205 sttaus"]);
    assert_eq!(one("look.at", &["fail_if: result.status"]), ["E0227 result.status"]);
    assert_eq!(one("change.it", &["fail_if: result.status == 404"]), ["E0211 result.status == 404"]);
}

#[test]
fn a_time_out_needs_something_that_takes_time() {
    assert_eq!(one("run.note", &["timeout: 5s"]), ["E0213 5s"]);
    assert_eq!(one("run.note", &["within: 5s"]), [""; 0]);
    assert_eq!(one("look.at", &["within: 0s"]), ["E0212 0s"]);
    let group = "steps:\n  - parallel: [{ uses: run.note, with: { text: x } }]\n    timeout: 5s\n  - script: '1'\n    timeout: 5s\n";
    assert_eq!(problems(group), [""; 0]);
    assert_eq!(one("look.at", &["foreach: [1m]", "within: \"${{ each.value }}\""]), ["E0207 each"]);
    assert_eq!(one("look.at", &["foreach: [1m]", "timeout: \"${{ each.value }}\""]), [""; 0]);
}

#[test]
fn a_retry_never_repeats_a_write_that_may_have_happened() {
    let retry = "retry: { attempts: 3 }";
    assert_eq!(one("look.at", &[retry]), [""; 0]);
    assert_eq!(one("change.it", &[retry]), [""; 0], "a write is tried again when it was refused");
    assert_eq!(one("run.note", &[retry]), ["E0229 { attempts: 3 }"]);
    assert_eq!(one("look.at", &["retry: { attempts: 3, delay: 0s }"]), ["E0212 0s"]);
    let group = |inner: &str| problems(&format!("steps:\n  - id: g\n    {retry}\n    parallel:\n{}", indented(inner)));
    assert_eq!(group(&step("a", "look.at", &[])), [""; 0]);
    assert_eq!(group(&step("a", "set.it", &[])), [""; 0]);
    assert_eq!(group(&step("a", "change.it", &[])), ["E0229 { attempts: 3 }"]);
    assert_eq!(group(&step("a", "change.it", &["repeat: repeatable", "reason: it is a PUT"])), [""; 0]);
    assert_eq!(group(&step("a", "change.it", &["repeat: { keyed: 1h }", "reason: x"])), ["E0229 { attempts: 3 }"]);
    let write = |uses: &str| format!("steps:\n  - uses: {uses}\n    {URL}\n");
    let shelf = Shelf::default().action("sets", &write("set.it")).action("writes", &write("change.it"));
    let call = |uses: &str| shelf.problems(&format!("steps:\n  - uses: {uses}\n    {retry}\n"));
    assert_eq!(call("sets"), [""; 0]);
    assert_eq!(call("writes"), ["E0229 { attempts: 3 }"]);
    let script = |code: &str| {
        problems(&format!("steps:\n  - script: '{code}(#{{ url: \"https://a.example\" }})'\n    {retry}\n"))
    };
    assert_eq!(script("look::at"), [""; 0]);
    assert_eq!(script("change::it"), ["E0229 { attempts: 3 }"]);
}

#[test]
fn trust_that_is_raised_needs_a_reason() {
    let reason = "reason: the route only reads";
    assert_eq!(one("change.it", &["effect: read"]), ["E0230 read"]);
    assert_eq!(one("change.it", &["effect: read", reason]), [""; 0]);
    assert_eq!(one("change.it", &["effect: destructive"]), [""; 0]);
    assert_eq!(one("change.it", &["effect: pure", reason]), ["E0231 pure"]);
    assert_eq!(one("set.it", &["effect: read", reason]), ["E0231 read"], "it has no way to only look");
    assert_eq!(one("change.it", &["repeat: repeatable"]), ["E0230 repeatable"]);
    assert_eq!(one("change.it", &["repeat: { keyed: 24h }"]), ["E0230 { keyed: 24h }"]);
    assert_eq!(one("change.it", &["repeat: { keyed: 24h }", reason]), [""; 0]);
    assert_eq!(one("set.it", &["repeat: once"]), [""; 0]);
    assert_eq!(one("change.it", &["repeat: verifiable"]), ["E0106 verifiable"]);
    assert_eq!(one("look.at", &["repeat: repeatable", reason]), ["E0231 repeatable"]);
    assert_eq!(one("look.at", &["effect: write", "repeat: repeatable", reason]), [""; 0]);
    assert_eq!(one("run.note", &["effect: write"]), ["E0231 write"]);
    let shelf = Shelf::default().action("writes", &format!("steps:\n  - uses: change.it\n    {URL}\n"));
    let call = |beside: &str| shelf.problems(&format!("steps:\n  - uses: writes\n    {beside}\n    {reason}\n"));
    assert_eq!(call("effect: read"), ["E0231 read"]);
    assert_eq!(call("effect: destructive"), [""; 0]);
    assert_eq!(call("repeat: repeatable"), ["E0231 repeatable"]);
}

#[test]
fn the_effect_a_step_says_is_the_one_of_the_program() {
    let effects = |beside: &str| {
        let body = format!("steps:\n  - uses: change.it\n    {URL}\n    {beside}\n    reason: x\n");
        let (program, problems) = Shelf::default().load(&body);
        let program = program.unwrap_or_else(|| panic!("{problems:?}"));
        program.effects.iter().map(|effect| effect.word()).collect::<Vec<_>>()
    };
    assert_eq!(effects("timeout: 5s"), ["write"]);
    assert_eq!(effects("effect: read"), ["read"]);
    assert_eq!(effects("effect: destructive"), ["destructive"]);
}

#[test]
fn a_doubt_is_settled_by_reads_that_see_what_the_step_sees() {
    let settle = |inside: &str, happened: &str, behind: &str| {
        let looks = indented(&indented(inside));
        problems(&format!(
            "steps:\n{}  - id: deploy\n    uses: change.it\n    {URL}\n    settle:\n      steps:\n{looks}      happened: {happened}\n      outputs: {{ ok: \"${{{{ steps.now.outputs.ok }}}}\" }}\n{behind}",
            step("before", "look.at", &[]),
        ))
    };
    let now = step("now", "look.at", &[]);
    let differ = "steps.now.outputs.status != steps.before.outputs.status";
    assert_eq!(settle(&now, differ, ""), [""; 0]);
    assert_eq!(settle(&now, "steps.deploy.outcome == \"done\"", ""), ["E0204 deploy"]);
    assert_eq!(settle(&now, "steps.now.outputs.status", ""), ["E0227 steps.now.outputs.status"]);
    assert_eq!(settle(&now, differ, &read_of("now")), ["E0204 now"]);
    assert_eq!(settle(&format!("{now}{}", step("again", "change.it", &[])), differ, ""), ["E0232 again"]);
    let read = format!(
        "steps:\n  - uses: look.at\n    {URL}\n    settle: {{ steps: [{{ id: n, uses: look.at, {URL} }}], happened: \"steps.n.outputs.ok\" }}\n"
    );
    assert_eq!(problems(&read), ["E0231 steps.n.outputs.ok"]);
}

#[test]
fn what_a_settle_adopts_can_be_read() {
    let settle = format!(
        "    settle: {{ steps: [{{ id: now, uses: look.at, {URL} }}], happened: 'true', outputs: {{ found: 1 }} }}\n"
    );
    let read = |name: &str| {
        format!("steps:\n  - id: made\n    uses: change.it\n    {URL}\n{settle}  - script: steps.made.outputs.{name}\n")
    };
    assert_eq!(problems(&read("found")), [""; 0]);
    assert_eq!(problems(&read("status")), [""; 0]);
    assert_eq!(problems(&read("fount")), ["E0205 fount"]);
}

#[test]
fn two_branches_never_make_the_same_write_unless_somebody_says_why() {
    let branches = |first: &str, second: &str| {
        problems(&format!("steps:\n  - parallel:\n{}{}", indented(first), indented(second)))
    };
    let write = step("a", "change.it", &[]);
    assert_eq!(branches(&write, &step("b", "change.it", &[])), ["E0233 change.it"]);
    assert_eq!(branches(&write, &step("b", "change.it", &["reason: it takes two"])), [""; 0]);
    assert_eq!(branches(&write, &step("b", "set.it", &[])), [""; 0]);
    assert_eq!(branches(&write, &step("b", "change.it", &[]).replace("a.example", "b.example")), [""; 0]);
    assert_eq!(branches(&step("a", "look.at", &[]), &step("b", "look.at", &[])), [""; 0]);
    let computed = write.replace("https://a.example", "${{ run.url }}");
    assert_eq!(branches(&computed, &computed.replace("id: a", "id: b")), [""; 0], "what is computed may differ");
    let inside = "  - script: 'change::it(#{ url: \"https://a.example\" })'\n";
    assert_eq!(branches(&write, inside), ["E0233 change"]);
    let same_branch = format!("  - steps:\n{}{}", indented(&write), indented(&step("b", "change.it", &[])));
    assert_eq!(branches(&same_branch, &step("c", "look.at", &[])), [""; 0]);
}

#[test]
fn a_group_is_text_over_what_is_known_at_the_start() {
    let body = |group: &str| {
        problems(&format!(
            "inputs: {{ n: {{ type: int }}, s: {{ type: string }} }}\nsecrets: [TOKEN]\nconcurrency: {{ group: \"{group}\" }}\nsteps:\n  - id: a\n    uses: look.at\n    with: {{ url: \"https://a.example/${{{{ secrets.TOKEN }}}}/${{{{ inputs.n }}}}/${{{{ inputs.s }}}}\" }}\n"
        ))
    };
    assert_eq!(body("deploy-${{ inputs.s }}-${{ run.target }}"), [""; 0]);
    assert_eq!(body("${{ inputs.n }}"), ["E0235 \"${{ inputs.n }}\""]);
    assert_eq!(body(" "), ["E0235 \" \""]);
    assert_eq!(body("${{ steps.a.outcome }}"), ["E0207 steps"]);
    assert_eq!(body("${{ secrets.TOKEN }}"), ["E0207 secrets"]);
    assert_eq!(problems("timeout: 0s\nsteps:\n  - script: '1'\n"), ["E0212 0s"]);
    assert_eq!(problems("timeout: \"${{ steps.a.outcome }}\"\nsteps:\n  - id: a\n    script: '1'\n"), ["E0207 steps"]);
}

#[test]
fn a_plan_sees_the_reads_before_the_first_write() {
    let plan = |reads: &str| {
        let action = format!(
            "steps:\n{}{}{}plan: {{ summary: do it, before: \"${{{{ steps.{reads}.outputs.ok }}}}\" }}\n",
            step("early", "look.at", &[]),
            step("write", "change.it", &[]),
            step("late", "look.at", &[])
        );
        Shelf::default().action("act", &action).problems("steps:\n  - uses: act\n")
    };
    assert_eq!(plan("early"), [""; 0]);
    assert_eq!(plan("write"), ["E0204 write"]);
    assert_eq!(plan("late"), ["E0204 late"]);
}

const CHILD: &str = "inputs: { url: { type: url }, tries: { type: int, default: 1 } }\nsteps:\n  - id: l\n    uses: look.at\n    with: { url: \"${{ inputs.url }}\", tries: \"${{ inputs.tries }}\" }\noutputs: { ok: \"${{ steps.l.outputs.ok }}\" }\n";

#[test]
fn a_runbook_is_called_by_name_with_its_own_inputs() {
    let shelf = Shelf::default().runbook("look-there", CHILD);
    let call = |with: &str| shelf.problems(&format!("steps:\n  - id: c\n    uses: runbook\n    with: {with}\n"));
    let url = "url: \"https://a.example\"";
    assert_eq!(call(&format!("{{ name: look-there, inputs: {{ {url} }} }}")), [""; 0]);
    assert_eq!(call(&format!("{{ name: look-theer, inputs: {{ {url} }} }}")), ["E0234 look-theer"]);
    assert_eq!(
        call(&format!("{{ name: \"${{{{ run.name }}}}\", inputs: {{ {url} }} }}")),
        ["E0234 \"${{ run.name }}\""]
    );
    assert_eq!(call("{ name: look-there }"), ["E0203 runbook"]);
    assert_eq!(call(&format!("{{ name: look-there, inputs: {{ {url}, trise: 2 }} }}")), ["E0202 trise"]);
    assert_eq!(call(&format!("{{ name: look-there, inputs: {{ {url}, tries: many }} }}")), ["E0206 many"]);
    let (message, _) = said(&shelf, "steps:\n  - uses: runbook\n    with: { name: look-there }\n");
    assert_eq!(message, "runbook `look-there` needs input `url`");
    let read = |name: &str| {
        let call = format!("{{ name: look-there, inputs: {{ {url} }} }}");
        shelf.problems(&format!(
            "steps:\n  - id: c\n    uses: runbook\n    with: {call}\n  - script: 'steps.c.outputs.{name}'\n"
        ))
    };
    assert_eq!(read("ok"), [""; 0]);
    assert_eq!(read("okay"), ["E0205 okay"]);
}

#[test]
fn a_script_calls_a_runbook_likewise() {
    let shelf = Shelf::default().runbook("look-there", CHILD);
    let call = |args: &str| shelf.problems(&format!("steps:\n  - script: 'runbook(#{{ {args} }})'\n"));
    assert_eq!(call("name: \"look-there\", inputs: #{ url: \"https://a.example\" }"), [""; 0]);
    assert_eq!(call("name: \"look-there\", inputs: #{ url: run.url }"), [""; 0]);
    assert_eq!(call("name: \"look-there\""), ["E0203 runbook"]);
    assert_eq!(call("name: \"nowhere\""), ["E0234 name"]);
    assert_eq!(call("name: run.name"), ["E0234 name"]);
    assert_eq!(call("name: \"look-there\", inputs: #{ url: \"here\" }"), ["E0206 inputs"]);
}

#[test]
fn a_called_runbook_is_part_of_the_program() {
    let shelf = Shelf::default()
        .runbook("outer", "secrets: [TOKEN]\nsteps:\n  - uses: sends\n  - uses: runbook\n    with: { name: inner }\n")
        .runbook("inner", "steps:\n  - uses: set.it\n    with: { url: \"https://a.example\" }\n")
        .action("sends", "secrets: [TOKEN]\nsteps:\n  - uses: change.it\n    with: { url: \"https://a.example/${{ secrets.TOKEN }}\" }\n");
    let (program, problems) = shelf.load("secrets: [TOKEN]\nsteps:\n  - uses: runbook\n    with: { name: outer }\n");
    let program = program.unwrap_or_else(|| panic!("{}", crate::runbook::problem::render(&problems, false)));
    assert_eq!(problems.len(), 0, "a secret of a child may be declared on top");
    assert_eq!(program.children.keys().collect::<Vec<_>>(), ["inner", "outer"]);
    assert_eq!(program.children["outer"].spec.effect.word(), "write");
    let files: Vec<&str> = program.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(files, ["test", "inner", "outer", "sends"]);
    assert_eq!(program.effects.last().map(|effect| effect.word()), Some("write"));
}

#[test]
fn runbooks_in_a_circle_or_too_deep_are_refused() {
    let call = |name: &str| format!("steps:\n  - uses: runbook\n    with: {{ name: {name} }}\n");
    assert_eq!(problems(&call("test")), ["E0223 test"], "itself");
    let shelf = Shelf::default().runbook("a", &call("b")).runbook("b", &call("a"));
    assert_eq!(shelf.problems(&call("a")), ["E0223 a"]);
    assert!(said(&shelf, &call("a")).0.ends_with("a → b → a"));
    let mut deep = Shelf::default().runbook("r17", "steps:\n  - script: '1'\n");
    for level in 1..17 {
        deep = deep.runbook(&format!("r{level}"), &call(&format!("r{}", level + 1)));
    }
    assert_eq!(deep.problems(&call("r1")), ["E0224 r17"]);
    assert_eq!(deep.problems(&call("r2")), [""; 0]);
}

#[test]
fn a_child_with_mistakes_tells_its_own_only() {
    let shelf = Shelf::default().runbook("bad", "steps:\n  - uses: look.att\n");
    assert_eq!(shelf.problems("steps:\n  - uses: runbook\n    with: { name: bad, inputs: { a: 1 } }\n").len(), 2);
    let shelf = Shelf::default().runbook("bad", "stepz: []\n");
    let found = shelf.problems("steps:\n  - id: c\n    uses: runbook\n    with: { name: bad, inputs: { a: 1 } }\n  - script: 'steps.c.outputs.x'\n");
    assert!(found.iter().all(|problem| problem.starts_with("E010")), "{found:?}");
}

#[test]
fn a_question_has_choices_or_fields() {
    let ask = |with: &str| problems(&format!("steps:\n  - uses: human.ask\n    with: {{ {with}, text: well? }}\n"));
    assert_eq!(ask("fields: { port: { type: int, default: 80 } }"), [""; 0]);
    assert_eq!(ask("choices: [a], fields: { port: { type: int } }"), ["E0115 fields"]);
    assert_eq!(ask("fields: { port: { type: integer } }"), ["E0206 { port: { type: integer } }"]);
    assert_eq!(ask("fields: { port: { type: int, default: \"${{ run.id }}\" } }"), [""; 0], "seen when it is asked");
}

#[test]
fn known_items_count_towards_the_steps_of_a_run() {
    let each = |items: &str| {
        let found =
            problems(&format!("steps:\n  - foreach: {items}\n    steps:\n      - script: '1'\n      - script: '2'\n"));
        found.iter().map(|problem| problem[..5].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(each("1..=3300"), [""; 0]);
    assert_eq!(each("1..=3400"), ["E0225"]);
    assert_eq!(each("0..3400"), ["E0225"]);
    assert_eq!(each("5..=1"), [""; 0]);
    assert_eq!(each("(1..=9999).filter(|n| n < 3)"), [""; 0], "what is computed counts once");
    assert_eq!(each("1..=9223372036854775807"), ["E0225"]);
}

#[test]
fn deep_and_wide_files_are_checked_in_time() {
    let mut deep = String::from("steps:\n");
    for level in 0..25 {
        deep.push_str(&format!(
            "{0}- id: p{level}\n{0}  retry: {{ attempts: 2 }}\n{0}  parallel:\n",
            "  ".repeat(2 * level + 1)
        ));
    }
    deep.push_str(&format!("{}- {{ id: last, script: '1' }}\n", "  ".repeat(51)));
    assert_eq!(problems(&deep), [""; 0]);
    let wide: String = (0..4_000).map(|n| format!("      - {{ id: b{n}, uses: look.at, {URL} }}\n")).collect();
    let before = crate::script::cpu::spent();
    assert_eq!(problems(&format!("steps:\n{}  - parallel:\n{wide}", step("a", "look.at", &[]))), [""; 0]);
    let spent = crate::script::cpu::spent() - before;
    assert!(spent < std::time::Duration::from_secs(2), "4,000 branches took {spent:?} of processor time");
}
