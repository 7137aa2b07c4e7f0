//! Keys of test files: what a runbook is answered, and what it should come to.

use crate::runbook::cases;
use crate::runbook::lower_steps;
use crate::runbook::schema::form::{Form, words};
use crate::runbook::schema::table::{Definition, row};

const OUTCOMES: [&str; 5] = words(&cases::OUTCOMES);
const DECISIONS: [&str; 4] = words(&cases::DECIDED);
const LEVELS: [&str; 4] = words(&lower_steps::LEVELS);

const INPUTS: &str = "Values for the inputs; `{ $secret: NAME }` is a secret of that name.";
const TARGET: &str = "A target of the project by name, or what one says, written out.";
const OPERATOR: &str = "Who starts the run; `tester` without it.";
const AT: &str = "The moment the run starts, such as 2026-01-05T03:00:00Z.";
const MOCKS: &str =
    "What answers, by step path or action: outputs, a list of answers in turn, or answers by arguments.";

pub(super) const FILE: Definition = Definition {
    name: "test_file",
    doc: "Tests of the runbook or action beside it: `NAME.test.yaml` tests `NAME.yaml`.",
    keys: &cases::FILE,
    required: &["version", "tests"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("version", Form::Version, "Version of the language: 1."),
        row("inputs", Form::With, INPUTS),
        row("target", Form::TextOrAny, TARGET),
        row("operator", Form::Text, OPERATOR),
        row("at", Form::Text, AT),
        row("mocks", Form::Answers("mock"), MOCKS),
        row("tests", Form::List("test"), "The tests; what stands above is for all of them."),
    ],
};

pub(super) const TEST: Definition = Definition {
    name: "test",
    doc: "One run in a world that only answers.",
    keys: &cases::TEST,
    required: &["name"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("name", Form::Text, "What it proves, in one line."),
        row("inputs", Form::With, INPUTS),
        row("target", Form::TextOrAny, TARGET),
        row("operator", Form::Text, OPERATOR),
        row("at", Form::Text, AT),
        row("mocks", Form::Answers("mock"), MOCKS),
        row("answer", Form::Any, "Answers to questions, by step."),
        row("approve", Form::Any, "Steps that somebody agrees to, or who does, by step."),
        row("reject", Form::Any, "Why somebody says no, by step."),
        row("expire", Form::Any, "Steps that ask people who say nothing until time is up."),
        row("decide", Form::Answers("decision"), "What a person decides about a write in doubt or a failed step."),
        row(
            "crash_after",
            Form::Text,
            "The process dies once what came of this step is recorded, and the run is taken up.",
        ),
        row("crash_during", Form::Text, "The process dies after this step has ended and before that is recorded."),
        row("undo", Form::Bool, "Whether the ended run is taken back."),
        row("expect", Form::Map("expectation"), "What it should come to; success without it."),
    ],
};

pub(super) const DECISION: Definition = Definition {
    name: "decision",
    doc: "A decision with what it gives.",
    keys: &cases::DECISION,
    required: &["as"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("as", Form::Words(&DECISIONS), "What is decided."),
        row("outputs", Form::Any, "What the step gives, if it is done."),
    ],
};

pub(super) const CASE: Definition = Definition {
    name: "mock",
    doc: "An answer for certain arguments.",
    keys: &cases::CASE,
    required: &["give"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("with", Form::Any, "What the arguments must be like; `…` stands for any text."),
        row("give", Form::MapOrAny("mock_answer"), "What is answered, or a list of answers in turn."),
    ],
};

pub(super) const ANSWER: Definition = Definition {
    name: "mock_answer",
    doc: "How a call ends, where that isn't just its outputs.",
    keys: &cases::ANSWER,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("$outcome", Form::Words(&OUTCOMES), "How it ends; failed with an `$error`, else done."),
        row("$error", Form::TextOrMap("mock_error"), "What it fails with."),
        row("$outputs", Form::Any, "What it gives all the same."),
        row("$takes", Form::Duration, "How long it takes; none without it."),
    ],
};

pub(super) const ERROR: Definition = Definition {
    name: "mock_error",
    doc: "What a call fails with.",
    keys: &cases::ERROR,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("kind", Form::Words(cases::ERROR_KINDS), "The class of failure."),
        row("message", Form::Text, "What it says."),
        row("transient", Form::Bool, "Whether another attempt may go well."),
    ],
};

pub(super) const EXPECT: Definition = Definition {
    name: "expectation",
    doc: "What a run should come to. What isn't named isn't looked at, but for its success.",
    keys: &cases::EXPECT,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("outcome", Form::Words(&cases::RUN_OUTCOMES), "How it stands at the end."),
        row("exit", Form::Between(0, 255), "The exit code it would have."),
        row("error", Form::TextOrMap("expected_error"), "What it failed with; `…` stands for any text."),
        row("message", Form::Text, "What `run.finish` or `run.fail` said."),
        row("findings", Form::Lists("expected_finding"), "All findings, in order."),
        row("outputs", Form::With, "What it gives."),
        row("steps", Form::Any, "How steps ended, by path."),
        row("calls", Form::Answers("expected_call"), "How often steps or actions were called, and with what."),
        row("writes", Form::Any, "All calls that change something, in order."),
        row("undo", Form::Words(&cases::UNDO_OUTCOMES), "How taking it back ended."),
    ],
};

pub(super) const TROUBLE: Definition = Definition {
    name: "expected_error",
    doc: "What a run should have failed with.",
    keys: &cases::TROUBLE,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("step", Form::Text, "The step it failed at."),
        row("kind", Form::Words(cases::ERROR_KINDS), "The class of failure."),
        row("message", Form::Text, "What it says; `…` stands for any text."),
    ],
};

pub(super) const FINDING: Definition = Definition {
    name: "expected_finding",
    doc: "A finding that should be there.",
    keys: &cases::FINDING,
    required: &["level"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("level", Form::Words(&LEVELS), "How bad it is."),
        row("say", Form::Text, "What it says; `…` stands for any text."),
        row("suggest", Form::Runbook, "The runbook it suggests."),
    ],
};

pub(super) const CALL: Definition = Definition {
    name: "expected_call",
    doc: "Calls that should have been made.",
    keys: &cases::CALL,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("times", Form::Count(0), "How often; at least once without it."),
        row("with", Form::Any, "What the arguments must be like; `…` stands for any text."),
    ],
};
