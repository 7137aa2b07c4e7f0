//! The file of a saved plan: JSON whose every byte is signed with the store's key.
//!
//! The signature is the last field and stands over all that is before it, so an edit anywhere shows, and what people
//! and `jq` read is what was signed.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::engine::event::ENGINE_SEMANTICS;
use crate::engine::plan::SavedPlan;
use crate::journal::{Signature, StoreKey};
use crate::runs::error::{ErrorKind, RunsError};

/// Version of the form of the file.
const FORM: u64 = 1;

/// The field by which a file is known as a plan; its value is [`FORM`].
const MARK: &str = "rerail_plan";

/// What is signed begins with this, so that no signature of another kind passes for one of a plan.
const PURPOSE: &[u8] = b"rerail plan\n";

/// Bytes of a plan: ten thousand writes of some size. What is larger nobody has read before they agreed.
pub const PLAN_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Whole<P> {
    rerail_plan: u64,
    key: String,
    plan: P,
}

/// The text of a plan, signed.
///
/// # Errors
/// If it is larger than [`PLAN_BYTES_MAX`].
pub(super) fn write(plan: &SavedPlan, key: &StoreKey) -> Result<String, RunsError> {
    let whole = Whole { rerail_plan: FORM, key: key.public().to_string(), plan };
    let text = serde_json::to_string_pretty(&whole)
        .map_err(|error| RunsError::new(ErrorKind::Internal, format!("the plan can't be written down: {error}")))?;
    let signed = text.strip_suffix("\n}").unwrap_or(&text);
    let text = format!("{signed}{}", tail(&key.sign(&message(signed))));
    if text.len() as u64 > PLAN_BYTES_MAX {
        let said = format!("the plan has {} bytes, and {PLAN_BYTES_MAX} can be saved", text.len());
        return Err(RunsError::new(ErrorKind::Usage, said).hint("plan less at once: fewer items of a loop"));
    }
    Ok(text)
}

/// Reads a plan that the store with this key has made and nobody has changed.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is none, or was edited, or is of another store; [`ErrorKind::Stale`] if a rerail made
/// it for which runbooks mean something else.
pub(super) fn read(shown: &str, text: &str, key: &StoreKey) -> Result<SavedPlan, RunsError> {
    let refused = |why: &str| RunsError::new(ErrorKind::Invalid, format!("`{shown}` {why}"));
    let again = "make it again:  rerail plan RUNBOOK … --out FILE";
    let json: Json =
        serde_json::from_str(text).map_err(|error| refused(&format!("is no plan: {error}")).hint(again))?;
    match json.get(MARK).and_then(Json::as_u64) {
        Some(FORM) => {}
        Some(form) => {
            let said = format!("is a plan of form {form}, and this rerail knows {FORM}");
            return Err(refused(&said).hint("apply it with the rerail that made it"));
        }
        None => return Err(refused(&format!("is no plan: it has no `{MARK}`")).hint(again)),
    }
    let own = key.public().to_string();
    match json.get("key").and_then(Json::as_str) {
        Some(known) if known == own => {}
        other => {
            let said =
                format!("was made with another store: its key is {}, this one is {own}", other.unwrap_or("none"));
            let hint = "--state-dir DIR names the store it was made with; else make it again here";
            return Err(refused(&said).hint(hint));
        }
    }
    let signature: Option<Signature> =
        json.get("signature").and_then(Json::as_str).and_then(|signature| signature.parse().ok());
    let signed = signature.and_then(|signature| {
        let signed = text.strip_suffix(&tail(&signature))?;
        key.public().verify(&message(signed), &signature).then_some(signed)
    });
    if signed.is_none() {
        let said = "is not as rerail wrote it: it was edited, or cut, or copied as something else than bytes";
        return Err(refused(said).hint(again));
    }
    let semantics = json.pointer("/plan/semantics").and_then(Json::as_u64);
    if semantics != Some(u64::from(ENGINE_SEMANTICS)) {
        let found = semantics.map_or_else(|| "none".to_owned(), |found| found.to_string());
        let said = format!(
            "`{shown}` was made by engine semantics {found}, this rerail has {ENGINE_SEMANTICS}: a runbook may mean something else"
        );
        return Err(RunsError::new(ErrorKind::Stale, said).hint(again));
    }
    let whole: Whole<SavedPlan> =
        serde_json::from_str(text).map_err(|error| refused(&format!("has what this rerail doesn't know: {error}")))?;
    Ok(whole.plan)
}

