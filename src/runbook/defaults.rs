//! `defaults:` of a file, handed to its calls once it is known what they call: a limit stands only where there
//! is something to limit, a retry only where one is allowed.

use std::sync::Arc;

use crate::runbook::effects::{self, Callees};
use crate::runbook::model::{Block, Body, Defaults, Runbook, Step};
use crate::runbook::sites;

/// The file with its defaults on every `uses` that says nothing itself.
pub fn applied(mut file: Runbook, callees: &dyn Callees) -> Runbook {
    let defaults = std::mem::take(&mut file.defaults);
    if defaults.retry.is_none() && defaults.timeout.is_none() {
        return file;
    }
    for block in [&mut file.steps, &mut file.on_failure, &mut file.finally] {
        *block = in_block(block, &defaults, callees);
    }
    file
}

fn in_block(block: &Block, defaults: &Defaults, callees: &dyn Callees) -> Block {
    block.iter().map(|step| Arc::new(in_step(step, defaults, callees))).collect()
}

fn in_step(step: &Step, defaults: &Defaults, callees: &dyn Callees) -> Step {
    let mut step = step.clone();
    step.body = match &step.body {
        Body::Steps(inner) => Body::Steps(in_block(inner, defaults, callees)),
        Body::Parallel(inner) => Body::Parallel(in_block(inner, defaults, callees)),
        other => other.clone(),
    };
    if let Some(settle) = &mut step.settle {
        settle.steps = in_block(&settle.steps, defaults, callees);
    }
    if let Some(undo) = &mut step.undo {
        undo.block = in_block(&undo.block, defaults, callees);
    }
    if step.timeout.is_none() && defaults.timeout.is_some() && calls_with_attempts(&step, callees) {
        step.timeout.clone_from(&defaults.timeout);
    }
    if step.retry.is_none() && defaults.retry.is_some() && may_be_retried(&step, callees) {
        step.retry = defaults.retry.clone().map(Box::new);
    }
    step
}

/// Whether a step is a call at which attempts are made.
fn calls_with_attempts(step: &Step, callees: &dyn Callees) -> bool {
    matches!(step.body, Body::Uses { .. })
        && sites::of_step(step)
            .iter()
            .any(|site| effects::spec_at(site, callees).is_some_and(|spec| effects::has_attempts(site, spec, callees)))
}

/// Whether a call may have another attempt: a primitive always, what is made of steps only if it has no write that
/// may not be sent again.
fn may_be_retried(step: &Step, callees: &dyn Callees) -> bool {
    let primitive = |site: &sites::Site<'_>| site.child().is_none() && !callees.is_yaml(site.name);
    calls_with_attempts(step, callees)
        && (sites::of_step(step).iter().all(primitive) || effects::first_unrepeatable(step, callees).is_none())
}

#[cfg(test)]
mod tests {
    use crate::runbook::model::Step;
    use crate::runbook::testing::Shelf;

    /// The time limit and the attempts of a step.
    fn limits(step: &Step) -> (bool, Option<u32>) {
        (step.timeout.is_some(), step.retry.as_ref().map(|retry| retry.attempts))
    }

    fn steps(body: &str) -> Vec<(bool, Option<u32>)> {
        let write = "inputs: { url: { type: url, default: \"https://a.example\" } }\nsteps:\n  - uses: change.it\n    with: { url: \"${{ inputs.url }}\" }\n";
        let shelf = Shelf::default()
            .action("reads", "steps:\n  - uses: look.at\n    with: { url: \"https://a.example\" }\n")
            .action("writes", write)
            .action("sets", &write.replace("change.it", "set.it"))
            .runbook("look-around", "steps:\n  - uses: reads\n");
        let text = format!("defaults: {{ timeout: 20s, retry: {{ attempts: 3 }} }}\nsteps:\n{body}");
        let (program, problems) = shelf.load(&text);
        let program = program.unwrap_or_else(|| panic!("{}", crate::runbook::problem::render(&problems, false)));
        program.runbook.steps.iter().map(|step| limits(step)).collect()
    }

    const URL: &str = "with: { url: \"https://a.example\" }";

    #[test]
    fn every_call_gets_them_that_says_nothing_itself() {
        let own = "    timeout: 5s\n    retry: { attempts: 1 }\n";
        assert_eq!(steps(&format!("  - uses: look.at\n    {URL}\n")), [(true, Some(3))]);
        assert_eq!(steps(&format!("  - uses: look.at\n    {URL}\n{own}")), [(true, Some(1))]);
        assert_eq!(steps(&format!("  - uses: change.it\n    {URL}\n")), [(true, Some(3))]);
        assert_eq!(steps("  - script: '1'\n"), [(false, None)]);
        assert_eq!(steps("  - uses: runbook\n    with: { name: look-around }\n"), [(true, Some(3))]);
    }

    #[test]
    fn they_stand_only_where_they_may() {
        assert_eq!(steps("  - uses: run.note\n    with: { text: x }\n"), [(false, None)]);
        assert_eq!(steps("  - uses: time.sleep\n    with: { duration: 5s }\n"), [(false, None)]);
        assert_eq!(steps("  - uses: human.ask\n    with: { text: well? }\n"), [(false, None)]);
        assert_eq!(steps("  - uses: reads\n"), [(true, Some(3))]);
        assert_eq!(steps("  - uses: sets\n"), [(true, Some(3))]);
        assert_eq!(steps("  - uses: writes\n"), [(true, None)]);
    }

    #[test]
    fn steps_inside_groups_and_of_an_action_s_own_file_get_them_too() {
        let shelf = Shelf::default().action(
            "reads",
            "defaults: { timeout: 7s }\nsteps:\n  - parallel:\n      - uses: look.at\n        with: { url: \"https://a.example\" }\n",
        );
        let (program, _) = shelf.load("steps:\n  - uses: reads\n");
        let program = program.unwrap();
        assert_eq!(limits(&program.runbook.steps[0]), (false, None));
        let inside = program.actions["reads"].steps[0].body.inner().unwrap()[0].clone();
        assert_eq!(limits(&inside), (true, None));
    }
}
