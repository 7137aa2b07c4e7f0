//! Rules that a corpus file alone doesn't pin down: where a rule ends, and what it must not say.

use crate::runbook::testing::{Shelf, problems};

/// A step `a` that looks, then these steps.
fn after_a(steps: &str) -> String {
    format!("steps:\n  - id: a\n    uses: look.at\n    with: {{ url: \"https://a.example\" }}\n{steps}")
}

/// A step `a` with one more key, then a note of its output with one more key.
fn read_of_a(key_of_a: &str, key_of_reader: &str) -> Vec<String> {
    problems(&after_a(&format!(
        "    {key_of_a}\n  - uses: run.note\n    {key_of_reader}\n    with: {{ text: \"saw ${{{{ steps.a.outputs.status }}}}\" }}\n"
    )))
}

#[test]
fn a_step_without_a_condition_needs_no_guard() {
    assert_eq!(read_of_a("name: a", "name: b"), [""; 0]);
}

#[test]
fn a_skipped_step_needs_a_guard() {
    assert_eq!(read_of_a("if: run.dry_run", "name: b"), ["W0401 outputs"]);
}

#[test]
fn asking_for_done_is_a_guard_and_asking_for_failed_is_none() {
    assert_eq!(read_of_a("if: run.dry_run", "if: steps.a.outcome == \"done\""), [""; 0]);
    assert_eq!(read_of_a("if: run.dry_run", "if: steps.a.outcome == \"failed\""), ["W0401 outputs"]);
}

#[test]
fn the_same_condition_is_a_guard_against_a_skip_only() {
    assert_eq!(read_of_a("if: run.dry_run", "if: run.dry_run"), [""; 0]);
    assert_eq!(read_of_a("continue_on_failure: true", "if: run.dry_run"), ["W0401 outputs"]);
}

#[test]
fn a_step_that_is_done_met_its_own_conditions() {
    let chain = |second: &str| {
        let steps = "    if: run.dry_run\n  - id: b\n    if: CONDITION\n    uses: look.at\n    with: { url: \"https://b.example\" }\n";
        let reader = "  - uses: run.note\n    if: steps.b.outcome == \"done\"\n    with: { text: \"saw ${{ steps.a.outputs.status }}\" }\n";
        problems(&after_a(&format!("{}{reader}", steps.replace("CONDITION", second))))
    };
    assert_eq!(chain("steps.a.outcome == \"done\""), [""; 0]);
    assert_eq!(chain("run.id == \"x\""), ["W0401 outputs"]);
}

#[test]
fn a_snippet_that_looks_at_the_outcome_itself_is_guarded() {
    let script = "    if: run.dry_run\n  - script: |\n      if steps.a.outcome == \"done\" { steps.a.outputs.status } else { 0 }\n";
    assert_eq!(problems(&after_a(script)), [""; 0]);
}

#[test]
fn what_is_said_is_guarded_by_its_when() {
    let finding = "    if: run.dry_run\n  - findings:\n      - when: steps.a.outcome == \"done\"\n        level: ok\n        say: \"${{ steps.a.outputs.status }}\"\n";
    assert_eq!(problems(&after_a(finding)), [""; 0]);
}

#[test]
fn a_group_hands_its_doubts_to_the_steps_inside_it_only_behind_it() {
    let group = |reader: &str| {
        format!(
            "steps:\n  - id: g\n    if: run.dry_run\n    steps:\n      - id: a\n        uses: look.at\n        \
             with: {{ url: \"https://a.example\" }}\n{reader}"
        )
    };
    let inside = "      - uses: run.note\n        with: { text: \"saw ${{ steps.a.outputs.status }}\" }\n";
    let behind = "  - uses: run.note\n    with: { text: \"saw ${{ steps.a.outputs.status }}\" }\n";
    assert_eq!(problems(&group(inside)), [""; 0]);
    assert_eq!(problems(&group(behind)), ["W0401 outputs"]);
}