/// What stands behind what is signed.
fn tail(signature: &Signature) -> String {
    format!(",\n  \"signature\": \"{signature}\"\n}}\n")
}

fn message(signed: &str) -> Vec<u8> {
    [PURPOSE, signed.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::event::Actor;
    use crate::engine::ids::RunId;
    use crate::engine::outcome::Outcome;
    use crate::engine::plan::{Radius, Seen};
    use crate::script::value::Value;

    fn plan() -> SavedPlan {
        SavedPlan {
            semantics: ENGINE_SEMANTICS,
            rerail: "0.1.0".into(),
            run: RunId::new("01938f5e-7b00-7000-8000-0123456789ab".parse().unwrap()),
            made_at: "2026-11-21T14:00:00Z".parse().unwrap(),
            expires: "2026-11-21T15:00:00Z".parse().unwrap(),
            by: Actor::new("ana", "test"),
            asked: "fix".into(),
            runbook: "fix".into(),
            title: "Put it right".into(),
            target: None,
            root: "/srv/runbooks".into(),
            inputs: BTreeMap::from([("ratio".into(), Value::Float(0.1))]),
            reason: None,
            incident: None,
            files: vec![],
            reads: vec![Seen {
                step: "look".into(),
                uses: "http.probe".into(),
                outcome: Outcome::Done,
                fingerprint: "00".into(),
                leaves: BTreeMap::from([("text".into(), "\"ü\u{2028}\\\"\"".into())]),
            }],
            changes: vec![],
            open: vec![],
            if_it_fails: vec![],
            complete: true,
            radius: Radius::default(),
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_was_and_only_to_its_own_store() {
        let key = StoreKey::ephemeral();
        let text = write(&plan(), &key).unwrap();
        assert_eq!(read("a.plan", &text, &key).unwrap(), plan());
        let other = read("a.plan", &text, &StoreKey::ephemeral()).unwrap_err();
        assert!(other.kind == ErrorKind::Invalid && other.message.contains("another store"), "{other}");
    }

    #[test]
    fn a_plan_with_any_byte_changed_missing_or_added_is_refused() {
        let key = StoreKey::ephemeral();
        let text = write(&plan(), &key).unwrap();
        let bytes = text.as_bytes();
        let read = |bytes: &[u8]| std::str::from_utf8(bytes).map(|text| read("a.plan", text, &key).map(|_| ()));
        for at in 0..bytes.len() {
            for flipped in [1, 0x20] {
                let mut edited = bytes.to_vec();
                edited[at] ^= flipped;
                assert!(!matches!(read(&edited), Ok(Ok(()))), "byte {at} of\n{text}");
            }
            let mut cut = bytes.to_vec();
            cut.remove(at);
            assert!(!matches!(read(&cut), Ok(Ok(()))), "without byte {at}");
        }
        for added in
            [format!(" {text}"), format!("{text}\n"), text.replace("  \"plan\"", "  \"plan\": {},\n  \"plan\"")]
        {
            assert!(read(added.as_bytes()).unwrap().is_err());
        }
    }

    #[test]
    fn what_is_no_plan_is_told_from_one_of_another_version() {
        let key = StoreKey::ephemeral();
        for (text, says) in [
            ("", "is no plan"),
            ("version: 1", "is no plan"),
            ("{}", "has no `rerail_plan`"),
            ("{\"rerail_plan\": 2}", "form 2"),
            ("{\"rerail_plan\": 1}", "another store"),
        ] {
            let error = read("a.plan", text, &key).unwrap_err();
            assert!(error.kind == ErrorKind::Invalid && error.message.contains(says), "{text}: {error}");
        }
        let newer = SavedPlan { semantics: ENGINE_SEMANTICS + 1, ..plan() };
        let error = read("a.plan", &write(&newer, &key).unwrap(), &key).unwrap_err();
        assert!(error.kind == ErrorKind::Stale && error.message.contains("semantics"), "{error}");
    }
}
