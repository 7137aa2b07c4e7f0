//! What is shipped beside the program: the Debian package, and the recipe of the image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value as Json;

use crate::house::root;
use crate::services::skipped;

/// What `packaging/deb/build` makes of the program.
const MADE: &str = "target/packaging/";

fn package() -> Json {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let json: Json = serde_json::from_slice(&output.stdout).unwrap();
    json["packages"][0]["metadata"]["deb"].clone()
}

/// Whether files of this name, with one `*` at most, are in the repository.
fn is_there(pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return root().join(pattern).is_file() };
    let (folder, beginning) = before.rsplit_once('/').unwrap();
    let names = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| {
        let name = name.to_string_lossy().into_owned();
        name.starts_with(beginning) && name.ends_with(after)
    })
}

#[test]
fn the_package_names_files_that_are_there_and_puts_them_where_they_are_looked_for() {
    let package = package();
    let assets = package["assets"].as_array().unwrap();
    let mut places = Vec::new();
    for asset in assets {
        let (from, to) = (asset[0].as_str().unwrap(), asset[1].as_str().unwrap());
        assert!(from.starts_with(MADE) || is_there(from), "no `{from}`");
        places.push(to);
    }
    for place in ["usr/bin/", "usr/share/man/man1/", "etc/rerail/rerail.yaml"] {
        assert!(places.contains(&place), "nothing is put at {place}: {places:?}");
    }
    for shell in ["bash-completion", "zsh", "fish"] {
        assert!(places.iter().any(|place| place.contains(shell)), "no completions for {shell}: {places:?}");
    }
    // Found by the name of the unit, in the folder that the package names.
    let units = package["systemd-units"]["unit-scripts"].as_str().unwrap();
    for file in ["service", "socket", "sysusers"] {
        assert!(is_there(&format!("{units}/rerail.{file}")), "no rerail.{file} in {units}");
    }
    let service = std::fs::read_to_string(root().join("packaging/rerail.service")).unwrap();
    assert!(
        service.contains("ExecStart=/usr/bin/rerail serve\n") && service.contains("WorkingDirectory=/etc/rerail\n")
    );
    let user = std::fs::read_to_string(root().join("packaging/rerail.sysusers")).unwrap();
    assert!(service.contains("User=rerail\n") && user.contains("\nu     rerail "), "{user}");
}

/// The package of this program, made once for all who ask. Packed more loosely than what is shipped, which takes minutes.
pub fn built() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        if !Command::new("cargo").args(["deb", "--version"]).output().is_ok_and(|output| output.status.success()) {
            return None;
        }
        let mut command = Command::new(root().join("packaging/deb/build"));
        let built = command.args([env!("CARGO_BIN_EXE_rerail"), "--fast"]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some(String::from_utf8_lossy(&built.stdout).trim().lines().last().unwrap().into())
    };
    let built = BUILT.get_or_init(build).as_deref();
    if built.is_none() {
        skipped("no cargo-deb here, the package was NOT built");
    }
    built
}

#[test]
fn the_package_is_built_and_what_is_in_it_works() {
    let Some(file) = built() else { return };
    let dir = tempfile::tempdir().unwrap();
    let unpacked = Command::new("dpkg-deb").arg("-x").arg(file).arg(dir.path()).status().unwrap();
    assert!(unpacked.success(), "{file:?}");
    let at = |path: &str| dir.path().join(path);
    for path in [
        "usr/lib/systemd/system/rerail.service",
        "usr/lib/systemd/system/rerail.socket",
        "usr/lib/sysusers.d/rerail.conf",
        "usr/share/man/man1/rerail.1.gz",
        "usr/share/man/man1/rerail-serve.1.gz",
        "usr/share/doc/rerail/copyright",
        "usr/share/doc/rerail/docs/operating.md",
    ] {
        assert!(at(path).is_file(), "no {path} in the package");
    }
    let version = Command::new(at("usr/bin/rerail")).arg("version").env("HOME", dir.path()).output().unwrap();
    assert!(version.status.success(), "{version:?}");
    for completions in [
        "bash-completion/completions/rerail",
        "zsh/vendor-completions/_rerail",
        "fish/vendor_completions.d/rerail.fish",
    ] {
        let text = std::fs::read_to_string(at(&format!("usr/share/{completions}"))).unwrap();
        assert!(
            text.contains("rerail") && !text.contains("target/"),
            "{completions} calls what is not installed:\n{text}"
        );
    }
    // The project it brings is one.
    let checked = Command::new(at("usr/bin/rerail"))
        .arg("check")
        .current_dir(at("etc/rerail"))
        .env("HOME", dir.path())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

fn recipe() -> (PathBuf, String) {
    let file = root().join("packaging/Dockerfile");
    let text = std::fs::read_to_string(&file).unwrap();
    (file, text)
}

#[test]
fn the_image_is_one_file_run_by_nobody_in_particular() {
    let (_, text) = recipe();
    let (_, last) = text.rsplit_once("\nFROM ").unwrap();
    assert!(last.starts_with("scratch\n"), "{last}");
    for line in ["USER 65532:65532", "ENTRYPOINT [\"/rerail\"]", "VOLUME [\"/state\"]", "ENV RERAIL_STATE_DIR=/state"] {
        assert!(last.lines().any(|found| found.starts_with(line)), "no `{line}` in\n{last}");
    }
    assert!(!last.contains("\nRUN ") && !last.contains("\nADD "), "{last}");
}

/// What the image is to the program: a root with the binary, and nothing of a system beside what it is linked to.
#[test]
fn a_schedule_in_a_time_zone_works_where_no_system_knows_one() {
    if !rustix::process::geteuid().is_root() {
        return skipped("a root of its own needs root");
    }
    let root = tempfile::tempdir().unwrap();
    let copy = |from: &str| {
        let to = root.path().join(from.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    let linked = Command::new("ldd").arg(env!("CARGO_BIN_EXE_rerail")).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    linked.split_whitespace().filter(|word| word.starts_with('/')).for_each(copy);
    std::fs::copy(env!("CARGO_BIN_EXE_rerail"), root.path().join("rerail")).unwrap();
    assert!(!root.path().join("usr/share/zoneinfo").exists());
    // Where a process is after `chroot`.
    let project = root.path();
    std::fs::create_dir_all(project.join("runbooks")).unwrap();
    std::fs::write(project.join("rerail.yaml"), "version: 1\n").unwrap();
    let check = |zone: &str| {
        let text = format!(
            "version: 1\ntitle: Look in the morning\nowner: tests\nreviewed: 2026-11-01\ntriggers:\n  - schedule: {{ cron: \"0 8 * * *\", time_zone: {zone} }}\nsteps:\n  - {{ id: now, uses: time.now }}\n"
        );
        std::fs::write(project.join("runbooks/look.yaml"), text).unwrap();
        let args = [root.path().to_str().unwrap(), "/rerail", "check"];
        let said = Command::new("/usr/sbin/chroot").args(args).env_clear().env("HOME", "/").output().unwrap();
        (said.status.code(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
    };
    assert_eq!(check("Europe/Berlin").0, Some(0), "{:?}", check("Europe/Berlin"));
    let (code, said) = check("Europe/Nowhere");
    assert!(code != Some(0) && said.contains("Europe/Nowhere"), "{code:?} {said}");
}

#[test]
fn hadolint_takes_the_recipe_of_the_image() {
    if Command::new("hadolint").arg("--version").output().is_err() {
        return skipped("no hadolint here, the Dockerfile was NOT linted");
    }
    let (file, _) = recipe();
    let output = Command::new("hadolint").arg(Path::new(&file)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