#[test]
fn outputs_behind_a_finish_may_be_missing() {
    let finish = "steps:\n  - uses: run.finish\n    if: run.dry_run\n  - id: a\n    uses: look.at\n    with: { url: \"https://a.example\" }\n";
    let reader = "  - uses: run.note\n    with: { text: \"saw ${{ steps.a.outputs.status }}\" }\n";
    assert_eq!(problems(&format!("{finish}{reader}")), [""; 0]);
    assert_eq!(
        problems(&format!("{finish}outputs:\n  status: \"${{{{ steps.a.outputs.status }}}}\"\n")),
        ["W0401 outputs"]
    );
}

#[test]
fn finally_and_on_failure_do_not_see_each_other() {
    let blocks = "on_failure:\n  - id: f\n    uses: run.note\n    with: { text: f }\nfinally:\n  - uses: run.note\n    with: { text: \"${{ steps.f.outcome }}\" }\n";
    assert_eq!(problems(&after_a(blocks)), ["E0204 f"]);
}

#[test]
fn a_whole_context_counts_as_use_of_everything_in_it() {
    let script = "inputs:\n  x: { type: string }\nsteps:\n  - script: |\n      inputs.keys()\n";
    assert_eq!(problems(script), [""; 0]);
}

#[test]
fn a_computed_input_is_no_unknown_one() {
    let script = "inputs:\n  x: { type: string }\nsteps:\n  - script: |\n      let k = \"x\";\n      inputs[k]\n";
    assert_eq!(problems(script), [""; 0]);
}

#[test]
fn a_method_on_known_outputs_is_no_output() {
    let script = "  - script: |\n      steps.a.outputs.keys()\n";
    assert_eq!(problems(&after_a(script)), [""; 0]);
}

#[test]
fn an_output_of_a_script_can_have_any_name() {
    let steps = "steps:\n  - id: s\n    script: |\n      #{ x: 1 }\n  - uses: run.note\n    with: { text: \"${{ steps.s.outputs.y }}\" }\n";
    assert_eq!(problems(steps), [""; 0]);
}

#[test]
fn a_step_with_outputs_of_its_own_has_only_these() {
    let steps = "    outputs: { seen: \"${{ result.status }}\" }\n  - uses: run.note\n    with: { text: \"saw ${{ steps.a.outputs.status }}\" }\n";
    assert_eq!(problems(&after_a(steps)), ["E0205 status"]);
}

#[test]
fn outcomes_in_a_list_are_checked_one_by_one() {
    let steps = "  - uses: run.note\n    if: steps.a.outcome in [\"done\", \"ok\"]\n    with: { text: x }\n";
    assert_eq!(problems(&after_a(steps)), ["E0210 \"ok\""]);
}

#[test]
fn a_run_has_other_outcomes_than_a_step() {
    let note = |word: &str| {
        format!("steps:\n  - uses: run.note\n    if: run.outcome == \"{word}\"\n    with: {{ text: x }}\n")
    };
    assert_eq!(problems(&note("success")), [""; 0]);
    assert_eq!(problems(&note("done")), ["E0210 \"done\""]);
}

#[test]
fn literals_are_checked_and_computed_values_are_not() {
    let step = |tries: &str| {
        let with = format!("{{ url: \"https://a.example\", tries: {tries} }}");
        problems(&format!(
            "inputs:\n  n: {{ type: string }}\nsteps:\n  - uses: look.at\n    with: {with}\nvars:\n  v: \"${{{{ inputs.n }}}}\"\noutputs:\n  v: \"${{{{ vars.v }}}}\"\n"
        ))
    };
    assert_eq!(step("5"), [""; 0]);
    assert_eq!(step("five"), ["E0206 five"]);
    // What a method gives isn't known before the run.
    assert_eq!(step("\"${{ inputs.n.len() }}\""), [""; 0]);
    assert_eq!(step("\"${{ inputs.n }}\""), ["E0206 \"${{ inputs.n }}\""]);
}

