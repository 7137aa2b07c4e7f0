//! Runs that exclude each other: refused, in line, or attached to the one that is there.

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::json;

use super::gate::Gate;
use super::kit::{Living, Place, Said, until};

/// A write of its own name, a held look, another write; one at a time for each value of `what`.
fn book(if_busy: &str) -> String {
    format!(
        "
inputs: {{ base: {{ type: url }}, me: {{ type: string, default: x }}, what: {{ type: string, default: db }} }}
concurrency: {{ group: 'fix/${{{{ inputs.what }}}}', if_busy: {if_busy} }}
steps:
  - {{ id: first, uses: http.request, with: {{ method: POST, url: '${{{{ inputs.base }}}}/', text: 'first ${{{{ inputs.me }}}}' }} }}
  - {{ id: look, uses: http.probe, with: {{ url: '${{{{ inputs.base }}}}/held/${{{{ inputs.me }}}}', timeout: 1m }} }}
  - {{ id: last, uses: http.request, with: {{ method: POST, url: '${{{{ inputs.base }}}}/', text: 'last ${{{{ inputs.me }}}}' }} }}
"
    )
}

struct Fix {
    place: Place,
    gate: Gate,
}

impl Fix {
    fn new(if_busy: &str) -> Fix {
        Fix { place: Place::new().runbook("fix", &book(if_busy)), gate: Gate::serve() }
    }

    fn args(&self, me: &str) -> Vec<String> {
        let words = ["run", "fix", "--yes", "-i", &self.gate.input(), "-i", &format!("me={me}")].map(str::to_owned);
        words.into()
    }

