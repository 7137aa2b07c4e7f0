//! `time.now`: the clock, as a journaled read; scripts have no other.

use jiff::Timestamp;

use crate::engine::outcome::Attempt;
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::schema::output;
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

struct TimeNow;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&TimeNow) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "time.now".to_owned(),
        title: "Read the clock".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: Vec::new(),
        outputs: vec![
            output("iso", Type::String, "the moment in UTC, RFC 3339, to the second"),
            output("unix_ms", Type::Int, "milliseconds since 1970"),
        ],
        docs: "`time::now(#{})` in a script. The answer is journaled: a resumed run sees the moment it saw before."
            .to_owned(),
    }
}

impl Read for TimeNow {
    fn perform<'a>(&'a self, _world: &'a World, _args: &'a Map) -> Pending<'a> {
        let now = Timestamp::now();
        let outputs = Value::map([
            ("iso", Value::from(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
            ("unix_ms", Value::from(now.as_millisecond())),
        ]);
        Box::pin(std::future::ready(Attempt::done(outputs)))
    }
}