#[test]
fn an_int_is_no_text_and_the_place_is_the_value() {
    let body = "inputs:\n  n: { type: int }\nsteps:\n  - uses: run.note\n    with: { text: \"${{ inputs.n }}\" }\n";
    assert_eq!(problems(body), ["E0206 \"${{ inputs.n }}\""]);
}

#[test]
fn a_read_by_its_arguments_may_be_polled() {
    let step = |method: &str| {
        format!(
            "steps:\n  - uses: change.it\n    with: {{ url: \"https://a.example\", method: {method} }}\n    \
             until: result.ok\n    within: 1m\n"
        )
    };
    assert_eq!(problems(&step("GET")), [""; 0]);
    assert_eq!(problems(&step("POST")), ["E0211 result.ok"]);
}

#[test]
fn a_closure_may_be_called_by_its_variable() {
    let script = "steps:\n  - script: |\n      let double = |x| x * 2;\n      double.call(2)\n";
    assert_eq!(problems(script), [""; 0]);
}

#[test]
fn a_variable_named_like_an_action_does_not_hide_its_call() {
    let shelf = Shelf::default().action("act", "steps:\n  - uses: run.note\n    with: { text: x }\n");
    let condition = "steps:\n  - uses: run.note\n    if: \"[1].some(|act| act(#{}) == 1)\"\n    with: { text: x }\n";
    assert_eq!(shelf.problems(condition), ["E0219 act"]);
    let module = shelf.module("m", "fn f(act) { act(#{}) }\n");
    let script = "steps:\n  - script: |\n      import \"m\" as m;\n      m::f(1)\n";
    assert_eq!(module.problems(script), ["E0221 act"]);
}

#[test]
fn a_module_cannot_choose_a_function_by_name() {
    let shelf = Shelf::default().module("m", "fn f(name) { Fn(name).call() }\n");
    assert_eq!(shelf.problems("steps:\n  - script: |\n      import \"m\" as m;\n      m::f(\"act\")\n"), ["E0217 Fn"]);
}

#[test]
fn a_script_with_many_step_calls_is_doubted_once() {
    let calls = |n: usize| format!("steps:\n  - script: |\n{}", "      run::note(#{ text: \"x\" });\n".repeat(n));
    assert_eq!(problems(&calls(200)), [""; 0]);
    assert_eq!(problems(&calls(201)), ["W0402 run"]);
}

#[test]
fn a_secret_goes_where_it_is_sent_and_nowhere_else() {
    let step = |uses: &str| format!("secrets: [TOKEN]\nsteps:\n  - uses: {uses}\n");
    let sent = "look.at\n    with: { url: \"https://a.example/${{ secrets.TOKEN }}\" }";
    let counted = "look.at\n    with: { url: \"https://a.example\", tries: \"${{ secrets.TOKEN }}\" }";
    assert_eq!(problems(&step(sent)), [""; 0]);
    assert_eq!(problems(&step(counted)), ["E0218 secrets.TOKEN"]);
}

#[test]
fn a_secret_input_is_a_secret() {
    let shelf = Shelf::default().action(
        "tell",
        "inputs:\n  token: { type: secret }\nsteps:\n  - uses: run.note\n    with: { text: \"${{ inputs.token }}\" }\n",
    );
    let body = "secrets: [TOKEN]\nsteps:\n  - uses: tell\n    with: { token: \"${{ secrets.TOKEN }}\" }\n";
    assert_eq!(shelf.problems(body), ["E0218 inputs.token"]);
}

#[test]
fn a_secret_is_never_given_by_value() {
    let shelf = Shelf::default().action(
        "send",
        "inputs:\n  token: { type: secret }\nsteps:\n  - uses: look.at\n    with: { url: \"https://a.example/${{ inputs.token }}\" }\n",
    );
    assert_eq!(
        shelf.problems("steps:\n  - uses: send\n    with: { token: hunter2-hunter2 }\n"),
        ["E0206 hunter2-hunter2"]
    );
}

