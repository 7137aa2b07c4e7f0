//! What a hostile target, file or person can say, and a run in which it stands in every place: one corpus for every
//! form in which a run is shown.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::engine::change::Change;
use crate::engine::event::{Actor, ApprovalRequested, Body, Decision, Suggest};
use crate::engine::outcome::{Failure, FailureKind, Outcome};
use crate::runbook::approval::{Need, OnExpiry};
use crate::runbook::model::Level;
use crate::runbook::render::is_invisible;
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::Map;
pub(crate) use crate::transcript::corpus::{CORPUS, assert_inert};
use crate::transcript::story::{Story, map};

/// A run of whose every text somebody else is the author.
pub(crate) fn run(evil: &str) -> Story {
    let mut story = Story::begun();
    let failure = Failure { picture: evil.into(), values: map(json!({ evil: evil })), ..failed(evil) };
    let step = format!("s{evil}");
    story.starts(&step, Some(evil), "uses", Effect::Write, json!({ "url": evil, evil: evil }));
    story.ends(&step, Outcome::Failed, json!({ evil: evil }), Some(failure));
    story.tell(Body::StepSkipped {
        step: format!("k{evil}").as_str().into(),
        condition: evil.into(),
        values: map(json!({ evil: evil })),
    });
    story.starts("script", None, "script", Effect::Pure, json!({}));
    story.tell(Body::Log { step: "script".into(), text: evil.into() }).done("script", json!({ evil: [evil] }));
    let suggest = Suggest { runbook: evil.into(), with: map(json!({ evil: evil })) };
    story.finds("f", Level::Critical, evil, Some(suggest)).asks("q", evil).answered("q", evil, evil);
    let actor = Actor::new(evil, evil);
    story.write("doubt").ends("doubt", Outcome::InDoubt, Json::Null, Some(failed(evil)));
    let (step, decision) = ("doubt".into(), Decision::Done);
    story.tell(Body::OutcomeSet { step, decision, outputs: Map::new(), actor: actor.clone(), reason: evil.into() });
    approvals(&mut story, evil, &actor);
    story.tell(Body::Note { text: format!("TODO: {evil}"), actor: Some(actor.clone()), step: None });
    story.tell(Body::RunCancelled { actor, reason: Some(evil.into()) });
    story.tell(Body::RunPaused { reason: evil.into(), actor: None });
    story.failed_at(&format!("s{evil}"), evil);
    story
}

/// One that was given, then one that was rejected, at a step of this name.
fn approvals(story: &mut Story, evil: &str, actor: &Actor) {
    let with = map(json!({ "url": evil, evil: evil }));
    let change = Change {
        step: evil.into(),
        uses: evil.into(),
        effect: Effect::Write,
        repeat: Repeat::Once,
        digest: evil.into(),
        with,
        summary: evil.into(),
        detail: vec![evil.into()],
        before: evil.into(),
        after: evil.into(),
        reversible: evil.into(),
        vague: false,
        maybe: true,
    };
    let request = ApprovalRequested {
        step: format!("a{evil}").as_str().into(),
        needs: vec![Need::of(evil)],
        message: evil.into(),
        changes: vec![change],
        complete: false,
        change: evil.into(),
        expires: Timestamp::MAX,
        remind_ms: 1,
        on_expiry: OnExpiry::Fail,
        single: true,
        policy: false,
    };
    let (step, digest) = (request.step.clone(), request.change.clone());
    story.tell(Body::ApprovalRequested(Box::new(request.clone())));
    story.tell(Body::ApprovalReminded { step: step.clone(), change: digest.clone(), times: 1 });
    let (actor, shown) = (actor.clone(), Some(evil.to_owned()));
    let given = Body::ApprovalGiven { step, change: digest, actor: actor.clone(), at: None, shown, single: true };
    story.tell(given);
    let (step, change) = (request.step.clone(), request.change.clone());
    story.tell(Body::ApprovalVoid { step, change, why: evil.into() });
    story.tell(Body::ApprovalRequested(Box::new(request.clone())));
    story.tell(Body::ApprovalRejected { step: request.step, change: request.change, actor, reason: evil.into() });
}

fn failed(message: &str) -> Failure {
    Failure::new(FailureKind::Status, message)
}

/// Panics if a reader's screen would obey, hide or reorder something.
#[track_caller]
pub(crate) fn assert_plain(text: &str) {
    let bad = |c: char| c != '\n' && (c.is_control() || is_invisible(c));
    let found: Vec<char> = text.chars().filter(|c| bad(*c)).collect();
    assert!(found.is_empty(), "{found:?} in {text}");
}