    fn starts(&self, me: &str) -> Living {
        let args = self.args(me);
        Living::start(&self.place, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn asks(&self, me: &str) -> Said {
        let args = self.args(me);
        self.place.ask(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A run that has its group and is held at its look.
    fn holds(&self, me: &str) -> Living {
        let living = self.starts(me);
        self.gate.arrived(me);
        living
    }

    fn rows(&self, table: &str) -> u64 {
        let db = Connection::open(self.place.state().join("journal.db")).unwrap();
        db.busy_timeout(super::kit::PATIENCE).unwrap();
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    /// How many runs have recorded that they wait.
    fn waits_recorded(&self) -> u64 {
        let db = Connection::open(self.place.state().join("journal.db")).unwrap();
        db.busy_timeout(super::kit::PATIENCE).unwrap();
        let count = "SELECT count(DISTINCT run) FROM timeline WHERE type = 'concurrency.waiting'";
        db.query_row(count, [], |row| row.get(0)).unwrap()
    }

    /// One that stands in line behind `before` others.
    fn waits(&self, me: &str, before: u64) -> Living {
        let living = self.starts(me);
        until("it stands in line", || self.rows("queue") == before + 1);
        living
    }

    fn order(&self) -> Vec<String> {
        self.gate.ledger.writes().into_iter().map(|write| write.body).collect()
    }

    fn runs(&self) -> usize {
        self.place.json(&["runs"]).as_array().unwrap().len()
    }
}

#[test]
fn a_busy_group_refuses_and_says_who_holds_it_and_what_can_be_done() {
    let fix = Fix::new("refuse");
    let mut holder = fix.holds("a");
    let pid = format!("process {}", holder.pid());
    let operator = fix.place.json(&["show"])["operator"].as_str().unwrap().to_owned();
    fix.asks("b").exits(18).says(&[
        "`fix/db` is held by fix/",
        "\"A test\"",
        &format!("started by {operator}"),
        "at step 2 of 3, `look`",
        &pid,
        "--follow",
        "rerail cancel",
    ]);
    // Another group is another matter, and a rehearsal excludes nobody.
    fix.gate.opens("c");
    fix.place.ask(&["run", "fix", "--yes", "-i", &fix.gate.input(), "-i", "me=c", "-i", "what=cache"]).exits(0);
    fix.place.ask(&["run", "fix", "--dry-run", "-i", &fix.gate.input(), "-i", "me=c"]).exits(0);
    fix.gate.opens("a");
    holder.ends().exits(0);
    fix.gate.opens("b");
    fix.asks("b").exits(0);
    assert_eq!((fix.rows("groups"), fix.runs()), (0, 3), "what was refused left no run");
    fix.place.assert_journal_is_whole("after runs that exclude each other");
}

#[test]
fn a_killed_holder_keeps_its_group_until_its_run_has_ended() {
    let fix = Fix::new("refuse");
    let mut holder = fix.holds("a");
    holder.signal(Signal::KILL);
    assert!(holder.ends().was_killed());
    fix.asks("b").exits(18).says(&["no process drives it", "rerail resume", "rerail cancel"]);
    fix.gate.opens("a");
    fix.place.ask(&["resume", "@last:fix"]).exits(0);
    fix.gate.opens("b");
    fix.asks("b").exits(0);
    assert_eq!(fix.order(), ["first a", "last a", "first b", "last b"]);
}

#[test]
fn those_who_wait_start_one_after_the_other_in_their_order() {
    let fix = Fix::new("wait");
    let holder = fix.holds("a");
    let (b, c) = (fix.waits("b", 0), fix.waits("c", 1));
    for me in ["b", "c", "a"] {
        fix.gate.opens(me);
    }
    holder.ends().exits(0);
    b.ends().exits(0).says(&["waiting for `fix/db`, next in line; held by fix/", "`look`"]);
    c.ends().exits(0).says(&["behind 1 other"]);
    assert_eq!(fix.order(), ["first a", "last a", "first b", "last b", "first c", "last c"]);
    assert_eq!((fix.rows("groups"), fix.rows("queue")), (0, 0));
    fix.place.assert_journal_is_whole("after a line");
}

#[test]
fn a_killed_waiter_blocks_nobody_and_one_who_walks_away_leaves_no_trace() {
    let fix = Fix::new("wait");
    let holder = fix.holds("a");
    let mut killed = fix.waits("b", 0);
    let mut leaving = fix.waits("c", 1);
    let last = fix.waits("d", 2);
    killed.signal(Signal::KILL);
    assert!(killed.ends().was_killed());
    leaving.signal(Signal::INT);
    leaving.ends().exits(130).says(&["nothing was started"]);
    for me in ["d", "a"] {
        fix.gate.opens(me);
    }
    holder.ends().exits(0);
    last.ends().exits(0);
    assert_eq!(fix.order(), ["first a", "last a", "first d", "last d"]);
    assert_eq!((fix.rows("groups"), fix.rows("queue"), fix.rows("leases"), fix.runs()), (0, 0, 0, 2));
}

#[test]
fn the_same_again_follows_the_run_that_is_there_and_ends_like_it() {
    let fix = Fix::new("attach");
    let holder = fix.holds("a");
    let follower = fix.starts("a");
    let args = fix.args("a");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let look_on = |name: &str| {
        let heard = fix.place.beside(name);
        let wrapper = format!("exec \"$0\" \"$@\" 2>'{}'", heard.display());
        let living = Living::spawn(name, fix.place.through(&["sh", "-c", &wrapper], &args));
        let read = move || std::fs::read_to_string(&heard).unwrap_or_default();
        until("it follows", || read().contains("does this already: following it"));
        (living, read)
    };
    let (mut leaver, heard) = look_on("leaver");
    let (mut asked_to_go, heard_by_other) = look_on("asked-to-go");
    fix.place
        .ask(&["run", "fix", "--yes", "-i", &fix.gate.input(), "-i", "me=other"])
        .exits(18)
        .says(&["its inputs are others"]);
    // All have given up their own places and only look on.
    until("all follow", || fix.rows("leases") == 1);
    leaver.signal(Signal::INT);
    leaver.ends().exits(0);
    assert!(heard().contains("detached; fix/") && !heard().contains("stopping"), "{}", heard());
    asked_to_go.signal(Signal::TERM);
    asked_to_go.ends().exits(143);
    assert!(heard_by_other().contains("goes on"), "{}", heard_by_other());
    fix.place.ask(&["cancel", "@last"]).exits(0);
    until("it is taken up", || fix.place.facts().cancelled.is_some());
    fix.gate.opens("a");
    holder.ends().exits(15);
    follower.ends().exits(15).says(&["asked to stop", "cancelled"]);
    assert_eq!((fix.order(), fix.runs()), (vec!["first a".to_owned()], 1));
}

#[test]
fn a_run_that_waits_for_a_person_or_is_in_doubt_holds_its_group() {
    let gate = Gate::serve();
    let ask = "
inputs: { base: { type: url } }
concurrency: { group: one }
steps: [ { id: ask, uses: human.ask, with: { text: 'Safe?' } } ]
";
    let place = Place::new().runbook("ask", ask);
    place.ask(&["run", "ask", "-i", &gate.input()]).exits(13);
    place.ask(&["run", "ask", "-i", &gate.input()]).exits(18).says(&["waiting", "at step 1 of 1, `ask`"]);
    place.ask(&["answer", "@last", "answer=yes"]).exits(0);
    place.ask(&["resume", "@last"]).exits(0);
    place.ask(&["run", "ask", "-i", &gate.input()]).exits(13);
}

#[test]
fn a_run_that_is_reopened_after_its_end_needs_its_group_again() {
    let fix = Fix::new("refuse");
    let place = Place::new().runbook(
        "fails",
        "
inputs: { base: { type: url } }
concurrency: { group: 'fix/db' }
steps:
  - { id: no, uses: run.fail, with: { message: 'not today' } }
",
    );
    let fix = Fix { place: place.runbook("fix", &book("refuse")), gate: fix.gate };
    fix.place.ask(&["run", "fails", "-i", &fix.gate.input()]).exits(10);
    let holder = fix.holds("a");
    let retry = ["resume", "@last:fails", "--retry", "no", "--reason", "again"];
    fix.place.ask(&retry).exits(18).says(&["`fix/db` is held by fix/"]);
    fix.gate.opens("a");
    holder.ends().exits(0);
    fix.place.ask(&retry).exits(10);
}

#[test]
fn a_run_sees_how_the_one_before_it_ended_also_after_a_restart() {
    let gate = Gate::serve();
    let body = "
inputs: { base: { type: url } }
steps:
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/held/look', timeout: 1m } }
  - { id: say, uses: run.note, with: { text: '${{ if run.previous == () { \"none\" } else { run.previous.outcome + run.previous.outputs.n } }} under ${{ run.fence }}' } }
outputs: { n: '7' }
";
    let place = Place::new().runbook("again", body);
    let mut killed = Living::start(&place, &["run", "again", "-i", &gate.input()]);
    gate.arrived("look");
    gate.opens("look");
    killed.signal(Signal::KILL);
    assert!(killed.ends().was_killed());
    place.ask(&["resume", "@last"]).exits(0).says(&["none under 2"]);
    place.ask(&["run", "again", "-i", &gate.input()]).exits(0).says(&["success7 under 1"]);
    // What is read is checked.
    let typo = place.runbook("typo", "steps:\n  - { uses: run.note, with: { text: '${{ run.previous.outcom }}' } }\n");
    typo.ask(&["check", "typo"]).exits(3).says(&["`run.previous` has no field `outcom`"]);
    assert_eq!(typo.json(&["show", "@last"])["outputs"], json!({ "n": "7" }));
}

#[test]
fn killed_at_every_boundary_a_group_is_held_by_what_is_recorded_and_by_nothing_else() {
    let book = "
inputs: { base: { type: url } }
concurrency: { group: one }
steps:
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/' } }
  - { id: say, uses: run.note, with: { text: seen } }
";
    let gate = Gate::serve();
    let input = gate.input();
    let run = ["run", "one", "-i", &input];
    let (mut held, mut free) = (0, 0);
    for k in 1u64.. {
        let place = Place::new().runbook("one", book);
        let mut command = place.rerail(&run);
        command.env("RERAIL_CRASH_AT", k.to_string());
        let said = Said::of(&run, command.output().unwrap());
        if !said.was_killed() {
            said.exits(0);
            break;
        }
        let when = format!("killed at point {k}");
        let facts = place.facts();
        if facts.started.is_some() && facts.finished.is_none() {
            held += 1;
            place.ask(&run).exits(18).says(&["no process drives it"]);
            place.ask(&["resume", "@last"]).exits(0);
        } else {
            free += 1;
        }
        place.ask(&run).exits(0);
        place.assert_journal_is_whole(&when);
    }
    assert!(held >= 2 && free >= 2, "{held} left open, {free} not begun or over");
}

#[test]
fn a_group_that_is_no_name_is_refused_before_anything_begins() {
    let long = "x".repeat(201);
    for (group, why) in [
        ("${{ inputs.name }}", "gives an empty text"),
        ("${{ 1 + 1 }}", "gives 2, expected a text"),
        (long.as_str(), "has 201 characters, at most 200"),
    ] {
        let body = format!(
            "inputs: {{ name: {{ type: string, default: '' }} }}
concurrency: {{ group: '{group}' }}
steps: [ {{ uses: run.note, with: {{ text: x }} }} ]
outputs: {{ name: '${{{{ inputs.name }}}}' }}
"
        );
        let place = Place::new().runbook("bad", &body);
        place.ask(&["run", "bad"]).exits(2).says(&["`concurrency.group`", why]);
        assert_eq!(place.json(&["runs"]), json!([]));
    }
}

/// Calls `fix`, and looks once more when that is done.
const CALLER: &str = "
inputs: { base: { type: url }, me: { type: string } }
steps:
  - { id: child, uses: runbook, with: { name: fix, inputs: { base: '${{ inputs.base }}', me: '${{ inputs.me }}' } } }
  - { id: after, uses: http.probe, with: { url: '${{ inputs.base }}/held/after', timeout: 1m } }
";

impl Fix {
    fn with_caller(if_busy: &str) -> Fix {
        let fix = Fix::new(if_busy);
        Fix { place: fix.place.runbook("caller", CALLER), gate: fix.gate }
    }

    fn calls(&self, me: &str) -> Living {
        Living::start(&self.place, &["run", "caller", "--yes", "-i", &self.gate.input(), "-i", &format!("me={me}")])
    }
}

#[test]
fn a_called_runbooks_group_is_held_until_the_whole_run_is_over() {
    let fix = Fix::with_caller("refuse");
    let holder = fix.holds("a");
    // A rehearsal excludes nobody and is excluded by nobody.
    fix.gate.opens("b");
    let args = ["run", "caller", "--yes", "-i", &fix.gate.input(), "-i", "me=b"].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    fix.place.ask(&args).exits(10).says(&["`fix/db` is held by fix/", "at step 2 of 3, `look`", "nothing of `fix`"]);
    fix.place.ask(&["resume", "@last:caller"]).exits(2);
    fix.gate.opens("a");
    holder.ends().exits(0);

    let caller = fix.calls("c");
    fix.gate.arrived("c");
    fix.asks("b").exits(18).says(&["`fix/db` is held by caller/", "at step 1 of 2, `child/look`"]);
    fix.gate.opens("c");
    fix.gate.arrived("after");
    fix.asks("b").exits(18).says(&["at step 2 of 2, `after`"]);
    fix.gate.opens("after");
    caller.ends().exits(0);
    fix.asks("b").exits(0);
    assert_eq!(fix.order(), ["first a", "last a", "first c", "last c", "first b", "last b"]);
    assert_eq!((fix.rows("groups"), fix.rows("queue")), (0, 0));
    fix.place.assert_journal_is_whole("after groups of called runbooks");
}

#[test]
fn a_called_runbook_waits_in_line_and_one_that_was_killed_there_goes_on_when_it_is_resumed() {
    let fix = Fix::with_caller("wait");
    let holder = fix.holds("a");
    let mut killed = fix.calls("b");
    until("it stands in line", || fix.rows("queue") == 1);
    until("it says so", || fix.place.facts().steps.values().any(|record| record.queued.is_some()));
    fix.place
        .ask(&["show", "@last:caller"])
        .exits(0)
        .says(&["waiting for `fix/db`, which is held by fix/", "its group is held by"]);
    killed.signal(Signal::KILL);
    assert!(killed.ends().was_killed());
    let next = fix.waits("c", 1);
    for me in ["a", "b", "c", "after"] {
        fix.gate.opens(me);
    }
    holder.ends().exits(0);
    next.ends().exits(0);
    fix.place.ask(&["resume", "@last:caller"]).exits(0);
    assert_eq!(fix.order(), ["first a", "last a", "first c", "last c", "first b", "last b"]);
    assert_eq!((fix.rows("groups"), fix.rows("queue")), (0, 0));
}

#[test]
fn one_that_is_cancelled_in_line_leaves_it() {
    let fix = Fix::with_caller("wait");
    let holder = fix.holds("a");
    let mut leaving = fix.calls("b");
    until("it stands in line", || fix.rows("queue") == 1);
    leaving.signal(Signal::INT);
    leaving.ends().exits(15);
    let next = fix.starts("c");
    until("the next one stands in line", || fix.rows("queue") >= 1);
    for me in ["a", "c"] {
        fix.gate.opens(me);
    }
    holder.ends().exits(0);
    next.ends().exits(0);
    assert_eq!(fix.order(), ["first a", "last a", "first c", "last c"]);
    assert_eq!((fix.rows("groups"), fix.rows("queue")), (0, 0));
}

#[test]
fn a_reopened_run_needs_the_groups_of_what_it_had_called() {
    let fix = Fix::new("refuse");
    let fails = "
inputs: { base: { type: url } }
steps:
  - { id: child, uses: runbook, with: { name: fix, inputs: { base: '${{ inputs.base }}', me: z } } }
  - { id: no, uses: run.fail, with: { message: 'not today' } }
";
    let fix = Fix { place: fix.place.runbook("fails", fails), gate: fix.gate };
    fix.gate.opens("z");
    fix.place.ask(&["run", "fails", "--yes", "-i", &fix.gate.input()]).exits(10);
    let holder = fix.holds("a");
    let retry = ["resume", "@last:fails", "--retry", "no", "--reason", "again"];
    fix.place.ask(&retry).exits(18).says(&["`fix/db` is held by fix/"]);
    fix.gate.opens("a");
    holder.ends().exits(0);
    fix.place.ask(&retry).exits(10);
    assert_eq!(fix.rows("groups"), 0);
}

#[test]
fn killed_at_every_boundary_a_called_runbook_has_its_group_before_its_first_step() {
    let child = "
inputs: { base: { type: url } }
concurrency: { group: one }
steps:
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/' } }
";
    let caller = "
inputs: { base: { type: url } }
steps:
  - { id: child, uses: runbook, with: { name: one, inputs: { base: '${{ inputs.base }}' } } }
  - { id: say, uses: run.note, with: { text: seen } }
";
    let gate = Gate::serve();
    let input = gate.input();
    let (run, other) = (["run", "caller", "-i", &input], ["run", "one", "-i", &input]);
    let (mut held, mut between) = (0, 0);
    for k in 1u64.. {
        let place = Place::new().runbook("one", child).runbook("caller", caller);
        let mut command = place.rerail(&run);
        command.env("RERAIL_CRASH_AT", k.to_string());
        let said = Said::of(&run, command.output().unwrap());
        if !said.was_killed() {
            said.exits(0);
            break;
        }
        let facts = place.facts();
        let open = facts.started.is_some() && facts.finished.is_none();
        let claimed = open && facts.holds("one");
        assert!(claimed || facts.steps.keys().all(|path| path.depth() == 1) || !open, "killed at {k}: begun unclaimed");
        // A claim whose event was lost is one of an open run all the same.
        let refused = place.ask(&other).code() == Some(18);
        assert!(refused || !claimed, "killed at {k}: the group is recorded and not held");
        held += usize::from(claimed);
        between += usize::from(refused && !claimed);
        if open {
            place.ask(&["resume", "@last:caller"]).exits(0);
        }
        place.ask(&other).exits(0);
        place.assert_journal_is_whole(&format!("killed at point {k}"));
    }
    assert!(held >= 2 && between >= 1, "{held} times held, {between} times claimed and not yet recorded");
}

/// Takes one group, looks, and takes another one.
const PAIR: &str = "
inputs: { base: { type: url }, me: { type: string }, first: { type: string }, second: { type: string } }
steps:
  - { id: one, uses: runbook, with: { name: hold, inputs: { group: '${{ inputs.first }}' } } }
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/held/${{ inputs.me }}', timeout: 1m } }
  - { id: two, uses: runbook, with: { name: hold, inputs: { group: '${{ inputs.second }}' } } }
";

#[test]
fn runs_that_would_wait_for_each_other_for_ever_do_not_and_the_last_one_is_told_why() {
    let hold = "
inputs: { group: { type: string } }
concurrency: { group: '${{ inputs.group }}', if_busy: wait }
steps:
  - { id: say, uses: run.note, with: { text: 'has ${{ inputs.group }}' } }
";
    for circle in [&["a", "b"][..], &["a", "b", "c"]] {
        let fix = Fix { place: Place::new().runbook("hold", hold).runbook("pair", PAIR), gate: Gate::serve() };
        let mut living: Vec<(&str, Living)> = Vec::new();
        for (at, me) in circle.iter().enumerate() {
            let next = circle[(at + 1) % circle.len()];
            let inputs = [fix.gate.input(), format!("me={me}"), format!("first=g-{me}"), format!("second=g-{next}")];
            let mut args = vec!["run", "pair", "--yes"];
            args.extend(inputs.iter().flat_map(|input| ["-i", input.as_str()]));
            living.push((me, Living::start(&fix.place, &args)));
            fix.gate.arrived(me);
        }
        // One after the other comes to its second group, which the next one has.
        let (last, waiting) = circle.split_last().unwrap();
        for (in_line, me) in (1..).zip(waiting) {
            fix.gate.opens(me);
            until("it stands in line", || fix.rows("queue") == in_line);
            until("it says so", || fix.waits_recorded() == in_line);
        }
        fix.gate.opens(last);
        let (_, told) = living.pop().unwrap();
        let mut said = told.ends().exits(10).says(&[
            "`g-a` is held by pair/",
            "at step 3 of 3, `two`",
            "it waits for `g-b`, held by",
            "held by this run, so neither would ever go on",
            "nothing of `hold` was started",
        ]);
        for (me, _) in &living {
            let group = format!("it waits for `g-{}`", circle[circle.iter().position(|one| one == me).unwrap() + 1]);
            said = said.says(&[&group]);
        }
        let step = |facts: &rerail::engine::facts::Facts| facts.step(&"two".into()).and_then(|two| two.end().cloned());
        let end = step(&fix.place.facts()).unwrap();
        assert_eq!((end.outcome.word(), end.error.unwrap().kind.word()), ("refused", "busy"));
        for (_, other) in living.into_iter().rev() {
            other.ends().exits(0);
        }
        assert_eq!((fix.rows("groups"), fix.rows("queue")), (0, 0));
        fix.place.assert_journal_is_whole("after a circle of groups");
    }
}
