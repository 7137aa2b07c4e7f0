//! May a called runbook begin beside other runs? Its group is held already, or the driver is asked for it.

use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::machine::groups::{Wanted, text_of};
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::Scope;
use crate::engine::walk::{Progress, limits};
use crate::runbook::model::IfBusy;
use crate::script::value::Value;

/// Lets the runbook of `scope`, called at `path`, begin; or says what the call comes to instead. Pending while others
/// hold its group. That uses up the limits of the call: how long to wait is its author's to say.
pub(crate) fn enter(env: &mut Env, path: &StepPath, scope: &Scope) -> Progress<Option<Attempt>> {
    let Some(concurrency) = &scope.runbook.concurrency else { return Progress::Ended(None) };
    if env.is_rehearsal() {
        return Progress::Ended(None);
    }
    let group = match text_of(concurrency, &env.evaluator(scope, None)) {
        Ok(group) => group,
        Err(failure) => return Progress::Ended(Some(Attempt::failed(failure))),
    };
    if env.facts.holds(&group) {
        return Progress::Ended(None);
    }
    if env.stopping() {
        return Progress::Ended(Some(limits::stopped(env, path, limits::Inside::Below(path))));
    }
    let queued = env.facts.step(path).and_then(|record| record.queued.as_ref());
    if let Some(queued) = queued.filter(|queued| queued.circle || concurrency.if_busy != IfBusy::Wait) {
        let message = format!("`{group}` {}; nothing of `{}` was started", queued.said, scope.runbook.name);
        let failure = Failure::transient(FailureKind::Busy, message);
        return Progress::Ended(Some(Attempt {
            outcome: Outcome::Refused,
            outputs: Value::Null,
            failure: Some(failure),
        }));
    }
    let wanted = Wanted { step: path.clone(), group, if_busy: concurrency.if_busy };
    env.decided.waits.groups.push(wanted);
    Progress::Pending
}
