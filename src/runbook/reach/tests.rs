use super::*;
use crate::runbook::testing::{Shelf, problems};

const LOOK: &str = "steps:\n  - uses: look.at\n    with: { url: \"https://a.example\" }\n";

/// Actions `a1` … `aN`, each calling the next.
fn chain(levels: usize) -> Shelf {
    let mut shelf = Shelf::default();
    for level in 1..=levels {
        let body = if level == levels { LOOK.to_owned() } else { format!("steps:\n  - uses: a{}\n", level + 1) };
        shelf = shelf.action(&format!("a{level}"), &body);
    }
    shelf
}

#[test]
fn sixteen_levels_of_actions_are_allowed_and_seventeen_are_told_once() {
    assert_eq!(chain(ACTION_DEPTH_MAX).problems("steps:\n  - uses: a1\n"), [""; 0]);
    assert_eq!(chain(ACTION_DEPTH_MAX + 1).problems("steps:\n  - uses: a1\n"), ["E0224 a17"]);
}

#[test]
fn depth_counts_also_when_the_deep_part_was_read_before() {
    let body = "steps:\n  - uses: a2\n  - uses: a1\n";
    assert_eq!(chain(ACTION_DEPTH_MAX + 1).problems(body), ["E0224 a2"]);
}

#[test]
fn a_chain_of_thousands_ends_in_an_error_not_in_the_stack() {
    assert_eq!(chain(5_000).problems("steps:\n  - uses: a1\n"), ["E0224 a17"]);
}

#[test]
fn steps_of_actions_count_as_often_as_they_are_called() {
    let hundred = "  - uses: run.note\n    with: { text: x }\n".repeat(100);
    let shelf = Shelf::default().action("hundred", &format!("steps:\n{hundred}"));
    let calls = |n: usize| format!("steps:\n{}", "  - uses: hundred\n".repeat(n));
    assert_eq!(shelf.problems(&calls(99)), [""; 0]);
    assert_eq!(shelf.problems(&calls(100)).len(), 1);
    assert!(shelf.problems(&calls(100))[0].starts_with("E0225"));
}

#[test]
fn steps_that_double_at_every_level_are_counted_without_being_walked() {
    let mut shelf = Shelf::default().action("a16", LOOK);
    for level in 1..16 {
        let next = level + 1;
        let ten = format!("  - uses: a{next}\n").repeat(10);
        shelf = shelf.action(&format!("a{level}"), &format!("steps:\n{ten}"));
    }
    let found = shelf.problems("steps:\n  - uses: a1\n");
    assert_eq!(found.len(), 1, "told once, where the limit is passed: {found:?}");
    assert!(found[0].starts_with("E0225"));
}

#[test]
fn the_effect_of_an_action_is_the_greatest_of_its_steps() {
    let shelf = Shelf::default().action("reads", LOOK).action(
        "writes",
        "steps:\n  - uses: reads\n  - script: |\n      change::it(#{ url: \"https://a.example\", method: \"POST\" })\n",
    );
    let (program, _) = shelf.load("steps:\n  - uses: writes\n");
    let program = program.unwrap();
    assert_eq!(program.specs["reads"].effect, Effect::Read);
    assert_eq!(program.specs["writes"].effect, Effect::Write);
    assert_eq!(program.effects, [Effect::Pure, Effect::Read, Effect::Write]);
}

#[test]
fn only_a_literal_method_lowers_the_effect() {
    let effects =
        |script: &str| Shelf::default().load(&format!("steps:\n  - script: |\n      {script}\n")).0.unwrap().effects;
    assert_eq!(effects("change::it(#{ url: \"https://a.example\", method: \"GET\" })"), [Effect::Pure, Effect::Read]);
    assert_eq!(
        effects("let m = \"GET\"; change::it(#{ url: \"https://a.example\", method: m })"),
        [Effect::Pure, Effect::Write]
    );
    assert_eq!(
        effects("let all = #{ url: \"https://a.example\", method: \"GET\" }; change::it(all)"),
        [Effect::Pure, Effect::Write]
    );
}

