//! `kill -9` at every boundary of a run, and at random moments: it resumes to the same end, nothing
//! acknowledged is lost, and no write is sent twice unless somebody decided so.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::killing::{
    Again, Answers, Met, Random, Work, Write, assert_nothing_shown_is_lost, rand_of_the_clock, run_args,
};
use super::kit::{Living, from_env};

/// Reads, writes of each kind of repeat, a poll, a script with a write, an action's worth of everything.
const IN_A_ROW: Work = Work {
    runbook: "
inputs: { base: { type: url } }
steps:
  - id: look
    uses: http.probe
    with: { url: '${{ inputs.base }}/look' }
  - id: first
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: first }
  - id: keyed
    uses: http.request
    with:
      method: POST
      url: '${{ inputs.base }}/'
      text: keyed
      idempotency: { header: Idempotency-Key, window: 24h }
  - id: healthy
    uses: http.probe
    with: { url: '${{ inputs.base }}/health' }
    until: result.ok
    in_a_row: 2
    every: 10ms
    within: 1m
  - id: mend
    script: |
      let seen = http::probe(#{ url: `${inputs.base}/look` });
      let sent = http::request(#{ method: \"POST\", url: `${inputs.base}/`, text: \"scripted\" });
      #{ status: seen.status, id: sent.json.id }
  - id: last
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: last }
finally:
  - id: bye
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: bye }
outputs:
  status: '${{ steps.mend.outputs.status }}'
  ids: >-
    ${{ [steps.first.outputs.json.id, steps.keyed.outputs.json.id, steps.mend.outputs.id,
    steps.last.outputs.json.id] }}
",
    files: &[],
    writes: &[
        Write::new("first", "first"),
        Write { again: Again::Keyed, ..Write::new("keyed", "keyed") },
        Write::new("mend/http.request#1", "scripted"),
        Write::new("last", "last"),
        Write::new("finally/bye", "bye"),
    ],
    answered: Some(|write| json!({ "id": write.body })),
    outputs: || json!({ "status": 200, "ids": ["first", "keyed", "scripted", "last"] }),
};

/// Writes side by side, in rounds, again after a no, in an action that cleans up after itself, in a runbook below,
/// and one whose fate a look finds out.
const NESTED: Work = Work {
    runbook: "
inputs: { base: { type: url } }
steps:
  - id: both
    parallel:
      - { id: left, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: left } }
      - { id: right, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: right } }
  - id: each
    foreach: [one, two, three]
    max_parallel: 2
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: '${{ each.value }}' }
  - id: again
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: again }
    retry: { attempts: 3, delay: 10ms }
  - id: close
    uses: shop.close
    with: { base: '${{ inputs.base }}' }
    continue_on_failure: true
  - id: child
    uses: runbook
    with: { name: child, inputs: { base: '${{ inputs.base }}' } }
  - id: settled
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: settled }
    settle:
      steps:
        - { id: now, uses: http.probe, with: { url: '${{ inputs.base }}/seen/settled' } }
      happened: steps.now.outputs.json.count == 1
      not_happened: steps.now.outputs.json.count == 0
  - id: seen
    uses: http.probe
    with: { url: '${{ inputs.base }}/seen/settled' }
outputs:
  rounds: '${{ steps.each.outcomes }}'
  closed: '${{ steps.close.outcome }}'
  seen: '${{ steps.seen.outputs.json.count }}'
",
    files: &[
        (
            "actions/shop/close.yaml",
            "version: 1
title: Close the shop
inputs: { base: { type: url } }
steps:
  - { id: bad, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: bad } }
on_failure:
  - { id: mend, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: mend } }
",
        ),
        (
            "runbooks/child.yaml",
            "version: 1
title: A child
owner: tests
reviewed: 2026-11-01
inputs: { base: { type: url } }
steps:
  - { id: inner, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: inner } }
finally:
  - { id: bye, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: bye } }
",
        ),
    ],
    writes: &[
        Write::new("left", "left"),
        Write::new("right", "right"),
        Write::new("each[0]", "one"),
        Write::new("each[1]", "two"),
        Write::new("each[2]", "three"),
        Write { answers: Answers::DeclinesFirst, ..Write::new("again", "again") },
        Write { answers: Answers::Declines, ..Write::new("close/bad", "bad") },
        Write::new("close/on_failure/mend", "mend"),
        Write::new("child/inner", "inner"),
        Write::new("child/finally/bye", "bye"),
        Write { again: Again::Settled, ..Write::new("settled", "settled") },
    ],
    answered: None,
    outputs: || json!({ "rounds": ["done", "done", "done"], "closed": "failed", "seen": 1 }),
};

fn assert_all_was_met(met: &Met, doubts: usize) {
    eprintln!("{met:?}");
    for point in [
        "journal.append.before",
        "journal.append.queued",
        "journal.commit.before",
        "journal.commit.after",
        "http.before_connect",
        "http.connected",
        "http.last_byte",
        "http.answered",
        "driver.outcome",
    ] {
        assert!(met.points.contains_key(point), "{point} was never died at: {met:?}");
    }
    assert!(met.doubts >= doubts, "a write is in doubt from its connection to its outcome's commit: {met:?}");
}

#[test]
fn killed_at_every_boundary_it_resumes_to_the_same_end() {
    let met = IN_A_ROW.killed_at_every_boundary();
    assert_all_was_met(&met, 16);
    assert!(met.repeats >= 1, "the write with a key was never sent again");
}

#[test]
fn killed_at_every_boundary_of_what_is_made_of_several_steps_it_resumes_to_the_same_end() {
    assert_all_was_met(&NESTED.killed_at_every_boundary(), 32);
}

#[test]
fn killed_at_random_again_and_again_it_resumes_to_the_same_end() {
    let rounds = from_env("RERAIL_KILLS", 12);
    let seed = from_env("RERAIL_SEED", u64::from(std::process::id()) << 32 | u64::from(rand_of_the_clock()));
    println!("RERAIL_SEED={seed} RERAIL_KILLS={rounds}");
    let mut random = Random(seed | 1);
    killed_at_random(&IN_A_ROW, rounds.div_ceil(2), seed, &mut random);
    killed_at_random(&NESTED, rounds / 2, seed, &mut random);
}

fn killed_at_random(work: &Work, rounds: u64, seed: u64, random: &mut Random) {
    let (expected, took) = work.uninterrupted();
    let longest = u64::try_from(took.as_micros()).unwrap() * 5 / 4;
    let mut kills = 0;
    let mut runs = 0;
    while kills < rounds {
        let (place, ledger) = work.world();
        let input = format!("base={}", ledger.url);
        runs += 1;
        let when = format!("run {runs} of RERAIL_SEED={seed}");
        let mut killed = |command: Command| {
            let after = Duration::from_micros(random.next() % longest);
            let said = Living::spawn("a run to be killed", command).killed_after(after);
            kills += u64::from(said.was_killed());
            said
        };
        // Killed before anything is recorded, it is simply started again.
        while place.events().is_empty() {
            assert!(ledger.writes().is_empty(), "{when}: a write left before anything was recorded");
            let said = killed(place.rerail(&run_args(&input, "jsonl")));
            assert_nothing_shown_is_lost(&place, &said, &when);
            ledger.settle();
        }
        work.resume_to_the_end(&place, &ledger, &when, killed);
        assert_eq!(place.end_of("@last"), expected, "{when}");
        work.assert_no_write_repeated(&place, &ledger, &when);
        place.assert_journal_is_whole(&when);
    }
    eprintln!("{kills} kills in {runs} runs");
}
