//! `rerail secrets set`: a value gets into its file and nowhere else.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Stdio;

use serde_json::json;

use super::search::{Search, canary};
use crate::binary::kit::{Place, Said};

const TARGET: &str = "version: 1
secrets:
  TOKEN: { from: file, path: keys/token }
  LINKED: { from: file, path: linked }
  FOLDER: { from: file, path: keys }
  NOWHERE: { from: file, path: gone/token }
  VARIABLE: { from: env, name: THE_TOKEN }
  CREDENTIAL: { from: systemd, name: the-token }
  PRINTED: { from: command, argv: [vault, read, token] }
";

fn place() -> Place {
    let place =
        Place::new().file("targets/here.yaml", TARGET).file("keys/other", "").file("elsewhere", "old-value-of-it");
    symlink("elsewhere", place.project().join("linked")).unwrap();
    place
}

fn set(place: &Place, args: &[&str], input: &[u8]) -> Said {
    let args = [&["secrets", "set", "--target", "here"], args].concat();
    let mut command = place.rerail(&args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that refuses at once doesn't read.
    child.stdin.take().unwrap().write_all(input).ok();
    Said::of(&args, child.wait_with_output().unwrap())
}

#[test]
fn a_value_from_standard_input_is_written_for_its_owner_alone_and_shown_nowhere() {
    let place = place();
    let values = BTreeMap::from([("SET".to_owned(), canary("SET")), ("AGAIN".to_owned(), canary("AGAIN"))]);
    let search = Search::of(&values);
    let file = place.project().join("keys/token");
    for (name, end, done) in [("SET", "\n", "written"), ("AGAIN", "\r\n", "replaced")] {
        let said = set(&place, &["TOKEN"], format!("{}{end}", values[name]).as_bytes()).exits(0).says(&[done]);
        search.assert_clean("what it said", format!("{}{}", said.stdout, said.stderr).as_bytes());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), values[name]);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        place.ask(&["secrets", "check", "TOKEN", "--target", "here"]).exits(0).says(&["readable"]);
    }
    let said = set(&place, &["LINKED", "-o", "json"], values["SET"].as_bytes()).exits(0);
    assert_eq!(said.json()["replaced"], json!(true));
    assert!(std::fs::symlink_metadata(place.project().join("linked")).unwrap().is_symlink(), "it leads where it led");
    assert_eq!(std::fs::read_to_string(place.project().join("elsewhere")).unwrap(), values["SET"]);
    assert_eq!(std::fs::read_dir(place.project().join("keys")).unwrap().count(), 2, "nothing is left beside it");
}

#[test]
fn what_can_not_be_a_secret_or_not_be_written_changes_nothing_and_says_why() {
    let place = place();
    set(&place, &["TOKEN"], b"the-value-it-had").exits(0);
    let huge = vec![b'x'; 70_000];
    for (args, input, says) in [
        (vec!["TOKEN"], b"1234567".as_slice(), "is shorter than 8 bytes"),
        (vec!["TOKEN"], b"", "is shorter than 8 bytes"),
        (vec!["TOKEN"], b"changeme\n", "is a common word"),
        (vec!["TOKEN"], b"abababababab", "fewer than 3 different characters"),
        (vec!["TOKEN"], b"not \xff UTF-8 at all", "not UTF-8"),
        (vec!["TOKEN"], &huge, "more than 65536 bytes"),
        (vec!["OTHER"], b"a-good-value", "has no secret OTHER"),
        (vec!["FOLDER"], b"a-good-value", "it is no file"),
        (vec!["NOWHERE"], b"a-good-value", "mkdir -p -m 700 "),
        (vec!["VARIABLE"], b"a-good-value", "read -rs THE_TOKEN && export THE_TOKEN"),
        (vec!["CREDENTIAL"], b"a-good-value", "systemd-creds encrypt --name=the-token"),
        (vec!["PRINTED"], b"a-good-value", "comes from the command `vault read token`"),
        (vec!["TOKEN", "typed-into-the-line"], b"", "never stands in the command line"),
        (vec!["TOKEN", "--value=typed-into-the-line"], b"", "never stands in the command line"),
    ] {
        let said = set(&place, &args, input).exits(2).says(&[says]);
        for value in ["1234567", "changeme", "abababab", "a-good-value", "typed-into"] {
            assert!(!format!("{}{}", said.stdout, said.stderr).contains(value), "{args:?}: {}", said.stderr);
        }
    }
    assert_eq!(std::fs::read_to_string(place.project().join("keys/token")).unwrap(), "the-value-it-had");
}