#[test]
fn a_local_variable_does_not_hide_the_effect_of_an_action() {
    let body = "steps:\n  - script: |\n      let change = 1;\n      change::it(#{ url: \"https://a.example\", tag: change })\n";
    assert_eq!(problems(body), ["E0202 tag"]);
}

#[test]
fn an_action_s_inputs_are_its_arguments() {
    let shelf = Shelf::default().action(
        "with_inputs",
        "inputs:\n  n: { type: int, default: 3, description: How many }\n  url: { type: url }\nsteps:\n  - uses: look.at\n    with: { url: \"${{ inputs.url }}\", tries: \"${{ inputs.n }}\" }\noutputs:\n  seen: 1\n",
    );
    let (program, problems) = shelf.load("steps:\n  - uses: with_inputs\n    with: { url: \"https://a.example\" }\n");
    assert!(problems.is_empty(), "{problems:?}");
    let spec = program.unwrap().specs["with_inputs"].clone();
    let args: Vec<_> = spec.args.iter().map(|arg| (arg.name.as_str(), arg.required, arg.doc.as_str())).collect();
    assert_eq!(args, [("n", false, "How many"), ("url", true, "")]);
    assert_eq!(spec.outputs[0].name, "seen");
}

#[test]
fn an_action_without_outputs_gives_none() {
    let shelf = Shelf::default().action("reads", LOOK);
    let body =
        "steps:\n  - id: r\n    uses: reads\n  - uses: run.note\n    with: { text: \"${{ steps.r.outputs.x }}\" }\n";
    assert_eq!(shelf.problems(body), ["E0205 x"]);
}

#[test]
fn a_circle_of_three_names_all_three() {
    let shelf = Shelf::default()
        .action("a", "steps:\n  - uses: b\n")
        .action("b", "steps:\n  - script: c(#{})\n")
        .action("c", "steps:\n  - uses: a\n");
    let (program, problems) = shelf.load("steps:\n  - uses: a\n");
    assert!(program.is_none());
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("a → b → c → a"), "{}", problems[0].message);
}

#[test]
fn a_mistake_in_an_action_that_two_others_call_is_told_once() {
    let shelf = Shelf::default()
        .action("leaf", "inputs:\n  idle: { type: string, default: x }\nsteps:\n  - uses: unheard.of\n")
        .action("one", "steps:\n  - uses: leaf\n")
        .action("two", "steps:\n  - uses: leaf\n");
    let found = shelf.problems("steps:\n  - uses: one\n  - uses: two\n");
    assert_eq!(found, ["W0403 idle", "E0201 unheard.of"]);
}

#[test]
fn modules_are_pinned_with_what_they_import() {
    let shelf = Shelf::default()
        .module("top", "import \"base\" as base;\nexport const N = 3;\nfn twice(x) { base::double(x) }\n")
        .module("base", "fn double(x) { x * 2 }\n");
    let (program, problems) = shelf.load("steps:\n  - script: |\n      import \"top\" as top;\n      top::twice(2)\n");
    assert!(problems.is_empty(), "{problems:?}");
    let paths: Vec<String> = program.unwrap().modules.into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["base", "top"]);
}

#[test]
fn a_chain_of_thousands_of_modules_ends_in_an_error() {
    let mut shelf = Shelf::default();
    for n in 0..3_000 {
        shelf = shelf.module(&format!("m{n}"), &format!("import \"m{}\" as next;\nfn f() {{ 1 }}\n", n + 1));
    }
    let found = shelf.problems("steps:\n  - script: |\n      import \"m0\" as m;\n      m::f()\n");
    assert_eq!(found, ["E0224 \"m16\""]);
}

#[test]
fn only_what_is_reached_is_pinned() {
    let shelf = Shelf::default().action("reads", LOOK).action("never", LOOK);
    let (program, _) = shelf.load("steps:\n  - uses: reads\n");
    let program = program.unwrap();
    assert_eq!(program.actions.keys().collect::<Vec<_>>(), ["reads"]);
    assert_eq!(program.specs.keys().collect::<Vec<_>>(), ["look.at", "reads"]);
}
