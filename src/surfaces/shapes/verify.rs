//! Whether a journal is what was written, and what was signed: for programs and for people. Additive only.

use serde_json::{Value as Json, json};

use crate::runs::{Checkpoint, VerifyReport};
use crate::surfaces::shapes::lines::{of_lines, to_lines};
use crate::transcript::text::Mark;
use crate::transcript::{Line, Marks, Tone, words};

/// What a check of the journal says, in every form in which it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub clean: bool,
    pub json: Json,
    /// What is not as it was written.
    pub damage: Vec<Line>,
    pub remarks: Vec<String>,
    /// What was counted, what is proven by it, and what isn't.
    pub lines: Vec<Line>,
}

impl Verified {
    /// Reads a report.
    pub fn of(report: &VerifyReport, marks: Marks) -> Verified {
        Verified {
            clean: report.is_clean(),
            json: of_report(report),
            damage: damage(report, marks),
            remarks: report.remarks.clone(),
            lines: lines(report, marks),
        }
    }

    /// The plain object with everything else beside it, under `told`.
    pub fn to_json(&self) -> Json {
        let mut json = self.json.clone();
        json["told"] = json!({ "damage": of_lines(&self.damage), "lines": of_lines(&self.lines) });
        json
    }

    /// The same again from what [`Verified::to_json`] gave.
    pub fn read(mut json: Json) -> Verified {
        let told = json.as_object_mut().and_then(|object| object.remove("told")).unwrap_or_default();
        let remarks = json["remarks"].as_array().into_iter().flatten().filter_map(Json::as_str);
        Verified {
            clean: json["clean"] == true,
            damage: to_lines(&told["damage"]),
            remarks: remarks.map(str::to_owned).collect(),
            lines: to_lines(&told["lines"]),
            json,
        }
    }
}

fn damage(report: &VerifyReport, marks: Marks) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |what: &str, why: &str| {
        let line = Line::of(Tone::Bad, marks.sign(Mark::Failed)).add(Tone::Plain, " ");
        lines.push(line.add(Tone::Strong, what).add(Tone::Plain, &format!(": {why}")));
    };
    for run in &report.damaged {
        run.why.iter().for_each(|why| say(&format!("run {} ({})", run.number, run.run), why));
    }
    report.store.iter().for_each(|why| say("journal", why));
    for kept in &report.kept {
        let claim = &kept.checkpoint.claim;
        kept.why.iter().for_each(|why| say(&format!("checkpoint {} of {}", claim.number, claim.at), why));
    }
    lines
}

fn lines(report: &VerifyReport, marks: Marks) -> Vec<Line> {
    let count = |count: u64, noun: &str| words::count(usize::try_from(count).unwrap_or(usize::MAX), noun);
    let counts = format!(
        "{}, {}, {}, {}",
        count(report.runs, "run"),
        count(report.events, "event"),
        count(report.blobs, "blob"),
        count(report.checkpoints, "signed checkpoint"),
    );
    let mut lines = vec![match report.is_clean() {
        true => Line::of(Tone::Good, marks.sign(Mark::Done))
            .add(Tone::Plain, " ")
            .add(Tone::Plain, &format!("{counts}: all as they were written")),
        false => Line::of(Tone::Plain, &format!("{counts} checked")),
    }];
    let head = match &report.run_head {
        Some((seq, hash)) => format!("head: event {seq}, {hash}"),
        None => format!("head: run {}, {}", report.head.number, report.head.prev),
    };
    lines.push(Line::of(Tone::Dim, &head));
    lines.extend(report.key.as_ref().map(|key| Line::of(Tone::Dim, &format!("key: {key}"))));
    for (heading, tone, said) in
        [("proven:", Tone::Good, report.proven()), ("not proven:", Tone::Warn, report.not_proven())]
    {
        if !said.is_empty() {
            lines.push(Line::of(tone, heading));
        }
        lines.extend(said.iter().map(|text| Line::of(Tone::Plain, &format!("  {text}"))));
    }
    lines
}

/// What was checked, for programs.
pub fn of_report(report: &VerifyReport) -> Json {
    let damaged: Vec<_> =
        report.damaged.iter().map(|run| json!({ "number": run.number, "id": run.run, "why": run.why })).collect();
    let kept: Vec<_> = report
        .kept
        .iter()
        .map(|kept| {
            let mut json = of_checkpoint(&kept.checkpoint);
            json["why"] = json!(kept.why);
            json
        })
        .collect();
    json!({
        "clean": report.is_clean(),
        "runs": report.runs,
        "events": report.events,
        "blobs": report.blobs,
        "checkpoints": report.checkpoints,
        "pruned": report.pruned,
        "key": report.key.as_ref().map(ToString::to_string),
        "damaged": damaged,
        "journal": report.store,
        "kept": kept,
        "remarks": report.remarks,
        "head": { "number": report.head.number, "hash": report.head.prev },
        "run_head": report.run_head.as_ref().map(|(seq, hash)| json!({ "seq": seq, "hash": hash.to_string() })),
        "proven": report.proven(),
        "not_proven": report.not_proven(),
    })
}

/// A checkpoint as one plain object.
pub fn of_checkpoint(signed: &Checkpoint) -> Json {
    let claim = &signed.claim;
    json!({
        "line": signed.to_string(),
        "number": claim.number,
        "run": claim.run.short(),
        "id": claim.run.uuid(),
        "events": claim.events,
        "head": claim.head.to_string(),
        "at": claim.at.to_string(),
        "key": claim.store.to_string(),
        "pruned": claim.gone.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_verified_comes_back_as_it_was() {
        let verified = Verified {
            clean: false,
            json: json!({ "clean": false, "remarks": ["the newest run may be missing"] }),
            damage: vec![Line::of(Tone::Bad, "x").add(Tone::Strong, "run 3")],
            remarks: vec!["the newest run may be missing".to_owned()],
            lines: vec![Line::of(Tone::Dim, "head: run 3")],
        };
        assert_eq!(Verified::read(verified.to_json()), verified);
    }
}
