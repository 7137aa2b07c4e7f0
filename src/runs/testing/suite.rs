//! Many tests, side by side: found, filtered, played, judged and counted.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::drivers::watch::Why;
use crate::engine::event::Event;
use crate::engine::facts::Facts;
use crate::project::TestText;
use crate::runbook::cases::read;
use crate::runbook::problem::{Problem, sort};
use crate::runbook::program::FileKind;
use crate::runbook::source::Source;
use crate::runs::Runs;
use crate::runs::abreast::abreast;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::testing::coverage::Coverage;
use crate::runs::testing::judge::{Failed, judge, unasked};
use crate::runs::testing::subject::Tested;

/// Tests of a text that somebody sent: what nobody waits longer for than for an answer.
const GIVEN_TESTS_MAX: usize = 100;

/// The exit code a run would have: surfaces know them.
pub type ExitOf = fn(&Facts, &Why) -> u8;

/// Which tests, and how.
#[derive(Clone, Debug)]
pub struct TestRequest {
    /// Test files, what they test by path or name; every test of the project if there are none.
    pub paths: Vec<String>,
    /// Part of the name of a test, or of `file: name`.
    pub filter: Option<String>,
    pub exit_of: ExitOf,
}

/// What came of all of them.
#[derive(Debug, Default)]
pub struct Suite {
    /// By file and place.
    pub results: Vec<TestResult>,
    /// Files that can't be run, and why; warnings of those that can.
    pub problems: Vec<Problem>,
    /// What each file's tests have seen of what they test.
    pub coverage: Vec<Coverage>,
}

/// What came of one test.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// Where the file lies, and as it is shown.
    pub path: PathBuf,
    pub file: String,
    /// The runbook or action.
    pub tested: String,
    pub name: String,
    pub verdict: Verdict,
    /// Answers that nothing asked for.
    pub unasked: Vec<Problem>,
    /// How long it took, and how long the run would have.
    pub took: Duration,
    pub virtually: SignedDuration,
}

/// Whether a test holds.
#[derive(Clone, Debug)]
pub enum Verdict {
    Passed,
    Failed(Vec<Failed>),
}

impl Suite {
    /// Tests that failed.
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| matches!(result.verdict, Verdict::Failed(_))).count()
    }

    /// Everything that was answered and not asked, each place once.
    pub fn unasked(&self) -> Vec<Problem> {
        let mut unasked: Vec<Problem> = self.results.iter().flat_map(|result| result.unasked.clone()).collect();
        sort(&mut unasked);
        unasked
    }
}

/// One played test, with what its file's tests have in common.
struct Done {
    result: TestResult,
    events: Vec<Event>,
    facts: Option<Facts>,
    /// Places of answers that were taken.
    asked: BTreeSet<usize>,
}

impl Runs {
    /// Runs tests. Nothing real is called, and no journal is touched.
    ///
    /// # Errors
    /// If a path or name means no test file.
    pub fn test(&self, request: &TestRequest) -> Result<Suite, RunsError> {
        let (texts, problems) = self.test_texts(&request.paths)?;
        self.suite(texts, problems, request.filter.as_deref(), request.exit_of)
    }

    /// Runs the tests of a text on a runbook that is a text as well. Nothing real is called, and no file is read or
    /// written but what the runbook reaches by name.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if there are more than [`GIVEN_TESTS_MAX`] tests.
    pub fn test_given(&self, name: &str, runbook: &str, tests: &str, exit_of: ExitOf) -> Result<Suite, RunsError> {
        let beside = self.given(name, runbook);
        let shown = format!("{name}.test.yaml");
        let source = Source::new(shown.as_str(), tests);
        let path = PathBuf::from(&shown);
        let text = TestText { path, source, kind: FileKind::Runbook, name: name.to_owned(), beside: Some(beside) };
        let count = read(&text.source).0.tests.len();
        if count > GIVEN_TESTS_MAX {
            let said = format!("there are {count} tests, and {GIVEN_TESTS_MAX} are run at once");
            return Err(RunsError::new(ErrorKind::Usage, said).hint("give some of them"));
        }
        self.suite(vec![text], Vec::new(), None, exit_of)
    }

    fn suite(
        &self,
        texts: Vec<TestText>,
        mut problems: Vec<Problem>,
        filter: Option<&str>,
        exit_of: ExitOf,
    ) -> Result<Suite, RunsError> {
        let mut loaded: Vec<(TestText, Tested)> = Vec::new();
        for text in texts {
            let (tested, found) = self.tested(&text);
            problems.extend(found);
            loaded.extend(tested.map(|tested| (text, tested)));
        }
        let wanted = |tested: &Tested, name: &str| {
            filter.is_none_or(|filter| format!("{}: {name}", tested.listed.name).contains(filter))
        };
        let work: Vec<(usize, usize)> = loaded
            .iter()
            .enumerate()
            .flat_map(|(file, (_, tested))| {
                let tests = tested.file.tests.iter().enumerate();
                tests.filter(|(_, test)| wanted(tested, &test.name.value)).map(move |(test, _)| (file, test))
            })
            .collect();
        let done = self.all_of(&loaded, &work, exit_of)?;
        let mut suite = Suite { problems, ..Suite::default() };
        for (file, (_, tested)) in loaded.iter().enumerate() {
            let of_file: Vec<&Done> =
                work.iter().zip(&done).filter(|((at, _), _)| *at == file).map(|(_, done)| done).collect();
            let mut coverage = Coverage::of(tested.book(), &tested.listed.source);
            for (events, facts) in of_file.iter().filter_map(|done| Some((&done.events, done.facts.as_ref()?))) {
                coverage.add(tested.book(), events, facts, tested.kind == FileKind::Action);
            }
            if of_file.len() == tested.file.tests.len() {
                suite.problems.extend(never_asked(tested, &of_file));
            }
            if !of_file.is_empty() {
                suite.coverage.push(coverage);
            }
        }
        suite.results = done.into_iter().map(|done| done.result).collect();
        sort(&mut suite.problems);
        Ok(suite)
    }

