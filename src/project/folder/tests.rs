use include_dir::DirEntry;

use super::*;

static SHIPPED: [DirEntry; 4] = [
    DirEntry::File(File::new("common.rhai", b"a module, not an action")),
    DirEntry::File(File::new("one.yaml", b"shipped one")),
    DirEntry::File(File::new("two.yaml", b"shipped two")),
    DirEntry::Dir(Dir::new("railway", &DEEP)),
];
static DEEP: [DirEntry; 1] = [DirEntry::File(File::new("railway/redeploy.yaml", b"shipped redeploy"))];
static DIR: Dir = Dir::new("", &SHIPPED);

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Place {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    fn link(self, to: &str, at: &str) -> Place {
        std::os::unix::fs::symlink(self.0.path().join(to), self.0.path().join(at)).unwrap();
        self
    }

    fn folder(&self, names: Names) -> Folder<'_> {
        let name = if names == Names::Deep { "actions" } else { "runbooks" };
        Folder { root: Some(self.0.path()), name, embedded: Some(("shipped", &DIR)), extension: "yaml", names }
    }
}

/// `project TEXT`, `embedded TEXT`, `none`, or the problem.
fn found(folder: &Folder<'_>, name: &str) -> String {
    match folder.find(name) {
        Ok(Some((Origin::Project, source))) => format!("project {}", source.text),
        Ok(Some((Origin::Embedded, source))) => format!("embedded {}", source.text),
        Ok(None) => "none".to_owned(),
        Err(problem) => format!("{} {}", problem.code, problem.message),
    }
}

fn listed(folder: &Folder<'_>) -> (Vec<String>, Vec<String>) {
    let contents = folder.contents();
    let files = contents.files.iter().map(|(name, (origin, _))| format!("{name} {origin:?}")).collect();
    let mut problems: Vec<String> =
        contents.problems.iter().map(|problem| format!("{} {}", problem.code, problem.source.shown)).collect();
    problems.sort();
    (files, problems)
}

#[test]
fn a_file_of_the_project_wins_over_the_shipped_one() {
    let place = Place::new().file("runbooks/one.yaml", "own one").file("runbooks/three.yaml", "own three");
    let folder = place.folder(Names::Flat);
    assert_eq!(found(&folder, "one"), "project own one");
    assert_eq!(found(&folder, "two"), "embedded shipped two");
    assert_eq!(found(&folder, "four"), "none");
    assert_eq!(listed(&folder), (vec!["one Project".into(), "three Project".into(), "two Embedded".into()], vec![]));
    assert_eq!(folder.names(), ["one", "three", "two"]);
}

#[test]
fn a_file_that_is_there_and_unusable_never_lets_the_shipped_one_through() {
    let cases: [(&str, &dyn Fn(Place) -> Place); 5] = [
        ("E0100", &|place: Place| place.file("runbooks/one.yaml", b"title: caf\xe9")),
        ("E0114", &|place: Place| place.file("runbooks/one.yaml", vec![b' '; 2 * 1024 * 1024])),
        ("E0117", &|place: Place| place.file("runbooks/one.yaml/inside", "x")),
        ("E0117", &|place: Place| place.file("runbooks/x", "own").link("runbooks/x", "runbooks/one.yaml")),
        ("E0117", &|place: Place| place.file("runbooks/one.yml", "own")),
    ];
    for (number, (code, make)) in cases.iter().enumerate() {
        let place = make(Place::new());
        let folder = place.folder(Names::Flat);
        let found = found(&folder, "one");
        assert!(found.starts_with(code), "case {number}: {found}");
        let (files, problems) = listed(&folder);
        assert_eq!((files, problems.len()), (vec!["two Embedded".to_owned()], 1), "case {number}");
    }
}

#[test]
fn a_wrong_ending_is_named_with_the_right_one() {
    let place =
        Place::new().file("runbooks/own.yml", "x").file("runbooks/both.yml", "x").file("runbooks/both.yaml", "y");
    let folder = place.folder(Names::Flat);
    let problem = folder.find("own").unwrap_err();
    assert_eq!(problem.message, "`runbooks/own.yml` is not read: files end in `.yaml`");
    assert_eq!(problem.help.as_deref(), Some("rename it to `own.yaml`"));
    assert_eq!(found(&folder, "both"), "project y");
    assert_eq!(listed(&folder).1, ["E0117 runbooks/both.yml", "E0117 runbooks/own.yml"]);
}

#[test]
fn names_of_a_flat_folder_do_not_reach_into_folders() {
    let place =
        Place::new().file("runbooks/a/x.yaml", "a").file("runbooks/b/x.yaml", "b").file("runbooks/.git/y.yaml", "");
    let folder = place.folder(Names::Flat);
    assert_eq!(found(&folder, "x"), "none");
    assert!(folder.deeper("x").unwrap().ends_with("/x.yaml"));
    let (files, problems) = listed(&folder);
    assert_eq!(files, ["one Embedded", "two Embedded"]);
    assert_eq!(problems, ["W0406 runbooks/a/x.yaml", "W0406 runbooks/b/x.yaml"]);
}

#[test]
fn names_of_a_deep_folder_are_paths_without_links_on_the_way() {
    let place = Place::new()
        .file("actions/mail/send.yaml", "own send")
        .file("elsewhere/redeploy.yaml", "outside")
        .file("actions/dotted.name.yaml", "never")
        .link("elsewhere", "actions/railway");
    let folder = place.folder(Names::Deep);
    assert_eq!(found(&folder, "mail/send"), "project own send");
    assert!(found(&folder, "railway/redeploy").starts_with("E0117 `actions/railway` is a symbolic link"));
    let (files, problems) = listed(&folder);
    assert_eq!(files, ["mail/send Project", "one Embedded", "two Embedded"]);
    assert_eq!(problems, ["E0117 actions/railway", "W0406 actions/dotted.name.yaml"]);
    for outside in ["../elsewhere/redeploy", "mail/../mail/send", "/etc/passwd", "mail//send", "", "."] {
        assert_eq!(found(&folder, outside), "none", "{outside}");
    }
}

#[test]
fn other_files_are_nobodys_business() {
    let place = Place::new()
        .file("runbooks/README.md", "x")
        .file("runbooks/helper.rhai", "x")
        .file("runbooks/.one.yaml.swp", "x");
    let (files, problems) = listed(&place.folder(Names::Flat));
    assert_eq!((files.len(), problems.len()), (2, 0));
}

#[test]
fn without_a_project_there_is_what_was_shipped() {
    let folder = Folder {
        root: None,
        name: "actions",
        embedded: Some(("shipped", &DIR)),
        extension: "yaml",
        names: Names::Deep,
    };
    assert_eq!(folder.names(), ["one", "railway/redeploy", "two"]);
    let (_, source) = folder.find("railway/redeploy").unwrap().unwrap();
    assert_eq!(source.shown, "embedded:shipped/railway/redeploy.yaml");
}
