use crate::runbook::spec::Effect;
use crate::runbook::testing::{Shelf, problems};

const URL: &str = "with: { url: \"https://a.example\" }";

fn read_of(id: &str) -> String {
    format!("  - id: {id}\n    uses: look.at\n    {URL}\n")
}

#[test]
fn a_run_takes_back_what_is_over() {
    let note = "steps:\n  - uses: run.note\n    with: { text: x }\n";
    for block in ["on_failure", "finally"] {
        assert_eq!(problems(&format!("{note}{block}:\n  - uses: run.undo\n")), [""; 0], "{block}");
        let looped = format!("{note}{block}:\n  - foreach: [1]\n    uses: run.undo\n");
        assert_eq!(problems(&looped), ["E0236 run.undo"], "{block}");
        let called = format!("{note}{block}:\n  - script: 'run::undo(#{{}})'\n");
        assert_eq!(problems(&called), ["E0236 run"], "{block}");
    }
    assert_eq!(problems("steps:\n  - uses: run.undo\n"), ["E0236 run.undo"]);
}

/// A step `made` that writes, with this below its `undo`.
fn undone_by(undo: &str) -> String {
    let undo = undo.replace('\n', "\n      ");
    format!("{}  - id: made\n    uses: change.it\n    {URL}\n    undo:\n      {undo}\n", read_of("before"))
}

#[test]
fn an_undo_sees_what_its_step_sees_and_what_it_gave() {
    let of = |undo: &str| problems(&format!("steps:\n{}{}", undone_by(undo), read_of("after")));
    let seen = "uses: change.it\nwith: { url: \"https://a.example/${{ steps.before.outputs.status }}/${{ steps.made.outputs.status }}\" }";
    assert_eq!(of(seen), [""; 0]);
    assert_eq!(of("script: steps.after.outputs.ok"), ["E0204 after"]);
    assert_eq!(of("script: steps.made.outputs.okay"), ["E0205 okay"]);
    assert_eq!(of("uses: change.it\nwith: { uri: x }"), ["E0202 uri"]);
    assert_eq!(of("uses: change.itt"), ["E0201 change.itt"]);
    let inside = format!("steps:\n  - id: first\n    uses: look.at\n    {URL}\n  - script: steps.first.outputs.ok");
    assert_eq!(of(&inside), [""; 0]);
    assert_eq!(of(&format!("{inside} && steps.before.outputs.ok && steps.made.outputs.ok")), [""; 0]);
    let behind = format!("steps:\n{}  - script: steps.first.outputs.ok\n", undone_by(&inside));
    assert_eq!(problems(&behind), ["E0204 first"]);
}

#[test]
fn an_undo_takes_one_item_back() {
    let body = "steps:\n  - id: all\n    foreach: [1, 2]\n    uses: change.it\n    with: { url: \"https://a.example/${{ each.value }}\" }\n    undo:\n      uses: change.it\n      with: { url: \"https://a.example/${{ each.value }}/${{ steps.all.outputs.status }}\" }\n";
    assert_eq!(problems(body), [""; 0]);
    assert_eq!(problems(&body.replace("outputs.status", "outputs[0].status")), [""; 0]);
    assert_eq!(problems(&body.replace("outputs.status", "outputs.nope")), ["E0205 nope"]);
}

#[test]
fn an_undo_stands_where_something_is_written_and_is_not_taken_back_itself() {
    let undo = "    undo: { script: '1' }\n";
    assert_eq!(problems(&format!("steps:\n{}{undo}", read_of("only"))), ["E0231 script"]);
    let group = format!("steps:\n  - steps:\n      - id: made\n        uses: change.it\n        {URL}\n{undo}");
    assert_eq!(problems(&group), [""; 0]);
    assert_eq!(problems(&group.replace("change.it", "look.at")), ["E0231 script"]);
    assert_eq!(problems(&group.replace("change.it", "change.itt")), ["E0201 change.itt"]);
    assert_eq!(
        problems(&format!("steps:\n  - script: 'change::it(#{{ url: \"https://a.example\" }})'\n{undo}")),
        [""; 0]
    );
    let nested = "steps:\n  - id: inner\n    uses: change.it\n    with: { url: \"https://a.example\" }\n    undo: { script: '1' }";
    assert_eq!(problems(&format!("steps:\n{}", undone_by(nested))), ["E0236 script"]);
    assert_eq!(problems(&format!("steps:\n{}", undone_by("uses: run.undo"))), ["E0236 run.undo"]);
}

#[test]
fn what_an_undo_may_do_counts_for_a_run_only_if_it_takes_itself_back() {
    let shelf = Shelf::default()
        .action(
            "own",
            &format!(
                "inputs: {{ u: {{ type: string, default: x }} }}\nsteps:\n{}",
                undone_by("uses: runbook\nwith: { name: breaks }")
            ),
        )
        .runbook(
            "breaks",
            "steps:\n  - uses: change.it\n    with: { url: \"https://a.example\" }\n    effect: destructive\n",
        );
    let effects = |body: &str| shelf.load(body).0.map(|program| program.effects);
    let plain = effects("steps:\n  - uses: own\n").unwrap();
    assert_eq!(plain.last(), Some(&Effect::Write));
    let back = effects("steps:\n  - uses: own\non_failure:\n  - uses: run.undo\n").unwrap();
    assert_eq!(back.last(), Some(&Effect::Destructive));
    let program = shelf.load("steps:\n  - uses: own\n").0.unwrap();
    assert!(program.children.contains_key("breaks"), "what takes back is pinned as well");
}