    fn test_texts(&self, paths: &[String]) -> Result<(Vec<TestText>, Vec<Problem>), RunsError> {
        let project = self.project();
        if paths.is_empty() {
            if project.root.is_none() {
                let said = "there is no project here: no `rerail.yaml` in this directory or above";
                return Err(RunsError::new(ErrorKind::Usage, said).hint("name test files or directories"));
            }
            return Ok(project.tests());
        }
        let (mut texts, mut problems) = (Vec::new(), Vec::new());
        for path in paths {
            if !project.is_path(path) {
                let (all, _) = project.tests();
                let of_name: Vec<TestText> = all.into_iter().filter(|text| text.name == *path).collect();
                if of_name.is_empty() {
                    let said = format!("nothing of the project tests `{path}`");
                    let hint = "a test file lies beside what it tests: `NAME.test.yaml` beside `NAME.yaml`";
                    return Err(RunsError::new(ErrorKind::NotFound, said).hint(hint));
                }
                texts.extend(of_name);
                continue;
            }
            let file = match path.strip_suffix(".yaml") {
                Some(stem) if !stem.ends_with(".test") => format!("{stem}.test.yaml"),
                _ => path.clone(),
            };
            match project.test(&file) {
                Ok(text) => texts.push(text),
                Err(crate::project::ProjectError::Invalid(found)) => problems.extend(found),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((texts, problems))
    }

    /// Plays tests; the results are in their order.
    fn all_of(
        &self,
        loaded: &[(TestText, Tested)],
        work: &[(usize, usize)],
        exit_of: ExitOf,
    ) -> Result<Vec<Done>, RunsError> {
        abreast(work, |(file, test)| {
            let (text, tested) = &loaded[*file];
            self.one(text, tested, *test, exit_of)
        })
    }

    fn one(&self, text: &TestText, tested: &Tested, at: usize, exit_of: ExitOf) -> Done {
        let started = Instant::now();
        let test = &tested.file.tests[at];
        let source = &tested.file.source;
        let mut result = TestResult {
            path: text.path.clone(),
            file: source.shown.clone(),
            tested: tested.listed.name.clone(),
            name: test.name.value.clone(),
            verdict: Verdict::Passed,
            unasked: Vec::new(),
            took: Duration::ZERO,
            virtually: SignedDuration::ZERO,
        };
        let ready = match self.set_up(tested, test) {
            Ok(ready) => ready,
            Err(problem) => {
                result.verdict = Verdict::Failed(vec![Failed::of(problem)]);
                return Done { result, events: Vec::new(), facts: None, asked: BTreeSet::new() };
            }
        };
        let (ready, target, name) = ready;
        let played = match self.play(tested, test, &ready.program, (ready.inputs, &target, name)) {
            Ok(played) => played,
            Err(problem) => {
                result.verdict = Verdict::Failed(vec![Failed::of(problem)]);
                return Done { result, events: Vec::new(), facts: None, asked: BTreeSet::new() };
            }
        };
        let exit = exit_of(&played.facts, &played.why);
        let failed = judge(source, test, &played, exit, tested.kind == FileKind::Action);
        if failed.is_empty() {
            result.unasked = unasked(source, test, &played);
        } else {
            result.verdict = Verdict::Failed(failed);
        }
        result.virtually = played.took;
        result.took = started.elapsed();
        let asked = played.world.asked.iter().map(|mock| test.mocks[*mock].key.span.start).collect();
        Done { result, events: played.events, facts: Some(played.facts), asked }
    }
}

/// Answers for all tests of a file that none of them asked for.
fn never_asked(tested: &Tested, done: &[&Done]) -> Vec<Problem> {
    let source = &tested.file.source;
    let mut seen = BTreeSet::new();
    let shared = tested.file.tests.iter().flat_map(|test| &test.mocks).filter(|mock| mock.shared);
    let unasked = shared.filter(|mock| {
        let at = mock.key.span.start;
        seen.insert(at) && !done.iter().any(|done| done.asked.contains(&at))
    });
    let told = unasked.map(|mock| {
        let message = format!("no call was answered by `{}` in any test", mock.key.value);
        Problem::warning("W0505", source, source.first_line(mock.key.span), message).label("nothing asked for it")
    });
    told.collect()
}