#[test]
fn a_secret_that_only_an_action_uses_may_be_declared_on_top() {
    let shelf = Shelf::default().action(
        "send",
        "secrets: [TOKEN]\nsteps:\n  - uses: look.at\n    with: { url: \"https://a.example/${{ secrets.TOKEN }}\" }\n",
    );
    assert_eq!(shelf.problems("secrets: [TOKEN]\nsteps:\n  - uses: send\n"), [""; 0]);
    assert_eq!(shelf.problems("secrets: [OTHER]\nsteps:\n  - uses: send\n"), ["W0403 OTHER"]);
}

#[test]
fn an_action_that_cannot_be_read_tells_its_own_problems_only() {
    let shelf = Shelf::default().action("bad", "stepz: []\n");
    let found = shelf.problems("steps:\n  - id: b\n    uses: bad\n    with: { x: 1 }\n  - uses: run.note\n    with: { text: \"${{ steps.b.outputs.y }}\" }\n");
    assert!(!found.is_empty() && found.iter().all(|problem| problem.starts_with("E01")), "{found:?}");
}

#[test]
fn every_context_but_a_place_s_own_is_refused_there() {
    for context in ["steps.a.outcome", "secrets.TOKEN", "result", "each.value", "alert.labels"] {
        let body = format!(
            "vars:\n  v: \"${{{{ {context} }}}}\"\nsteps:\n  - uses: run.note\n    with: {{ text: \"${{{{ vars.v }}}}\" }}\n"
        );
        assert_eq!(problems(&body).len(), 1, "{context}");
        assert!(problems(&body)[0].starts_with("E0207"), "{context}");
    }
}

#[test]
fn each_is_seen_inside_a_foreach_and_nowhere_else() {
    let note = |text: &str, beside: &str| {
        format!("steps:\n  - uses: run.note\n    with: {{ text: \"${{{{ {text} }}}}\" }}\n{beside}")
    };
    let each = "    foreach: [a, b]\n";
    assert_eq!(problems(&note("each.value", each)), [""; 0]);
    assert_eq!(problems(&note("each.value", "")), ["E0207 each"]);
    assert_eq!(problems(&note("each.value", &format!("{each}    if: each.index > 0\n"))), ["E0207 each"]);
    assert_eq!(problems(&note("each.vlaue", each)), ["E0209 vlaue"]);
    assert_eq!(problems(&note("each.previous", each)), [""; 0]);
    assert_eq!(problems(&note("each.previous", &format!("{each}    max_parallel: 1\n"))), [""; 0]);
    assert_eq!(problems(&note("each.previous", &format!("{each}    max_parallel: 2\n"))), ["E0207 previous"]);
    let inside = "steps:\n  - foreach: [a]\n    steps:\n      - uses: run.note\n        foreach: \"[each.value]\"\n        with: { text: \"${{ each.value }}\" }\n";
    assert_eq!(problems(inside), [""; 0]);
    let behind = "steps:\n  - script: 'each.value'\n    foreach: [a]\n  - script: 'each.value'\n";
    assert_eq!(problems(behind), ["E0207 each"]);
}

#[test]
fn a_foreach_goes_through_a_list_so_many_at_a_time() {
    let inputs = "inputs: { n: { type: int }, hosts: { type: list }, s: { type: string } }\n";
    let with = |beside: &str| {
        let body = "    with: { text: \"${{ inputs.n }} ${{ inputs.hosts }} ${{ inputs.s }}\" }\n";
        problems(&format!("{inputs}steps:\n  - uses: run.note\n{body}    {beside}\n"))
    };
    assert_eq!(with("foreach: inputs.hosts"), [""; 0]);
    assert_eq!(with("foreach: inputs.s"), ["E0228 inputs.s"]);
    assert_eq!(with("foreach: 1..=6"), [""; 0]);
    assert_eq!(with("foreach: inputs.hosts\n    max_parallel: \"${{ inputs.n }}\""), [""; 0]);
    assert_eq!(with("foreach: inputs.hosts\n    max_parallel: \"${{ inputs.s }}\""), ["E0228 \"${{ inputs.s }}\""]);
}
